package wire

import (
	"bytes"
	"io"
	"testing"
)

// benchFrames are the frames that travel most.
var benchFrames = []struct {
	name  string
	frame Frame
}{
	{"ping", Frame{Header: Ping{Stamp: 1 << 40}}},
	{"call-300B", Frame{ID: 77, Header: Call{Op: "module", Context: "ssh:deploy@web1", HasClosure: true, MetaLen: 200, Timeout: 30e9}, Body: make([]byte, 300)}},
	{"result-4KiB", Frame{ID: 77, Header: Result{OutLen: 4 << 10}, Body: make([]byte, 4<<10)}},
	{"data-128KiB", Frame{ID: 77, Header: Data{Channel: 1}, Body: make([]byte, ChunkMax)}},
	{"blob-1MiB", Frame{Header: Blob{Size: MaxBlob}, Body: make([]byte, MaxBlob)}},
}

func BenchmarkAppendHead(b *testing.B) {
	for _, bb := range benchFrames {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 256)
			for b.Loop() {
				if _, err := AppendHead(buf, bb.frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, bb := range benchFrames {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bb.frame.Body)))
			buf := make([]byte, 0, MaxFrame)
			for b.Loop() {
				if _, err := Append(buf, bb.frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNext(b *testing.B) {
	for _, bb := range benchFrames {
		b.Run(bb.name, func(b *testing.B) {
			frame, err := Append(nil, bb.frame)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			r := NewReader(&endless{frame: frame})
			for b.Loop() {
				if _, err := r.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// endless gives the same frame again and again.
type endless struct {
	frame []byte
	at    int
}

var _ io.Reader = (*endless)(nil)

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c := copy(p[n:], e.frame[e.at:])
		n += c
		e.at = (e.at + c) % len(e.frame)
	}
	return n, nil
}

func BenchmarkRefuse(b *testing.B) {
	frame := append(prefix(MaxFrame, KindBye), bytes.Repeat([]byte{0x91}, bufferSize)...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewReader(bytes.NewReader(frame)).Next(); err == nil {
			b.Fatal("accepted")
		}
	}
}
