package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// readerCost is what a Reader and its buffer cost, with room for an error and its
// text.
const readerCost = bufferSize + 2<<10

// allocated returns the bytes that fn allocates, however soon they are freed. The
// least of three runs counts, since the runtime allocates now and then as well.
func allocated(fn func()) uint64 {
	least := uint64(math.MaxUint64)
	var before, after runtime.MemStats
	for range 3 {
		runtime.ReadMemStats(&before)
		fn()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// prefix is the start of a frame that promises length bytes.
func prefix(length uint32, kind Kind) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, length), byte(kind))
	return binary.BigEndian.AppendUint32(b, 1)
}

// What a peer sends decides what it costs, not what it announces.
func TestHostile_Announcements(t *testing.T) {
	zeros := make([]byte, MaxFrame)
	digest := Sum(nil)
	tests := []struct {
		name string
		sent []byte
		// reason is that of a *ProtocolError; empty if the peer merely goes away within the frame.
		reason string
		most   uint64
	}{
		{"a length and no more", []byte{0, 0x11, 0, 0}, "", readerCost},
		{"a length over the cap", []byte{0, 0x11, 0, 1}, "frame over 1114112 bytes", readerCost},
		{"four gigabytes", []byte{0xff, 0xff, 0xff, 0xff}, "frame over 1114112 bytes", readerCost},
		{"a prefix and no more", prefix(MaxFrame, KindHello), "", readerCost},
		{"a header and no more", append(prefix(MaxFrame, KindHello), 0x94, 1, 0xa0, 0, 0xa0), "", readerCost},
		{"one buffer of a large body", append(prefix(MaxFrame, KindHello), append([]byte{0x94, 1, 0xa0, 0, 0xa0}, zeros[:bufferSize]...)...), "", readerCost + 18*bufferSize},
		{"half a chunk", append(prefix(6+ChunkMax, KindData), append([]byte{0x91, 0}, zeros[:ChunkMax/2]...)...), "", readerCost + ChunkMax},
		{"nearly all of a blob", append(append(append(prefix(5+37+MaxBlob, KindBlob), 0x93, 0xc4, 32), digest[:]...), append([]byte{0, 0}, zeros[:MaxBlob-1]...)...), "", readerCost + 17*bufferSize + MaxBlob + 32<<10},
		{"a chunk too large, whose bytes never come", append(prefix(MaxFrame, KindData), append([]byte{0x91, 0}, zeros[:bufferSize]...)...), reasonChunk, readerCost},
		{"64 KiB of text announced", append(prefix(1<<17, KindBye), append([]byte{0x91, 0xda, 0xff, 0xf0}, zeros[:bufferSize]...)...), "", readerCost + 2*bufferSize},
		{"gigabytes of text", append(prefix(MaxFrame, KindBye), append([]byte{0x91, 0xdb, 0x7f, 0xff, 0xff, 0xff}, zeros[:bufferSize]...)...), reasonLong, readerCost},
		{"gigabytes of bin", append(prefix(MaxFrame, KindBlob), append([]byte{0x93, 0xc6, 0xff, 0xff, 0xff, 0xff}, zeros[:bufferSize]...)...), reasonLong, readerCost},
		{"an array of four billion", append(prefix(16, KindBye), 0xdd, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0), reasonArray, readerCost},
		{"a map of four billion", append(prefix(16, KindBye), 0xdf, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0), reasonArray, readerCost},
		{"a million arrays in one another", append(prefix(MaxFrame, KindBye), bytes.Repeat([]byte{0x91}, MaxFrame)...), reasonType, readerCost},
		{"a million arrays in one another, as a number", append(prefix(MaxFrame, KindData), bytes.Repeat([]byte{0x91}, MaxFrame)...), reasonType, readerCost},
		{"a million maps in one another", append(prefix(MaxFrame, KindLog), bytes.Repeat([]byte{0x93, 0x81}, MaxFrame/2)...), reasonType, readerCost},
		{"a million nils", append(prefix(MaxFrame, KindBye), append([]byte{0xdd, 0, 0xff, 0xff, 0xff}, bytes.Repeat([]byte{0xc0}, MaxFrame)...)...), reasonArray, readerCost},
		{"an extension of four gigabytes", append(prefix(16, KindBye), 0x91, 0xc9, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0), reasonType, readerCost},
		{"noise", bytes.Repeat([]byte("Last login: "), 1<<15), "frame over 1114112 bytes", readerCost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var frames []Frame
			var err error
			got := allocated(func() { frames, err = readAll(bytes.NewReader(tt.sent)) })
			if len(frames) > 0 {
				t.Errorf("%d frames came of it", len(frames))
			}
			if tt.reason == "" {
				if err != io.ErrUnexpectedEOF {
					t.Errorf("error %v, want io.ErrUnexpectedEOF", err)
				}
			} else {
				wantProtocolError(t, err, tt.reason)
			}
			if got > tt.most {
				t.Errorf("%d bytes allocated for %d sent, want at most %d", got, len(tt.sent), tt.most)
			}
		})
	}
}

