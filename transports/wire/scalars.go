package wire

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// The reasons for which the msgpack of a header is refused.
const (
	reasonArray  = "header is not an array of this kind's elements"
	reasonType   = "header element of another type"
	reasonRange  = "integer does not fit a signed 64 bit"
	reasonDigest = "digest is not 32 bytes"
	reasonLong   = "header runs past the frame or 65536 bytes"
)

// scalars reads the elements of a header one after the other. The first fault
// sticks and every later read gives the empty value, so that the decoder of a
// kind is a plain list of its fields.
//
// buf holds what has come of the frame, limit what the header may take of it. An
// element behind buf but within limit is not a fault: short is set, and the header
// is read again when more has come. An element behind limit is refused at once,
// whatever its length field asks for.
type scalars struct {
	buf   []byte
	limit int
	at    int
	short bool
	fault string
}

func (s *scalars) done() bool { return s.short || s.fault != "" }

func (s *scalars) fail(reason string) {
	if !s.done() {
		s.fault = reason
	}
}

// take returns the next n bytes, or nil.
func (s *scalars) take(n int) []byte {
	switch {
	case s.done():
		return nil
	case n > s.limit-s.at:
		s.fail(reasonLong)
		return nil
	case n > len(s.buf)-s.at:
		s.short = true
		return nil
	}
	b := s.buf[s.at : s.at+n]
	s.at += n
	return b
}

// code returns the next byte. Where there is none it is nil's, the code that gives
// every type's empty value.
func (s *scalars) code() byte {
	if b := s.take(1); b != nil {
		return b[0]
	}
	return msgpcode.Nil
}

// uint reads n bytes as one big endian number.
func (s *scalars) uint(n int) uint64 {
	b := s.take(n)
	if b == nil {
		return 0
	}
	switch n {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	default:
		return binary.BigEndian.Uint64(b)
	}
}

func (s *scalars) array(want int) {
	c, n := s.code(), -1
	switch {
	case msgpcode.IsFixedArray(c):
		n = int(c & msgpcode.FixedArrayMask)
	case c == msgpcode.Array16:
		n = int(s.uint(2))
	case c == msgpcode.Array32:
		n = int(s.uint(4))
	}
	if n != want {
		s.fail(reasonArray)
	}
}

func (s *scalars) bool() bool {
	switch s.code() {
	case msgpcode.True:
		return true
	case msgpcode.False, msgpcode.Nil:
	default:
		s.fail(reasonType)
	}
	return false
}

func (s *scalars) int64() int64 {
	c := s.code()
	if msgpcode.IsFixedNum(c) {
		return int64(int8(c))
	}
	switch c {
	case msgpcode.Nil:
		return 0
	case msgpcode.Uint8:
		return int64(s.uint(1))
	case msgpcode.Uint16:
		return int64(s.uint(2))
	case msgpcode.Uint32:
		return int64(s.uint(4))
	case msgpcode.Uint64:
		n := s.uint(8)
		if n > math.MaxInt64 {
			s.fail(reasonRange)
			return 0
		}
		return int64(n)
	case msgpcode.Int8:
		return int64(int8(s.uint(1)))
	case msgpcode.Int16:
		return int64(int16(s.uint(2)))
	case msgpcode.Int32:
		return int64(int32(s.uint(4)))
	case msgpcode.Int64:
		return int64(s.uint(8))
	}
	s.fail(reasonType)
	return 0
}

func (s *scalars) int() int { return int(s.int64()) }

// upTo reads an integer that must lie between 0 and limit, for fields whose Go
// type is narrower than the wire's.
func (s *scalars) upTo(limit int64, reason string) int64 {
	n := s.int64()
	if n < 0 || n > limit {
		s.fail(reason)
		return 0
	}
	return n
}

func (s *scalars) millis() time.Duration {
	return time.Duration(s.upTo(maxMillis, reasonTime)) * time.Millisecond
}

// bytes returns the content of a str or a bin; nil is the empty one. It aliases
// the buffer.
func (s *scalars) bytes() []byte {
	c := s.code()
	if msgpcode.IsFixedString(c) {
		return s.take(int(c & msgpcode.FixedStrMask))
	}
	switch c {
	case msgpcode.Nil:
		return nil
	case msgpcode.Str8, msgpcode.Bin8:
		return s.take(int(s.uint(1)))
	case msgpcode.Str16, msgpcode.Bin16:
		return s.take(int(s.uint(2)))
	case msgpcode.Str32, msgpcode.Bin32:
		return s.take(int(s.uint(4)))
	}
	s.fail(reasonType)
	return nil
}

func (s *scalars) str() string { return string(s.bytes()) }

// digestOrNone reads a digest that may be absent.
func (s *scalars) digestOrNone() (d Digest, ok bool) {
	b := s.bytes()
	switch len(b) {
	case 0:
		return d, false
	case len(d):
		return Digest(b), true
	}
	s.fail(reasonDigest)
	return d, false
}

func (s *scalars) digest() Digest {
	d, ok := s.digestOrNone()
	if !ok {
		s.fail(reasonDigest)
	}
	return d
}
