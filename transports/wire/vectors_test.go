package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// vector is one entry of testdata/vectors.json, which says itself what its fields are.
type vector struct {
	Name   string
	Kind   Kind
	ID     uint32
	Header []json.RawMessage
	Body   pieces
	Frame  pieces
	Reason string
}

// stream is an entry of those under "packed".
type stream struct {
	Name   string
	Stream pieces
	Frames pieces
	Reason string
}

type vectorFile struct {
	Frames, Aliases, Refused, Unwritable []vector
	Packed                               []stream
}

// pieces is bytes as the vectors write them.
type pieces []byte

func (p *pieces) UnmarshalJSON(text []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	for _, item := range list {
		b, err := piece(item)
		if err != nil {
			return err
		}
		*p = append(*p, b...)
	}
	return nil
}

func piece(text json.RawMessage) ([]byte, error) {
	run := struct {
		Hex   string
		Times int
	}{Times: 1}
	if text[0] == '{' {
		if err := json.Unmarshal(text, &run); err != nil {
			return nil, err
		}
	} else if err := json.Unmarshal(text, &run.Hex); err != nil {
		return nil, err
	}
	b, err := hex.DecodeString(strings.ReplaceAll(run.Hex, " ", ""))
	return bytes.Repeat(b, run.Times), err
}

func readVectors(t testing.TB) vectorFile {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectorFile
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string][]vector{"frames": v.Frames, "aliases": v.Aliases, "refused": v.Refused, "unwritable": v.Unwritable} {
		if len(list) == 0 {
			t.Fatalf("no vectors under %q", name)
		}
	}
	return v
}

// elements reads the header of a vector, in order.
type elements struct {
	t    testing.TB
	list []json.RawMessage
}

func (e *elements) next(into any) {
	e.t.Helper()
	if len(e.list) == 0 {
		e.t.Fatal("header too short")
	}
	if err := json.Unmarshal(e.list[0], into); err != nil { // null leaves the empty value
		e.t.Fatal(err)
	}
	e.list = e.list[1:]
}

func (e *elements) int() (n int)     { e.next(&n); return n }
func (e *elements) int64() (n int64) { e.next(&n); return n }
func (e *elements) bool() (b bool)   { e.next(&b); return b }

func (e *elements) millis() time.Duration { return time.Duration(e.int64()) * time.Millisecond }

func (e *elements) str() (s string) {
	e.t.Helper()
	if len(e.list) > 0 && e.list[0][0] == '{' {
		return string(e.bytes())
	}
	e.next(&s)
	return s
}

func (e *elements) bytes() []byte {
	e.t.Helper()
	var text json.RawMessage
	e.next(&text)
	if string(text) == "null" {
		return nil
	}
	b, err := piece(text)
	if err != nil {
		e.t.Fatal(err)
	}
	return b
}

func (e *elements) digest() Digest { return Digest(e.bytes()) }

func (v vector) header(t testing.TB) Header {
	t.Helper()
	e := &elements{t: t, list: v.Header}
	h := v.build(e)
	if len(e.list) > 0 {
		t.Fatalf("%s: header too long", v.Name)
	}
	return h
}

func (v vector) build(e *elements) Header {
	switch v.Kind {
	case KindHello:
		return Hello{Proto: e.int(), Role: e.str(), PID: e.int(), Version: e.str()}
	case KindReady:
		return Ready{Proto: e.int(), PID: e.int(), Version: e.str(), Silence: e.millis()}
	case KindCall:
		c := Call{Op: e.str(), Context: e.str()}
		if closure := e.bytes(); closure != nil {
			c.Closure, c.HasClosure = Digest(closure), true
		}
		c.MetaLen, c.Timeout, c.Flags = e.int(), e.millis(), Flags(e.int64())
		return c
	case KindResult:
		return Result{Status: Status(e.int()), RC: e.int(), OutLen: e.int(), ErrLen: e.int(), Errno: e.int(), Text: e.str()}
	case KindCancel:
		return Cancel{Reason: e.str()}
	case KindSpawn:
		return Spawn{Mode: e.int(), MetaLen: e.int()}
	case KindData:
		return Data{Channel: e.int()}
	case KindEOF:
		return EOF{Channel: e.int()}
	case KindExit:
		return Exit{RC: e.int(), Signal: e.int(), Text: e.str()}
	case KindCredit:
		return Credit{Channel: e.int(), Bytes: e.int()}
	case KindBlob:
		return Blob{Digest: e.digest(), Size: e.int(), Encoding: e.int()}
	case KindSplice:
		return Splice{Channel: e.int(), Digest: e.digest(), Form: e.int()}
	case KindLog:
		return Log{Level: e.int(), Logger: e.str(), Text: e.str()}
	case KindPing:
		return Ping{Reply: e.bool(), Stamp: e.int64()}
	case KindBye:
		return Bye{Reason: e.str()}
	case KindPacked:
		return Packed{Fresh: e.bool()}
	case KindByway:
		return Byway{Count: e.int(), Path: e.str()}
	case KindPart:
		return Part{Channel: e.int(), Offset: e.int64(), Last: e.bool()}
	}
	e.t.Fatalf("%s: %v", v.Name, v.Kind)
	return nil
}

