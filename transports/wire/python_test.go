package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// pythons returns the interpreters to test with: those that SPINDLE_TEST_PYTHONS
// names (blanks between them), or what PATH has.
func pythons(t *testing.T) []string {
	t.Helper()
	if names, ok := os.LookupEnv("SPINDLE_TEST_PYTHONS"); ok {
		return strings.Fields(names)
	}
	var found []string
	for _, name := range []string{"python3", "python2.7"} {
		// A version manager's name for an interpreter may stand in PATH and yet run none.
		if err := exec.CommandContext(t.Context(), name, "-c", "").Run(); err == nil {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		t.Skip("SKIPPED: no Python on this machine, so the two codecs are not compared")
	}
	return found
}

// TestPython runs wire_test.py.
func TestPython(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			if out, err := exec.CommandContext(ctx, python, "wire_test.py").CombinedOutput(); err != nil {
				t.Errorf("wire_test.py: %v\n%s", err, out)
			}
		})
	}
}

// peer is testdata/peer.py, running.
type peer struct {
	in        io.Writer
	out       *bufio.Reader
	constants map[string]json.RawMessage
}

func startPeer(t *testing.T, python string, arg ...string) *peer {
	t.Helper()
	// The deadline kills a peer that hangs, which ends its pipes and with them every wait.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, python, append([]string{"testdata/peer.py", "."}, arg...)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", python, err)
		}
	})
	p := &peer{in: in, out: bufio.NewReader(out)}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, &p.constants); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *peer) ask(t reporter, stream []byte) []byte {
	t.Helper()
	if _, err := p.in.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(stream))), stream...)); err != nil {
		t.Fatalf("write to the peer: %v", err)
	}
	var head [4]byte
	if _, err := io.ReadFull(p.out, head[:]); err != nil {
		t.Fatalf("read from the peer: %v", err)
	}
	answer := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(p.out, answer); err != nil {
		t.Fatalf("read from the peer: %v", err)
	}
	return answer
}

// agree compares what both codecs make of a stream.
func (p *peer) agree(t reporter, stream []byte) {
	t.Helper()
	answer := p.ask(t, stream)
	frames, err := readAll(bytes.NewReader(stream))
	_, refused := errors.AsType[*ProtocolError](err)
	if answer[0] == 'E' {
		if !refused {
			t.Errorf("Python refuses (%s) what Go takes (error %v)", answer[1:], err)
		}
		return
	}
	left := binary.BigEndian.Uint32(answer[1:])
	if refused && left == 0 {
		t.Errorf("Go refuses (%v) what Python takes", err)
	}
	// An unfinished frame Go may refuse already, where Python waits for the rest.
	if !refused && (err == io.ErrUnexpectedEOF) != (left > 0) {
		t.Errorf("Go ends with %v, Python with %d bytes left", err, left)
	}
	var again []byte
	for _, f := range frames {
		if again, err = Append(again, f); err != nil {
			t.Fatalf("%v", err)
		}
	}
	if !bytes.Equal(again, answer[5:]) {
		t.Errorf("written again, Go has %s and Python %s", clipped(again), clipped(answer[5:]))
	}
}

// Both codecs take and refuse the same streams, and write the same bytes.
func TestPython_AgreesWithGo(t *testing.T) {
	vectors := readVectors(t)
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			p := startPeer(t, python)
			for _, list := range [][]vector{vectors.Frames, vectors.Aliases, vectors.Refused} {
				for _, v := range list {
					p.agree(t, v.Frame)
				}
			}
			rapid.Check(t, func(t *rapid.T) {
				var b []byte
				for _, f := range rapid.SliceOfN(anyFrame, 1, 4).Draw(t, "frames") {
					b, _ = Append(b, f)
				}
				p.agree(t, b)
			})
			rapid.Check(t, func(t *rapid.T) {
				v := vectors.Frames[rapid.IntRange(0, len(vectors.Frames)-1).Draw(t, "vector")]
				b := bytes.Clone(v.Frame)
				for range rapid.IntRange(1, 4).Draw(t, "mutations") {
					b[rapid.IntRange(0, min(len(b), 60)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
				}
				if len(b) < 5000 && rapid.Bool().Draw(t, "one byte less") {
					b = append(b[:9:9], b[10:]...)
				}
				if rapid.Bool().Draw(t, "length set right") {
					binary.BigEndian.PutUint32(b, uint32(len(b)-4))
				}
				p.agree(t, b)
			})
		})
	}
}

func TestPython_Constants(t *testing.T) {
	want := map[string]int{
		"PROTO": Proto, "MAX_FRAME": MaxFrame, "MAX_HEADER": MaxHeader, "MAX_BLOB": MaxBlob, "MAX_TEXT": MaxText, "MAX_PACKED": MaxPacked,
		"CHUNK_MAX": ChunkMax, "MAX_BYWAYS": MaxByways, "WINDOW_INITIAL": WindowInitial, "WINDOW_BULK": WindowBulk, "INLINE_MAX": InlineMax,
		"FLAG_MORE": int(FlagMore), "FLAG_NOREPLY": int(FlagNoReply), "FLAG_STREAM": int(FlagStream),
		"CHANNEL_IN": ChannelIn, "CHANNEL_OUT": ChannelOut, "CHANNEL_ERR": ChannelErr,
		"ENCODING_RAW": EncodingRaw, "ENCODING_ZLIB": EncodingZlib, "ENCODING_BUNDLE": EncodingBundle, "FORM_CONTENT": FormContent, "FORM_FRAME": FormFrame,
	}
	var names []string
	for k := KindHello; k <= KindPart; k++ {
		want[k.String()] = int(k)
		names = append(names, k.String())
	}
	for s := StatusOK; s <= StatusStale; s++ {
		want["STATUS_"+s.String()] = int(s)
	}
	for _, python := range pythons(t) {
		p := startPeer(t, python)
		got := map[string]int{}
		var gotNames []*string
		for name, text := range p.constants {
			var err error
			if name == "KIND_NAMES" {
				err = json.Unmarshal(text, &gotNames)
			} else {
				var n int
				err = json.Unmarshal(text, &n)
				got[name] = n
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: constants mismatch (-Go +Python):\n%s", python, diff)
		}
		for i, name := range names {
			if got := gotNames[i+1]; got == nil || *got != name {
				t.Errorf("%s: KIND_NAMES[%d] is not %s", python, i+1, name)
			}
		}
	}
}

// The packer joins the source with other files, behind which no __future__ import may
// stand, and agents run on targets that may have no codec but ASCII.
func TestPythonSource(t *testing.T) {
	if strings.Contains(PythonSource, "from __future__") {
		t.Error("spindle_wire.py has a __future__ import")
	}
	for i, line := range strings.Split(PythonSource, "\n") {
		for _, c := range line {
			if c > 126 {
				t.Errorf("line %d is not ASCII: %q", i+1, line)
			}
		}
		if rest, ok := strings.CutPrefix(line, "import "); ok && rest != "struct" && rest != "sys" && rest != "zlib" {
			t.Errorf("line %d imports %s", i+1, rest)
		}
	}
}
