package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// FuzzReader feeds whatever the fuzzer thinks of to a Reader.
func FuzzReader(f *testing.F) {
	vectors := readVectors(f)
	for _, list := range [][]vector{vectors.Frames, vectors.Aliases, vectors.Refused} {
		for _, v := range list {
			if len(v.Frame) <= 1000 { // large seeds only slow the fuzzer down
				f.Add([]byte(v.Frame))
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkStream(t, b) })
}

type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// checkStream holds the Reader to its promises on any bytes at all: no panic, only
// the errors it documents, no more memory than the bytes justify, the same result
// however they are cut, and frames that can be written and read again.
func checkStream(t reporter, b []byte) {
	t.Helper()
	frames, err := readAll(bytes.NewReader(b))
	if _, refused := errors.AsType[*ProtocolError](err); err != nil && err != io.ErrUnexpectedEOF && !refused {
		t.Fatalf("error %v (%T)", err, err)
	}
	held := 0
	for _, f := range frames {
		held += cap(f.Body)
		if cap(f.Body) != len(f.Body) {
			t.Errorf("%v: body of %d bytes in %d", f.Header.Kind(), len(f.Body), cap(f.Body))
		}
		if reason := f.Header.check(len(f.Body)); reason != "" {
			t.Errorf("%v came through: %s", f.Header, reason)
		}
	}
	if held > len(b) {
		t.Errorf("bodies of %d bytes from %d", held, len(b))
	}
	if len(b) < 4096 {
		again, errAgain := readAll(iotest.OneByteReader(bytes.NewReader(b)))
		if diff := cmp.Diff(frames, again, frameOptions); diff != "" {
			t.Errorf("cut into bytes, the stream differs (-whole +cut):\n%s", diff)
		}
		if (err == nil) != (errAgain == nil) || err != nil && err.Error() != errAgain.Error() {
			t.Errorf("cut into bytes, the error is %v, not %v", errAgain, err)
		}
	}
	var first, second []byte
	for _, f := range frames {
		var errWrite error
		if first, errWrite = Append(first, f); errWrite != nil {
			t.Fatalf("cannot write what was read: %v", errWrite)
		}
	}
	reread, err := readAll(bytes.NewReader(first))
	if err != nil {
		t.Fatalf("cannot read what was written: %v", err)
	}
	if diff := cmp.Diff(frames, reread, frameOptions); diff != "" {
		t.Errorf("written and read again, frames differ (-before +after):\n%s", diff)
	}
	for _, f := range reread {
		second, _ = Append(second, f)
	}
	if !bytes.Equal(first, second) {
		t.Errorf("writing is not stable")
	}
}
