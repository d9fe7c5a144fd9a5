package wire

import (
	"bytes"

	"github.com/klauspost/compress/flate"
)

// syncTail is what a flushed piece of a deflate stream ends with: an empty stored block. It tells nothing, so it is left out.
var syncTail = []byte{0, 0, 0xff, 0xff}

// Packer makes the PACKED frames of one direction of a link. It remembers the last [PastMax] bytes that went through it
// and nothing else: ten thousand idle links must not hold ten thousand compressors. It belongs to one goroutine. The zero
// value begins a stream.
type Packer struct{ past []byte }

// Append appends to dst one PACKED frame that stands for frames, which are whole encoded ones of [MaxPacked] bytes at most.
func (p *Packer) Append(dst, frames []byte) ([]byte, error) {
	body, err := deflate(frames, p.past)
	if err != nil {
		return dst, err
	}
	p.past = remember(p.past, frames)
	return Append(dst, Frame{Header: Packed{}, Body: body})
}

// PackFresh returns a PACKED frame that stands for f and refers to nothing before it. ok is false if that does not save a
// tenth of it.
func PackFresh(f Frame) (packed Frame, ok bool, err error) {
	whole, err := Append(make([]byte, 0, len(f.Body)+64), f)
	if err != nil || len(whole) > MaxPacked {
		return Frame{}, false, err
	}
	body, err := deflate(whole, nil)
	if err != nil || len(body) > len(f.Body)/10*9 {
		return Frame{}, false, err
	}
	return Frame{ID: f.ID, Header: Packed{Fresh: true}, Body: body}, true, nil
}

// deflate returns the next piece of a stream of which past came before.
func deflate(data, past []byte) ([]byte, error) {
	if len(data) > MaxPacked {
		return nil, &ProtocolError{Kind: KindPacked, Reason: reasonPacked}
	}
	var out bytes.Buffer
	if err := flate.StatelessDeflate(&out, data, false, past); err != nil {
		return nil, err // a buffer takes everything
	}
	return bytes.TrimSuffix(out.Bytes(), syncTail), nil
}

// remember returns the last bytes of past and data, in the place of past where that is large enough.
func remember(past, data []byte) []byte {
	if len(data) >= PastMax {
		return append(past[:0], data[len(data)-PastMax:]...)
	}
	if over := len(past) + len(data) - PastMax; over > 0 {
		past = past[:copy(past, past[over:])]
	}
	if n := len(past) + len(data); n > cap(past) {
		past = append(make([]byte, 0, min(PastMax, max(n, 2*cap(past)))), past...)
	}
	return append(past, data...)
}
