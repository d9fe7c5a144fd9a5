package wire

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// prefixLen is what precedes the header: length, kind and id.
const prefixLen = 4 + 1 + 4

// Frame is one unit of the wire.
type Frame struct {
	ID     uint32 // the call or stream; 0 is the link itself
	Header Header
	Body   []byte // belongs to whoever holds the Frame; nil when empty
}

// Append appends the whole frame to dst and returns the extended slice. What breaks
// the protocol is refused with a *ProtocolError, and dst comes back as it was.
func Append(dst []byte, f Frame) ([]byte, error) {
	dst, err := AppendHead(dst, f)
	if err != nil {
		return dst, err
	}
	return append(dst, f.Body...), nil
}

// AppendHead appends everything but the body, which the caller sends behind it
// unchanged (net.Buffers), so that bulk is never copied. Its errors are Append's.
func AppendHead(dst []byte, f Frame) ([]byte, error) {
	if f.Header == nil {
		return dst, &ProtocolError{ID: f.ID, Reason: "no header"}
	}
	kind := f.Header.Kind()
	if reason := f.Header.check(len(f.Body)); reason != "" {
		return dst, &ProtocolError{Kind: kind, ID: f.ID, Reason: reason}
	}
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, byte(kind))
	dst = binary.BigEndian.AppendUint32(dst, f.ID)

	e := encoders.Get().(*encoder)
	e.buf = dst
	f.Header.encode(e)
	dst, e.buf = e.buf, nil
	encoders.Put(e)

	if len(dst)-start-prefixLen > MaxHeader {
		return dst[:start], &ProtocolError{Kind: kind, ID: f.ID, Reason: "header over 65536 bytes"}
	}
	length := len(dst) - start - 4 + len(f.Body)
	if length > MaxFrame {
		return dst[:start], &ProtocolError{Kind: kind, ID: f.ID, Reason: "frame over 1114112 bytes"}
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(length))
	return dst, nil
}

// encoder is a msgpack encoder that appends to buf. Writing to it cannot fail,
// which is why its users do not look at errors.
type encoder struct {
	buf     []byte
	mp      *msgpack.Encoder
	scratch Digest // msgpack gets a slice of it: a slice of the header would move that to the heap
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.mp = msgpack.NewEncoder(e)
	return e
}}

// Write implements io.Writer for the msgpack encoder.
func (e *encoder) Write(p []byte) (int, error) {
	e.buf = append(e.buf, p...)
	return len(p), nil
}

// WriteByte implements io.ByteWriter; without it msgpack would wrap the encoder.
func (e *encoder) WriteByte(c byte) error {
	e.buf = append(e.buf, c)
	return nil
}

func (e *encoder) array(n int)   { _ = e.mp.EncodeArrayLen(n) }
func (e *encoder) bool(v bool)   { _ = e.mp.EncodeBool(v) }
func (e *encoder) int(v int)     { _ = e.mp.EncodeInt(int64(v)) }
func (e *encoder) int64(v int64) { _ = e.mp.EncodeInt(v) }
func (e *encoder) str(v string)  { _ = e.mp.EncodeString(v) }
func (e *encoder) nil()          { _ = e.mp.EncodeNil() }

func (e *encoder) digest(d Digest) {
	e.scratch = d
	_ = e.mp.EncodeBytes(e.scratch[:])
}

// millis rounds up: a time above zero must not become 0, which means "no limit".
func (e *encoder) millis(d time.Duration) {
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond > 0 {
		ms++
	}
	// Rounding up may leave the range that the reader converts back.
	e.int64(min(ms, maxMillis))
}

func (h Hello) encode(e *encoder) {
	e.array(4)
	e.int(h.Proto)
	e.str(h.Role)
	e.int(h.PID)
	e.str(h.Version)
}

func (h Ready) encode(e *encoder) {
	e.array(4)
	e.int(h.Proto)
	e.int(h.PID)
	e.str(h.Version)
	e.millis(h.Silence)
}

func (h Call) encode(e *encoder) {
	e.array(6)
	e.str(h.Op)
	e.str(h.Context)
	if h.HasClosure {
		e.digest(h.Closure)
	} else {
		e.nil()
	}
	e.int(h.MetaLen)
	e.millis(h.Timeout)
	e.int64(int64(h.Flags))
}

func (h Result) encode(e *encoder) {
	e.array(6)
	e.int(int(h.Status))
	e.int(h.RC)
	e.int(h.OutLen)
	e.int(h.ErrLen)
	e.int(h.Errno)
	e.str(h.Text)
}

func (h Cancel) encode(e *encoder) {
	e.array(1)
	e.str(h.Reason)
}

func (h Spawn) encode(e *encoder) {
	e.array(2)
	e.int(h.Mode)
	e.int(h.MetaLen)
}

func (h Data) encode(e *encoder) {
	e.array(1)
	e.int(h.Channel)
}

func (h EOF) encode(e *encoder) {
	e.array(1)
	e.int(h.Channel)
}

func (h Exit) encode(e *encoder) {
	e.array(3)
	e.int(h.RC)
	e.int(h.Signal)
	e.str(h.Text)
}

func (h Credit) encode(e *encoder) {
	e.array(2)
	e.int(h.Channel)
	e.int(h.Bytes)
}

func (h Blob) encode(e *encoder) {
	e.array(3)
	e.digest(h.Digest)
	e.int(h.Size)
	e.int(h.Encoding)
}

func (h Splice) encode(e *encoder) {
	e.array(3)
	e.int(h.Channel)
	e.digest(h.Digest)
	e.int(h.Form)
}

func (h Log) encode(e *encoder) {
	e.array(3)
	e.int(h.Level)
	e.str(h.Logger)
	e.str(h.Text)
}

func (h Ping) encode(e *encoder) {
	e.array(2)
	e.bool(h.Reply)
	e.int64(h.Stamp)
}

func (h Bye) encode(e *encoder) {
	e.array(1)
	e.str(h.Reason)
}

func (h Packed) encode(e *encoder) {
	e.array(1)
	e.bool(h.Fresh)
}

func (h Byway) encode(e *encoder) {
	e.array(2)
	e.int(h.Count)
	e.str(h.Path)
}

func (h Part) encode(e *encoder) {
	e.array(3)
	e.int(h.Channel)
	e.int64(h.Offset)
	e.bool(h.Last)
}
