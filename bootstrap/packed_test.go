package bootstrap

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"spindle/transports/wire"
)

// tap counts the frames, and their bytes, that go by in a stream.
type tap struct {
	from io.Reader
	head []byte
	left int

	mu     sync.Mutex
	frames map[wire.Kind]int
	bytes  map[wire.Kind]int
}

func (p *tap) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	for rest := b[:n]; len(rest) > 0; {
		if p.left > 0 {
			k := min(p.left, len(rest))
			p.left, rest = p.left-k, rest[k:]
			continue
		}
		k := min(5-len(p.head), len(rest))
		p.head, rest = append(p.head, rest[:k]...), rest[k:]
		if len(p.head) == 5 {
			if p.frames == nil {
				p.frames, p.bytes = map[wire.Kind]int{}, map[wire.Kind]int{}
			}
			length := int(binary.BigEndian.Uint32(p.head))
			p.frames[wire.Kind(p.head[4])]++
			p.bytes[wire.Kind(p.head[4])] += 4 + length
			p.left, p.head = length-1, nil
		}
	}
	return n, err
}

func (p *tap) count(k wire.Kind) (frames, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.frames[k], p.bytes[k]
}

// packer sends what a test has to say packed.
type packer struct {
	*remote
	stream wire.Packer
}

func (p *packer) call(op string, m meta, input []byte) result {
	p.t.Helper()
	id := p.newID()
	b, err := json.Marshal(m)
	if err != nil {
		p.t.Fatal(err)
	}
	frame, err := wire.Append(nil, wire.Frame{ID: id, Header: wire.Call{Op: op, MetaLen: len(b)}, Body: append(b, input...)})
	if err == nil {
		frame, err = p.stream.Append(nil, frame)
	}
	if err == nil {
		_, err = p.stdin.Write(frame)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return p.finish(id)
}

func TestAgentPacksWhenItIsSentPacked(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		long := strings.Repeat("the same words again and ", 40)
		for range 5 {
			if got := r.call("exec", meta{"argv": []string{"echo", long}}, nil); got.Out != long+"\n" {
				t.Fatalf("%+v", got)
			}
		}
		if n, _ := r.tap.count(wire.KindPacked); n > 0 {
			t.Fatalf("%d PACKED frames, and nobody has sent one", n)
		}
		_, plain := r.tap.count(wire.KindResult)
		p := &packer{remote: r}
		for range 50 {
			if got := p.call("exec", meta{"argv": []string{"echo", long}}, nil); got.Out != long+"\n" || got.RC != 0 {
				t.Fatalf("%+v", got)
			}
		}
		n, bytes := r.tap.count(wire.KindPacked)
		t.Logf("a result takes %d bytes, one of 50 in %d PACKED frames %d", plain/5, n, bytes/50)
		if n == 0 || bytes > 50*60 {
			t.Errorf("%d PACKED frames of %d bytes for 50 results that are alike", n, bytes)
		}
	})
}

func TestPackedOutputComesWhole(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		p := &packer{remote: boot(t, tg)}
		for _, n := range []int{0, 1, 4000, 100000, wire.InlineMax, wire.InlineMax + 1, 1 << 20} {
			script := fmt.Sprintf("cd /; n=%d; { ls -lR /etc; yes; } 2>/dev/null | head -c $n", n)
			if got := p.call("exec", meta{"argv": []string{"/bin/sh", "-c", script}}, nil); len(got.Out) != n || got.Status != wire.StatusOK {
				t.Errorf("%d bytes of %d: %+v", len(got.Out), n, got.Result)
			}
		}
		// What nothing makes smaller.
		script := "head -c 200000 /dev/urandom | tee " + p.dir + "/noise"
		got := p.call("exec", meta{"argv": []string{"/bin/sh", "-c", script}}, nil)
		want, err := os.ReadFile(filepath.Join(p.local, "noise"))
		if err != nil || got.Out != string(want) {
			t.Errorf("%d bytes of noise came as %d others (%v)", len(want), len(got.Out), err)
		}
	})
}

// A file is packed once its credit comes back slowly, and never if it does not get smaller.
func TestSlowDataIsPacked(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		for name, command := range map[string]string{"text": "yes 'a line of text'", "noise": "cat /dev/urandom"} {
			p := &packer{remote: boot(t, tg)}
			p.call("exec", meta{"argv": []string{"true"}}, nil)
			const size = 2 << 20
			p.shell(fmt.Sprintf("%s | head -c %d >%s/content", command, size, p.dir))
			id := p.begin("get", meta{"path": p.dir + "/content"}, nil)
			received := 0
			for done := false; !done; {
				f := p.next(id)
				received += len(f.Body)
				switch f.Header.(type) {
				case wire.Data:
					time.Sleep(30 * time.Millisecond) // this is the far side's pace, and nothing waits for it
					p.send(id, wire.Credit{Channel: 1, Bytes: len(f.Body)})
				case wire.Result:
					done = true
				}
			}
			if received < size {
				t.Errorf("%s: %d bytes", name, received)
			}
			_, plain := p.tap.count(wire.KindData)
			_, packed := p.tap.count(wire.KindPacked)
			t.Logf("%s: %d bytes of DATA, %d packed", name, plain, packed)
			if name == "text" && plain > size/2 || name == "noise" && plain < size-wire.InlineMax {
				t.Errorf("%s: %d bytes of DATA, %d packed", name, plain, packed)
			}
		}
	})
}

func TestPackedNonsenseEndsTheLink(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		inner, err := wire.Append(nil, wire.Frame{Header: wire.Ping{Stamp: 1}})
		if err != nil {
			t.Fatal(err)
		}
		var stream, again wire.Packer
		once, err := stream.Append(nil, inner)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := again.Append(nil, once)
		if err != nil {
			t.Fatal(err)
		}
		for name, sent := range map[string][]byte{
			"no deflate": {0, 0, 0, 8, 16, 0, 0, 0, 0, 0x91, 0xc2, 7},
			"twice":      twice,
		} {
			r := boot(t, tg)
			if _, err := r.stdin.Write(sent); err != nil {
				t.Fatal(err)
			}
			f := r.next(0)
			if bye, ok := f.Header.(wire.Bye); !ok || !strings.Contains(bye.Reason, "PACKED: ") {
				t.Errorf("%s: got %#v, want BYE", name, f.Header)
			}
		}
	})
}
