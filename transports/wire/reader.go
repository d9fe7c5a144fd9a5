package wire

import (
	"encoding/binary"
	"errors"
	"io"
)

const (
	// bufferSize holds many small frames for one read of the stream. Only links that
	// are busy have such a buffer. Bodies above it are read past it.
	bufferSize = 8 << 10
	// trust is how many bytes may be allocated for each byte that came. With it the
	// body of the largest DATA frame is allocated at once when one buffer of the frame
	// is here, and a length whose bytes never come costs nothing.
	trust = ChunkMax / bufferSize
	// lengthMin counts kind, id and the shortest header.
	lengthMin = 1 + 4 + 1
)

// Reader takes frames from a stream. It belongs to one goroutine.
type Reader struct {
	br  ahead
	err error
}

// NewReader returns a Reader that reads ahead from r.
func NewReader(r io.Reader) *Reader {
	return &Reader{br: ahead{r: r}}
}

// Next returns the next frame, whose header keeps all rules of its kind and whose
// body belongs to the caller. The error is io.EOF between two frames,
// io.ErrUnexpectedEOF inside one, a *ProtocolError for what breaks the protocol,
// and otherwise the stream's own. Errors are final: Next repeats them.
func (r *Reader) Next() (Frame, error) {
	if r.err != nil {
		return Frame{}, r.err
	}
	f, err := r.next()
	if err != nil {
		r.err = err
		return Frame{}, err
	}
	return f, nil
}

func (r *Reader) next() (Frame, error) {
	prefix, err := r.br.Peek(prefixLen)
	// The length is judged as soon as it is there: the rest of a refused frame may never come.
	if len(prefix) >= 4 {
		length := binary.BigEndian.Uint32(prefix)
		if length < lengthMin {
			return Frame{}, &ProtocolError{Reason: "frame under 6 bytes"}
		}
		if length > MaxFrame {
			return Frame{}, &ProtocolError{Reason: "frame over 1114112 bytes"}
		}
	}
	if err != nil {
		if len(prefix) == 0 {
			return Frame{}, err
		}
		return Frame{}, inside(err)
	}
	rest := int(binary.BigEndian.Uint32(prefix)) + 4 - prefixLen
	kind, id := Kind(prefix[4]), binary.BigEndian.Uint32(prefix[5:])
	r.br.Discard(prefixLen)
	if !kind.Valid() {
		return Frame{}, &ProtocolError{Kind: kind, ID: id, Reason: "unknown kind"}
	}

	header, spill, n, err := r.header(kind, id, rest)
	if err != nil {
		return Frame{}, err
	}
	size := rest - n
	if reason := header.check(size); reason != "" {
		return Frame{}, &ProtocolError{Kind: kind, ID: id, Reason: reason}
	}
	body, err := r.body(spill, size, prefixLen+n)
	if err != nil {
		return Frame{}, err
	}
	return Frame{ID: id, Header: header, Body: body}, nil
}

// header reads the header at the front of the rest bytes that a frame still has,
// and returns its length n. A header that fits the buffer, as nearly all do, is
// read in place; a longer one is gathered in steps, and what was gathered
// behind it is the spill: the first bytes of the body.
func (r *Reader) header(kind Kind, id uint32, rest int) (h Header, spill []byte, n int, err error) {
	// The prefix stood in the buffer too: to ask for more would cost a read.
	window, err := r.br.Peek(min(rest, bufferSize-prefixLen))
	if err != nil {
		return nil, nil, 0, inside(err)
	}
	s := scalars{buf: window, limit: min(rest, MaxHeader)}
	h = decode(kind, &s)
	if !s.short && s.fault == "" {
		r.br.Discard(s.at)
		return h, nil, s.at, nil
	}
	var gathered []byte
	for s.short {
		have := len(gathered)
		more := make([]byte, min(s.limit, 2*len(s.buf)))
		copy(more, gathered)
		if _, err := io.ReadFull(&r.br, more[have:]); err != nil {
			return nil, nil, 0, inside(err)
		}
		gathered = more
		s = scalars{buf: gathered, limit: s.limit}
		h = decode(kind, &s)
	}
	if s.fault != "" {
		return nil, nil, 0, &ProtocolError{Kind: kind, ID: id, Reason: s.fault}
	}
	return h, gathered[s.at:], s.at, nil
}

// body reads size bytes, of which spill has been read already. seen is how many
// bytes the frame had ahead of them.
func (r *Reader) body(spill []byte, size, seen int) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	body, filled := spill, len(spill)
	for step := allowance(size, seen+filled+r.br.Buffered()); ; step = allowance(size, seen+filled) {
		grown := make([]byte, step)
		copy(grown, body)
		body = grown
		if _, err := io.ReadFull(&r.br, body[filled:]); err != nil {
			return nil, inside(err)
		}
		filled = step
		if filled == size {
			return body, nil
		}
	}
}

// allowance returns how much of a body of that size may be allocated when so many
// bytes of its frame have come.
func allowance(size, came int) int { return min(size, trust*came) }

// inside translates an error that struck within a frame.
func inside(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