func (v vector) fields(t testing.TB) Frame {
	t.Helper()
	return Frame{ID: v.ID, Header: v.header(t), Body: v.Body}
}

func TestVectors_CoverEveryKind(t *testing.T) {
	seen := map[Kind]bool{}
	for _, v := range readVectors(t).Frames {
		seen[v.Kind] = true
	}
	for k := KindHello; k <= KindPart; k++ {
		if !seen[k] {
			t.Errorf("no vector of %v", k)
		}
	}
}

func TestVectors_Decode(t *testing.T) {
	vectors := readVectors(t)
	for _, v := range append(vectors.Frames, vectors.Aliases...) {
		t.Run(v.Name, func(t *testing.T) {
			for name, stream := range streams(v.Frame) {
				r := NewReader(stream)
				got, err := r.Next()
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if diff := cmp.Diff(v.fields(t), got, frameOptions); diff != "" {
					t.Errorf("%s: mismatch (-want +got):\n%s", name, diff)
				}
				if _, err := r.Next(); err != io.EOF {
					t.Errorf("%s: behind the frame: %v, want io.EOF", name, err)
				}
			}
		})
	}
}

func TestVectors_Encode(t *testing.T) {
	for _, v := range readVectors(t).Frames {
		t.Run(v.Name, func(t *testing.T) {
			got, err := Append([]byte("ahead"), v.fields(t))
			if err != nil {
				t.Fatal(err)
			}
			if want := append([]byte("ahead"), v.Frame...); !bytes.Equal(got, want) {
				t.Errorf("Append(%v) = %x, want %x", v.Header, clipped(got), clipped(want))
			}
		})
	}
}

// Every strict part of a frame is an unfinished frame, and nothing is the end.
func TestVectors_CutOff(t *testing.T) {
	for _, v := range readVectors(t).Frames {
		for cut := 1; cut < len(v.Frame); cut++ {
			if cut > 64 && cut < len(v.Frame)-2 && cut%bufferSize > 1 {
				continue
			}
			_, err := NewReader(bytes.NewReader(v.Frame[:cut])).Next()
			if err != io.ErrUnexpectedEOF {
				t.Errorf("%s, %d of %d bytes: %v, want io.ErrUnexpectedEOF", v.Name, cut, len(v.Frame), err)
			}
		}
	}
	if _, err := NewReader(bytes.NewReader(nil)).Next(); err != io.EOF {
		t.Errorf("empty stream: %v, want io.EOF", err)
	}
}

func TestVectors_Refused(t *testing.T) {
	for _, v := range readVectors(t).Refused {
		t.Run(v.Name, func(t *testing.T) {
			// The reader must not ask for more than the vector has: the peer may never send it.
			f, err := NewReader(io.MultiReader(bytes.NewReader(v.Frame), failing{errAsked})).Next()
			wantProtocolError(t, err, v.Reason)
			if f.Header != nil || f.Body != nil {
				t.Errorf("Next gave %v beside its error", f)
			}
		})
	}
}

func TestVectors_Unwritable(t *testing.T) {
	for _, v := range readVectors(t).Unwritable {
		t.Run(v.Name, func(t *testing.T) {
			for name, write := range map[string]func([]byte, Frame) ([]byte, error){"Append": Append, "AppendHead": AppendHead} {
				got, err := write([]byte("ahead"), v.fields(t))
				wantProtocolError(t, err, v.Reason)
				if string(got) != "ahead" {
					t.Errorf("%s: %d bytes written all the same", name, len(got)-len("ahead"))
				}
			}
		})
	}
}

var errAsked = errors.New("asked for more")

// failing is a stream that only has an error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func wantProtocolError(t testing.TB, err error, reason string) {
	t.Helper()
	pe, ok := errors.AsType[*ProtocolError](err)
	if !ok {
		t.Fatalf("error %v (%T), want a *ProtocolError", err, err)
	}
	if pe.Reason != reason {
		t.Errorf("reason %q, want %q", pe.Reason, reason)
	}
}

func clipped(b []byte) string {
	if len(b) > 100 {
		return fmt.Sprintf("%x… (%d bytes)", b[:100], len(b))
	}
	return fmt.Sprintf("%x", b)
}
