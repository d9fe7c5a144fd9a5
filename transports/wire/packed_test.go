package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// source is what Reader and Unpacker have in common.
type source interface{ Next() (Frame, error) }

func allOf(s source) (frames []Frame, err error) {
	for {
		f, err := s.Next()
		if err == io.EOF {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		frames = append(frames, f)
	}
}

func unpackAll(r io.Reader) ([]Frame, error) { return allOf(NewUnpacker(NewReader(r))) }

func TestVectors_Packed(t *testing.T) {
	vectors := readVectors(t).Packed
	if len(vectors) == 0 {
		t.Fatal(`no vectors under "packed"`)
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			for name, stream := range streams(v.Stream) {
				u := NewUnpacker(NewReader(stream))
				got, err := allOf(u)
				if v.Reason != "" {
					wantProtocolError(t, err, v.Reason)
					if _, again := u.Next(); again != err {
						t.Errorf("%s: the error is not final: %v", name, again)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				want, err := readAll(bytes.NewReader(v.Frames))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got, frameOptions); diff != "" {
					t.Errorf("%s: mismatch (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// The controller's side is strict: what ends within a block is refused, and not waited for.
func TestUnpacker_CutOff(t *testing.T) {
	var p Packer
	whole, err := p.Append(nil, alike(1))
	if err != nil {
		t.Fatal(err)
	}
	body := whole[prefixLen+2:]
	for cut := range len(body) {
		b, err := Append(nil, Frame{Header: Packed{}, Body: body[:cut]})
		if err != nil {
			t.Fatal(err)
		}
		frames, err := unpackAll(bytes.NewReader(b))
		if _, refused := errors.AsType[*ProtocolError](err); !refused || len(frames) > 0 {
			t.Errorf("%d of %d bytes: %d frames, error %v", cut, len(body), len(frames), err)
		}
	}
}

// drawPacked draws frames, and a stream in which some of them stand packed.
func drawPacked(t *rapid.T) (want []Frame, stream []byte) {
	var p Packer
	for range rapid.IntRange(1, 6).Draw(t, "pieces") {
		var plain []byte
		from := len(want)
		for range rapid.IntRange(1, 3).Draw(t, "frames") {
			f := anyFrame.Filter(func(f Frame) bool { return f.Header.Kind() != KindPacked }).Draw(t, "frame")
			whole, err := Append(plain, f)
			if err != nil {
				t.Fatal(err)
			}
			plain = whole
			want = append(want, f)
		}
		switch rapid.IntRange(0, 3).Draw(t, "how") {
		case 0:
			stream = append(stream, plain...)
		case 1:
			for _, f := range want[from:] {
				packed, ok, err := PackFresh(f)
				if !ok {
					packed = f
				}
				if err == nil {
					stream, err = Append(stream, packed)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		default:
			var err error
			if stream, err = p.Append(stream, plain); err != nil {
				t.Fatal(err)
			}
		}
	}
	return want, stream
}

func TestPacked_RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, stream := drawPacked(t)
		got, err := unpackAll(bytes.NewReader(stream))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, frameOptions); diff != "" {
			t.Fatalf("mismatch (-want +got):\n%s", diff)
		}
		for _, f := range got {
			if cap(f.Body) != len(f.Body) {
				t.Errorf("body of %d bytes in %d", len(f.Body), cap(f.Body))
			}
		}
	})
}

// What Go packs Python opens, and the reverse.
func TestPacked_Python(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			p := startPeer(t, python, "packed")
			rapid.Check(t, func(t *rapid.T) {
				want, stream := drawPacked(t)
				answer := p.ask(t, stream)
				if answer[0] != 'P' || binary.BigEndian.Uint32(answer[1:]) != 0 {
					t.Fatalf("%.300q", answer)
				}
				got, err := unpackAll(bytes.NewReader(answer[5:]))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got, frameOptions); diff != "" {
					t.Errorf("mismatch (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// alike returns the n-th of many calls that differ as those of a loop do.
func alike(n int) []byte {
	args := fmt.Sprintf(`{}{"ANSIBLE_MODULE_ARGS": {"_raw_params": "echo %d", "_ansible_check_mode": false, "_ansible_no_log": false, `+
		`"_ansible_selinux_special_fs": ["fuse", "nfs", "vboxsf", "ramfs", "9p", "vfat"], "_ansible_remote_tmp": "/home/deploy/.ansible/tmp"}}`, n)
	b, _ := Append(nil, Frame{ID: uint32(n), Header: Call{Op: "module", MetaLen: 2}, Body: []byte(args)})
	return b
}

// A call like the one before costs a few bytes, and the heads of two frames.
func TestPacker_AlikeCallsAreSmall(t *testing.T) {
	var p Packer
	for n := range 100 {
		b, err := p.Append(nil, alike(n))
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 && len(b) > 48 {
			t.Errorf("call %d takes %d bytes of %d", n, len(b), len(alike(n)))
		}
	}
}

func TestPackFresh_LeavesWhatDoesNotShrink(t *testing.T) {
	noise := make([]byte, ChunkMax)
	rand.New(rand.NewSource(1)).Read(noise)
	text := []byte(strings.Repeat("all work and no play\n", 3000))
	for name, c := range map[string]struct {
		f  Frame
		ok bool
	}{
		"noise":            {Frame{ID: 1, Header: Data{}, Body: noise}, false},
		"text":             {Frame{ID: 1, Header: Data{}, Body: text}, true},
		"nothing":          {Frame{ID: 1, Header: Data{}}, false},
		"too much at once": {Frame{ID: 1, Header: Result{OutLen: MaxPacked}, Body: make([]byte, MaxPacked)}, false},
	} {
		packed, ok, err := PackFresh(c.f)
		if err != nil || ok != c.ok {
			t.Errorf("%s: ok %v, error %v", name, ok, err)
		}
		if ok && packed.ID != c.f.ID {
			t.Errorf("%s: id %d", name, packed.ID)
		}
	}
	if _, _, err := PackFresh(Frame{Header: Data{Channel: 9}}); err == nil {
		t.Error("a frame that breaks the protocol was packed")
	}
}

func TestPacker_TooMuch(t *testing.T) {
	var p Packer
	_, err := p.Append(nil, make([]byte, MaxPacked+1))
	wantProtocolError(t, err, reasonPacked)
}

// A bomb costs what PACKED may hold at most, and no more than twice over while that grows.
func TestHostile_Bombs(t *testing.T) {
	for _, v := range readVectors(t).Packed {
		if v.Reason != reasonPacked {
			continue
		}
		if got := allocated(func() { _, _ = unpackAll(bytes.NewReader(v.Stream)) }); got > 3*MaxPacked {
			t.Errorf("%s: %d bytes", v.Name, got)
		}
	}
}

// What an idle link holds is what the next piece may refer to.
func TestPacked_IdleMemory(t *testing.T) {
	const links = 500
	type link struct {
		p Packer
		u *Unpacker
	}
	var stream bytes.Buffer
	var feed Packer
	for n := range 40 {
		b, err := feed.Append(nil, alike(n))
		if err != nil {
			t.Fatal(err)
		}
		stream.Write(b)
	}
	held := make([]*link, links)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range held {
		l := &link{}
		src := bytes.NewReader(stream.Bytes())
		l.u = NewUnpacker(NewReader(src))
		for n := range 40 {
			if _, err := l.p.Append(nil, alike(n)); err != nil {
				t.Fatal(err)
			}
			if _, err := l.u.Next(); err != nil {
				t.Fatal(err)
			}
		}
		held[i] = l
	}
	each := (int64(heap()) - int64(before)) / links
	runtime.KeepAlive(held)
	t.Logf("%d bytes for each link, %d of them the Reader's buffer", each, bufferSize)
	if limit := int64(2*PastMax + bufferSize + 4<<10); each > limit {
		t.Errorf("%d bytes for each link, want at most %d", each, limit)
	}
}

// FuzzUnpacker holds the Unpacker to its promises on any bytes at all.
func FuzzUnpacker(f *testing.F) {
	for _, v := range readVectors(f).Packed {
		if len(v.Stream) <= 1000 {
			f.Add([]byte(v.Stream))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, err := unpackAll(bytes.NewReader(b))
		if _, refused := errors.AsType[*ProtocolError](err); err != nil && err != io.ErrUnexpectedEOF && !refused {
			t.Fatalf("error %v (%T)", err, err)
		}
		var plain []byte
		for _, f := range frames {
			if f.Header.Kind() == KindPacked {
				t.Fatal("a PACKED frame came through")
			}
			if cap(f.Body) != len(f.Body) {
				t.Errorf("%v: body of %d bytes in %d", f.Header.Kind(), len(f.Body), cap(f.Body))
			}
			if reason := f.Header.check(len(f.Body)); reason != "" {
				t.Errorf("%v came through: %s", f.Header, reason)
			}
			var errWrite error
			if plain, errWrite = Append(plain, f); errWrite != nil {
				t.Fatalf("cannot write what was read: %v", errWrite)
			}
		}
		// Frames of the agent's that came packed are packed again.
		if len(plain) > 0 && len(plain) <= MaxPacked {
			var p Packer
			packed, err := p.Append(nil, plain)
			if err != nil {
				t.Fatal(err)
			}
			again, err := unpackAll(iotest.HalfReader(bytes.NewReader(packed)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(frames, again, frameOptions); diff != "" {
				t.Errorf("packed and opened again, frames differ (-before +after):\n%s", diff)
			}
		}
	})
}

func BenchmarkPacker(b *testing.B) {
	b.ReportAllocs()
	var p Packer
	buf := make([]byte, 0, 4096)
	for n := 0; b.Loop(); n++ {
		if _, err := p.Append(buf, alike(n)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnpacker(b *testing.B) {
	b.ReportAllocs()
	var p Packer
	const pieces = 1000
	var stream []byte
	for n := range pieces {
		stream, _ = p.Append(stream, alike(n))
	}
	for b.Loop() {
		if frames, err := unpackAll(bytes.NewReader(stream)); err != nil || len(frames) != pieces {
			b.Fatal(err, len(frames))
		}
	}
}