// No refused vector costs more than the buffer and what it sent.
func TestHostile_RefusedVectorsAreCheap(t *testing.T) {
	for _, v := range readVectors(t).Refused {
		most := uint64(readerCost)
		if len(v.Frame) > bufferSize {
			most += 4 * MaxHeader // steps of a header that grows to its limit
		}
		if got := allocated(func() { _, _ = readAll(bytes.NewReader(v.Frame)) }); got > most {
			t.Errorf("%s: %d bytes allocated for %d sent, want at most %d", v.Name, got, len(v.Frame), most)
		}
	}
}

// At no point is more set aside for a body than trust allows, and few steps lead to any size.
func TestAllowance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, MaxFrame).Draw(t, "size")
		came := rapid.IntRange(1, MaxFrame).Draw(t, "came")
		steps := 0
		for have := 0; have < size; steps++ {
			next := allowance(size, max(came, have))
			if next > size || next > trust*max(came, have) {
				t.Fatalf("%d bytes for %d that came of %d", next, max(came, have), size)
			}
			if next <= have {
				t.Fatalf("no progress at %d of %d", have, size)
			}
			have = next
		}
		if came >= bufferSize && steps > 2 {
			t.Errorf("%d steps to %d bytes", steps, size)
		}
	})
}

// Mutations of good frames end in frames that keep the protocol, or in an error.
func TestHostile_Mutations(t *testing.T) {
	vectors := readVectors(t).Frames
	rapid.Check(t, func(t *rapid.T) {
		v := vectors[rapid.IntRange(0, len(vectors)-1).Draw(t, "vector")]
		b := bytes.Clone(v.Frame)
		for range rapid.IntRange(1, 4).Draw(t, "mutations") {
			at := rapid.IntRange(0, min(len(b), 80)-1).Draw(t, "at")
			b[at] = rapid.Byte().Draw(t, "byte")
		}
		if rapid.Bool().Draw(t, "length set right") {
			binary.BigEndian.PutUint32(b, uint32(len(b)-4))
		}
		checkStream(t, b)
	})
}

// An error is final, whatever the stream would still give.
func TestReader_ErrorsAreFinal(t *testing.T) {
	good, err := Append(nil, Frame{Header: Bye{}})
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(bytes.NewReader(append([]byte{0, 0, 0, 0}, good...)))
	_, first := r.Next()
	wantProtocolError(t, first, "frame under 6 bytes")
	if _, again := r.Next(); again != first {
		t.Errorf("then %v, want the same error", again)
	}
}

// The stream's own errors come through, within a frame and between two.
func TestReader_StreamErrors(t *testing.T) {
	frame, err := Append(nil, Frame{Header: Data{}, Body: make([]byte, ChunkMax)})
	if err != nil {
		t.Fatal(err)
	}
	lost := errors.New("link lost")
	for _, cut := range []int{0, 3, 9, 100, 50000, len(frame)} {
		frames, err := readAll(io.MultiReader(bytes.NewReader(frame[:cut]), failing{lost}))
		if !errors.Is(err, lost) {
			t.Errorf("after %d bytes: %v, want %v", cut, err, lost)
		}
		if want := cut / len(frame); len(frames) != want {
			t.Errorf("after %d bytes: %d frames, want %d", cut, len(frames), want)
		}
	}
}

