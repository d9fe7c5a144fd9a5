package wire

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"sync"
)

// The reasons for which a PACKED frame is refused.
const (
	reasonPiece  = "is no piece of a deflate stream"
	reasonPacked = "inflates to more than 524288 bytes"
	reasonTwice  = "packed twice"
	reasonWhole  = "a frame in it is not whole"
)

// Unpacker reads frames as [Reader] does, and in the place of each PACKED frame those that it stands for. Between two of
// them it holds at most [PastMax] bytes of what came before; from one, at most [MaxPacked] at a time. It belongs to one
// goroutine.
type Unpacker struct {
	src   *Reader
	past  []byte
	inner *Reader // over a PACKED frame that has been begun
	rest  bytes.Reader
	err   error
}

// NewUnpacker returns an Unpacker of what r reads.
func NewUnpacker(r *Reader) *Unpacker { return &Unpacker{src: r} }

// Next returns the next frame. It promises what [Reader.Next] does, but that what a frame holds is measured against
// MaxPacked where it came packed, and not against the bytes that came.
func (u *Unpacker) Next() (Frame, error) {
	if u.err != nil {
		return Frame{}, u.err
	}
	f, err := u.next()
	if err != nil {
		u.err = err
		u.close()
		return Frame{}, err
	}
	return f, nil
}

func (u *Unpacker) next() (Frame, error) {
	for {
		if u.inner == nil {
			f, err := u.src.Next()
			if err != nil {
				return Frame{}, err
			}
			h, packed := f.Header.(Packed)
			if !packed {
				return f, nil
			}
			if err := u.open(h.Fresh, f.Body); err != nil {
				return Frame{}, err
			}
		}
		f, err := u.inner.Next()
		switch {
		case errors.Is(err, io.EOF):
			u.close()
			continue
		case errors.Is(err, io.ErrUnexpectedEOF):
			return Frame{}, &ProtocolError{Kind: KindPacked, Reason: reasonWhole}
		case err != nil:
			return Frame{}, err
		}
		if _, packed := f.Header.(Packed); packed {
			return Frame{}, &ProtocolError{Kind: KindPacked, ID: f.ID, Reason: reasonTwice}
		}
		if u.rest.Len() == 0 && u.inner.br.Buffered() == 0 {
			u.close() // the next one may be long in coming
		}
		return f, nil
	}
}

// inners are Readers that have nothing to read: their buffers are as large as all that an idle link may hold.
var inners = sync.Pool{New: func() any { return NewReader(nil) }}

func (u *Unpacker) open(fresh bool, body []byte) error {
	var past []byte
	if !fresh {
		past = u.past
	}
	data, reason := inflate(body, past)
	if reason != "" {
		return &ProtocolError{Kind: KindPacked, Reason: reason}
	}
	if !fresh {
		u.past = remember(u.past, data)
	}
	u.inner = inners.Get().(*Reader)
	u.rest.Reset(data)
	u.inner.br.reset(&u.rest)
	return nil
}

func (u *Unpacker) close() {
	if u.inner != nil {
		u.rest.Reset(nil)
		u.inner.br.reset(nil)
		u.inner.err = nil
		inners.Put(u.inner)
		u.inner = nil
	}
}

// inflateTail ends a piece as a flush does, and then the stream, so that it is known to have been read to its end.
var inflateTail = append(syncTail[:4:4], 1, 0, 0, 0xff, 0xff)

// inflater reads a piece. It is many times as large as what is to be remembered of a stream between two pieces.
type inflater struct {
	piece bytes.Reader
	tail  bytes.Reader
	both  joined
	flate io.ReadCloser
}

// joined reads two strings of bytes, one behind the other. Inflating takes single bytes, and so no more than it needs.
type joined struct{ a, b *bytes.Reader }

func (j joined) Read(p []byte) (int, error) {
	if j.a.Len() > 0 {
		return j.a.Read(p)
	}
	return j.b.Read(p)
}

func (j joined) ReadByte() (byte, error) {
	if j.a.Len() > 0 {
		return j.a.ReadByte()
	}
	return j.b.ReadByte()
}

var inflaters = sync.Pool{New: func() any {
	i := new(inflater)
	i.both = joined{&i.piece, &i.tail}
	i.flate = flate.NewReader(i.both)
	return i
}}

// inflate returns what a piece of a stream stands for of which past came before, or what is wrong with it.
func inflate(body, past []byte) (data []byte, reason string) {
	i := inflaters.Get().(*inflater)
	defer inflaters.Put(i)
	i.piece.Reset(body)
	defer i.piece.Reset(nil)
	i.tail.Reset(inflateTail)
	if err := i.flate.(flate.Resetter).Reset(i.both, past); err != nil {
		return nil, reasonPiece
	}
	data, err := readSome(i.flate, min(4*len(body)+512, MaxPacked+1))
	switch {
	case len(data) > MaxPacked:
		return nil, reasonPacked
	case err != nil || i.tail.Len() > 0:
		return nil, reasonPiece
	}
	return data, ""
}

// readSome reads to the end, but no more than MaxPacked bytes and one. The room for that doubles from size on, up to what it may be.
func readSome(r io.Reader, size int) ([]byte, error) {
	data := make([]byte, 0, size)
	for len(data) <= MaxPacked {
		if len(data) == cap(data) {
			larger := make([]byte, len(data), min(2*cap(data), MaxPacked+1))
			copy(larger, data)
			data = larger
		}
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return data, err
		}
	}
	return data, nil
}
