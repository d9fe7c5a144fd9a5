package wire

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// trickle reads what it is told to at a time.
type trickle struct {
	rest  []byte
	sizes []int
	reads int
}

func (p *trickle) Read(b []byte) (int, error) {
	p.reads++
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := len(p.rest)
	if len(p.sizes) > 0 {
		n, p.sizes = min(n, p.sizes[0]), p.sizes[1:]
	}
	n = copy(b, p.rest[:n])
	p.rest = p.rest[n:]
	return n, nil
}

// However a stream comes, and in whatever way it is asked for, the bytes are those of the stream.
func TestAheadReadsTheStream(t *testing.T) {
	all := make([]byte, 100<<10)
	for i := range all {
		all[i] = byte(rand.IntN(256))
	}
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOf(rapid.SampledFrom([]int{1, 9, idleSize - 1, idleSize, idleSize + 1, 4000, bufferSize, 50000})).Draw(t, "sizes")
		a := &ahead{r: &trickle{rest: all, sizes: sizes}}
		for at := 0; ; {
			n := rapid.SampledFrom([]int{1, 9, 100, idleSize, idleSize + 1, bufferSize - 9, bufferSize}).Draw(t, "n")
			if rapid.Bool().Draw(t, "peek") {
				got, err := a.Peek(n)
				if len(got) != min(n, len(all)-at) || !bytes.Equal(got, all[at:at+len(got)]) || (err != nil) != (len(got) < n) {
					t.Fatalf("Peek(%d) at %d: %d bytes, %v", n, at, len(got), err)
				}
				take := rapid.IntRange(0, len(got)).Draw(t, "take")
				a.Discard(take)
				at += take
				continue
			}
			got := make([]byte, n)
			k, err := a.Read(got)
			if !bytes.Equal(got[:k], all[at:at+k]) {
				t.Fatalf("Read(%d) at %d: other bytes", n, at)
			}
			if at += k; err != nil {
				if !errors.Is(err, io.EOF) || at != len(all) {
					t.Fatalf("at %d: %v", at, err)
				}
				return
			}
		}
	})
}

// A link that has been busy holds no large buffer when its next read finds nothing, and a quiet one never has any.
func TestAheadHoldsNothingWhileItWaits(t *testing.T) {
	silent := errors.New("silent")
	a := &ahead{r: io.MultiReader(bytes.NewReader(make([]byte, 3*bufferSize+10)), iotest.ErrReader(silent))}
	var most bool
	for {
		_, err := a.Peek(1)
		most = most || a.busy != nil
		if err != nil {
			break
		}
		a.Discard(a.Buffered())
	}
	if !most {
		t.Error("a busy link reads by the small buffer")
	}
	if a.busy != nil {
		t.Error("a large buffer is held while nothing comes")
	}
}

// Small frames cost one read each where they come one by one, and large ones as many as before.
func TestAheadReadsNoOftener(t *testing.T) {
	p := &trickle{rest: make([]byte, 300), sizes: []int{100, 100, 100}}
	a := &ahead{r: p}
	for range 3 {
		if _, err := a.Peek(9); err != nil {
			t.Fatal(err)
		}
		a.Discard(100)
	}
	if p.reads != 3 {
		t.Errorf("%d reads for three small frames that came one by one", p.reads)
	}
	p = &trickle{rest: make([]byte, 1<<20)}
	a = &ahead{r: p}
	for range 1 << 20 / bufferSize {
		if _, err := a.Peek(bufferSize); err != nil {
			t.Fatal(err)
		}
		a.Discard(bufferSize)
	}
	if most := 1<<20/bufferSize + 2; p.reads > most {
		t.Errorf("%d reads for a megabyte, want at most %d", p.reads, most)
	}
}