// A body is the holder's own: it shares nothing with the reader or with other bodies.
func TestReader_BodiesAreOwned(t *testing.T) {
	var b []byte
	for _, body := range []string{"first", "second", "third"} {
		var err error
		if b, err = Append(b, Frame{Header: Data{}, Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	r := NewReader(bytes.NewReader(b))
	for _, want := range []string{"first", "second", "third"} {
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if string(f.Body) != want {
			t.Errorf("body %q, want %q", f.Body, want)
		}
		for i := range f.Body {
			f.Body[i] = 'x'
		}
		_ = append(f.Body, "and over the end"...)
	}
}

// counting counts the calls that reach the stream.
type counting struct {
	r     io.Reader
	calls int
}

func (c *counting) Read(p []byte) (int, error) {
	c.calls++
	return c.r.Read(p)
}

func TestReader_FewReads(t *testing.T) {
	tests := []struct {
		name   string
		frame  Frame
		times  int
		most   int // io.EOF takes one of them, and one a link that was quiet: it has a small buffer
		allocs float64
	}{
		{"300 pings", Frame{Header: Ping{Stamp: 1 << 40}}, 300, 3, 1},
		{"300 small results", Frame{ID: 9, Header: Result{OutLen: 4}, Body: []byte("done")}, 300, 4, 2},
		{"one chunk", Frame{ID: 9, Header: Data{Channel: 1}, Body: make([]byte, ChunkMax)}, 1, 4, 1},
		{"ten chunks", Frame{ID: 9, Header: Data{Channel: 1}, Body: make([]byte, ChunkMax)}, 10, 22, 1},
		{"a whole blob", Frame{Header: Blob{}, Body: make([]byte, MaxBlob)}, 1, 5, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b []byte
			for range tt.times {
				var err error
				if b, err = Append(b, tt.frame); err != nil {
					t.Fatal(err)
				}
			}
			c := &counting{r: bytes.NewReader(b)}
			frames, err := readAll(c)
			if err != nil || len(frames) != tt.times {
				t.Fatalf("%d frames, error %v", len(frames), err)
			}
			if c.calls > tt.most {
				t.Errorf("%d reads of the stream, want at most %d", c.calls, tt.most)
			}
			stream := bytes.NewReader(b)
			r := NewReader(stream)
			got := testing.AllocsPerRun(20, func() {
				if stream.Len() == 0 && r.br.Buffered() == 0 {
					stream.Reset(b)
				}
				if _, err := r.Next(); err != nil {
					t.Fatal(err)
				}
			})
			if got > tt.allocs {
				t.Errorf("%v allocations a frame, want at most %v", got, tt.allocs)
			}
		})
	}
}

func TestAppend_AllocatesNothing(t *testing.T) {
	frames := []Frame{
		{ID: 1, Header: Call{Op: "module", Context: "ssh:web1", HasClosure: true, MetaLen: 2}, Body: []byte("{}")},
		{ID: 1, Header: Result{OutLen: 2, Text: strings.Repeat("x", 300)}, Body: []byte("{}")},
		{ID: 1, Header: Data{Channel: 1}, Body: make([]byte, ChunkMax)},
	}
	buf := make([]byte, 0, 2*ChunkMax)
	for _, f := range frames {
		got := testing.AllocsPerRun(100, func() {
			if _, err := Append(buf, f); err != nil {
				t.Fatal(err)
			}
		})
		// The race detector drops what a pool holds now and then.
		if got > 0 && !raceEnabled {
			t.Errorf("Append of %v: %v allocations", f.Header.Kind(), got)
		}
	}
}

// Pointers to headers, nil headers: Append does not crash on what a caller may give it by mistake.
func TestAppend_NoHeader(t *testing.T) {
	_, err := Append(nil, Frame{ID: 3})
	wantProtocolError(t, err, "no header")
	if got, want := err.Error(), "protocol error: no header"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
	b, err := Append(nil, Frame{Header: &Bye{Reason: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if f, err := NewReader(bytes.NewReader(b)).Next(); err != nil || f.Header != (Bye{Reason: "x"}) {
		t.Errorf("got %v, %v", f, err)
	}
}
