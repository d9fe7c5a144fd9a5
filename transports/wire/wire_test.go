package wire

import (
	"bytes"
	"io"
	"iter"
	"math"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// frameOptions compares bodies at once, since cmp would look at a million bytes one
// by one. A body without bytes is nil or not.
var frameOptions = cmp.Comparer(bytes.Equal)

// streams gives the same bytes as streams that hand them out differently.
func streams(b []byte) iter.Seq2[string, io.Reader] {
	return func(yield func(string, io.Reader) bool) {
		_ = yield("whole", bytes.NewReader(b)) &&
			yield("with EOF", iotest.DataErrReader(bytes.NewReader(b))) &&
			yield("halved", iotest.HalfReader(bytes.NewReader(b))) &&
			yield("in odd pieces", &pieced{b, []int{1, 4, 9, 8191, 8192, 8193, 3}, 0}) &&
			(len(b) > 20000 || yield("byte by byte", iotest.OneByteReader(bytes.NewReader(b))))
	}
}

// pieced hands out pieces of the given sizes, over and over.
type pieced struct {
	b     []byte
	sizes []int
	n     int
}

func (p *pieced) Read(into []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(into, p.b[:min(len(p.b), p.sizes[p.n%len(p.sizes)])])
	p.b, p.n = p.b[n:], p.n+1
	return n, nil
}

// readAll takes frames until the stream's error, which is nil for io.EOF.
func readAll(r io.Reader) ([]Frame, error) {
	reader := NewReader(r)
	var frames []Frame
	for {
		f, err := reader.Next()
		if err == io.EOF {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		frames = append(frames, f)
	}
}

// Generators of frames that keep the protocol.
var (
	anyInt  = rapid.Custom(func(t *rapid.T) int { return int(anyInt64.Draw(t, "int")) })
	anySize = rapid.IntRange(0, math.MaxInt32)
	// anyInt64 prefers the borders between encodings.
	anyInt64 = rapid.OneOf(rapid.Int64(), rapid.Int64Range(-200, 300), rapid.Custom(func(t *rapid.T) int64 {
		border := int64(1) << rapid.IntRange(0, 62).Draw(t, "bit")
		n := border + rapid.Int64Range(-1, 1).Draw(t, "step")
		if rapid.Bool().Draw(t, "negative") {
			return -n
		}
		return n
	}))
	anyMillis = rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64Range(0, maxMillis).Draw(t, "ms")) * time.Millisecond
	})
	anyText = rapid.OneOf(rapid.String(), rapid.Custom(func(t *rapid.T) string {
		n := rapid.SampledFrom([]int{0, 1, 31, 32, 255, 256, 4000, 20000}).Draw(t, "length")
		return string(bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, n))
	}))
	anyDigest  = rapid.Custom(func(t *rapid.T) Digest { return Sum([]byte(rapid.String().Draw(t, "content"))) })
	anyChannel = rapid.IntRange(ChannelIn, ChannelErr)
	anyBody    = rapid.Custom(func(t *rapid.T) []byte {
		n := rapid.OneOf(rapid.IntRange(0, 40), rapid.SampledFrom([]int{8000, 8192, 8193, 70000, ChunkMax})).Draw(t, "length")
		return bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, n)
	})
)

var anyFrame = rapid.Custom(func(t *rapid.T) Frame {
	f := Frame{ID: rapid.Uint32().Draw(t, "id")}
	kind := Kind(rapid.IntRange(int(KindHello), int(KindPart)).Draw(t, "kind"))
	switch kind {
	case KindHello, KindReady, KindCall, KindResult, KindSpawn, KindData, KindBlob, KindPacked, KindPart:
		if body := anyBody.Draw(t, "body"); len(body) > 0 {
			f.Body = body
		}
	}
	f.Header = drawHeader(t, kind, len(f.Body))
	return f
})

func drawHeader(t *rapid.T, kind Kind, body int) Header {
	text := func(name string) string { return anyText.Draw(t, name) }
	number := func(name string) int { return anyInt.Draw(t, name) }
	part := func(name string) int { return rapid.IntRange(0, body).Draw(t, name) }
	switch kind {
	case KindHello:
		return Hello{Proto: number("proto"), Role: text("role"), PID: number("pid"), Version: text("version")}
	case KindReady:
		return Ready{Proto: number("proto"), PID: number("pid"), Version: text("version"), Silence: anyMillis.Draw(t, "silence")}
	case KindCall:
		c := Call{
			Op: text("op"), Context: text("context"), MetaLen: part("meta"), Timeout: anyMillis.Draw(t, "timeout"),
			Flags: Flags(rapid.Uint32().Draw(t, "flags")), HasClosure: rapid.Bool().Draw(t, "has closure"),
		}
		if c.HasClosure {
			c.Closure = anyDigest.Draw(t, "closure")
		}
		return c
	case KindResult:
		out := part("out")
		return Result{
			Status: Status(rapid.IntRange(0, int(StatusStale)).Draw(t, "status")), RC: number("rc"),
			OutLen: out, ErrLen: body - out, Errno: number("errno"), Text: text("text"),
		}
	case KindCancel:
		return Cancel{Reason: text("reason")}
	case KindSpawn:
		return Spawn{Mode: rapid.IntRange(0, 2).Draw(t, "mode"), MetaLen: part("meta")}
	case KindData:
		return Data{Channel: anyChannel.Draw(t, "channel")}
	case KindEOF:
		return EOF{Channel: anyChannel.Draw(t, "channel")}
	case KindExit:
		return Exit{RC: number("rc"), Signal: number("signal"), Text: text("text")}
	case KindCredit:
		return Credit{Channel: anyChannel.Draw(t, "channel"), Bytes: anySize.Draw(t, "bytes")}
	case KindBlob:
		return Blob{Digest: anyDigest.Draw(t, "digest"), Size: anySize.Draw(t, "size"), Encoding: rapid.IntRange(0, 1).Draw(t, "encoding")}
	case KindSplice:
		return Splice{Channel: anyChannel.Draw(t, "channel"), Digest: anyDigest.Draw(t, "digest"), Form: rapid.IntRange(0, 1).Draw(t, "form")}
	case KindLog:
		return Log{Level: number("level"), Logger: text("logger"), Text: text("text")}
	case KindPing:
		return Ping{Reply: rapid.Bool().Draw(t, "reply"), Stamp: anyInt64.Draw(t, "stamp")}
	case KindPacked:
		return Packed{Fresh: rapid.Bool().Draw(t, "fresh")}
	case KindByway:
		return Byway{Count: anySize.Draw(t, "count"), Path: text("path")}
	case KindPart:
		return Part{Channel: anyChannel.Draw(t, "channel"), Offset: rapid.Int64Min(0).Draw(t, "offset"), Last: rapid.Bool().Draw(t, "last")}
	default:
		return Bye{Reason: text("reason")}
	}
}
