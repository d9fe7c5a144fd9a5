package wire

import (
	"io"
	"sync"
)

// idleSize is what a reader keeps while its stream is silent: enough for the frames of a quiet link, which then cost one read.
const idleSize = 512

// buffers are those of links that are busy. There are few at a time, however many links there are.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// ahead reads ahead from a stream, as bufio.Reader does, but holds a buffer of bufferSize only while there is much to read.
type ahead struct {
	r       io.Reader
	idle    [idleSize]byte
	busy    *[bufferSize]byte // nil while idle will do
	at, end int               // what is buffered
	brimful bool              // the last read got all that it had room for, so there is more
}

func (a *ahead) buf() []byte {
	if a.busy != nil {
		return a.busy[:]
	}
	return a.idle[:]
}

// borrow takes a large buffer, with what is buffered in it.
func (a *ahead) borrow() {
	if a.busy == nil {
		busy := buffers.Get().(*[bufferSize]byte)
		a.at, a.end = 0, copy(busy[:], a.idle[a.at:a.end])
		a.busy = busy
	}
}

// giveBack returns the large buffer. Nothing may be buffered.
func (a *ahead) giveBack() {
	if a.busy != nil {
		buffers.Put(a.busy)
		a.busy = nil
	}
}

// fill reads once. There must be room behind what is buffered, or nothing buffered.
func (a *ahead) fill() error {
	if a.at == a.end {
		a.at, a.end = 0, 0
	}
	if a.brimful {
		a.borrow()
	} else if a.end == 0 {
		a.giveBack()
	}
	room := a.buf()[a.end:]
	for range 100 {
		n, err := a.r.Read(room)
		if n < 0 || n > len(room) {
			panic("wire: a reader returned an impossible count")
		}
		a.end += n
		a.brimful = n == len(room)
		if n > 0 || err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// Peek returns the next n bytes, at most bufferSize, without taking them: fewer only with an error. They are good until the next call.
func (a *ahead) Peek(n int) ([]byte, error) {
	for a.end-a.at < n {
		if a.at < a.end && n > idleSize {
			a.borrow()
		}
		if a.at > 0 && n > len(a.buf())-a.at {
			a.at, a.end = 0, copy(a.buf(), a.buf()[a.at:a.end])
		}
		if a.at == a.end && n > idleSize {
			a.brimful = true // for a large buffer from the start
		}
		if err := a.fill(); err != nil && a.end-a.at < n {
			return a.buf()[a.at:a.end], err
		}
	}
	return a.buf()[a.at : a.at+n], nil
}

// Discard takes n bytes that are buffered.
func (a *ahead) Discard(n int) { a.at += n }

// Buffered is how many bytes are.
func (a *ahead) Buffered() int { return a.end - a.at }

// Read takes what is buffered, or reads once; what is larger than the buffer goes past it.
func (a *ahead) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if a.at == a.end {
		if len(p) >= len(a.buf()) {
			return a.r.Read(p)
		}
		if err := a.fill(); a.at == a.end {
			return 0, err
		}
	}
	n := copy(p, a.buf()[a.at:a.end])
	a.at += n
	return n, nil
}

// reset begins with another stream, or none; what is buffered is dropped.
func (a *ahead) reset(r io.Reader) {
	a.at, a.end, a.brimful = 0, 0, false
	a.giveBack()
	a.r = r
}
