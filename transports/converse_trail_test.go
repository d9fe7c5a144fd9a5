package transports_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"spindle/transports"
	"spindle/transports/wire"
)

// bundled is a program with something to be written behind its flight.
func bundled(body []byte) transports.Program {
	behind := make(chan wire.Frame, 1)
	behind <- wire.Frame{Header: wire.Blob{Digest: wire.Sum(body), Size: len(body)}, Body: body}
	p := boot
	p.Behind = behind
	return p
}

// trickling is a link that Converse is through with while what is behind the flight is still on its way; read, once closed, lets the far end
// read on, and got is what it has then.
func trickling(t *testing.T, wrap func(*memory) transports.Link, read <-chan struct{}) (b *transports.Booted, got <-chan wire.Frame) {
	t.Helper()
	frames := make(chan wire.Frame, 10)
	link := program(t, false, func(f far) transports.Exit {
		defer close(frames)
		f.takeFlight()
		say(f.out, "%s", markerLine)
		first := make([]byte, 20)
		_, _ = io.ReadFull(f.in, first) // it has begun
		say(f.out, "%s", helloFrame())
		select {
		case <-read:
		case <-time.After(2 * time.Hour): // the test has failed
		}
		in := wire.NewReader(io.MultiReader(bytes.NewReader(first), f.in))
		for {
			frame, err := in.Next()
			if err != nil {
				return transports.Exit{}
			}
			frames <- frame
		}
	})
	b, err := transports.Converse(t.Context(), wrap(link), transports.Script{Timeout: time.Minute}, bundled([]byte("much code")))
	if err != nil {
		t.Fatal(err)
	}
	if b.Behind != int64(len("much code")) {
		t.Errorf("%d bytes are said to be written", b.Behind)
	}
	return b, frames
}

func plain(m *memory) transports.Link { return m }

// A line may be slower than a dial is given for it, and the agent has answered.
func TestWhatIsNeededMayTakeLongerThanTheDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := make(chan struct{})
		b, got := trickling(t, plain, read)
		wrote := make(chan error, 1)
		go func() {
			_, err := b.Link.Write(pingFrame(1))
			if err == nil {
				err = b.Link.CloseWrite()
			}
			wrote <- err
		}()
		time.Sleep(time.Hour) // which no dial has
		select {
		case err := <-wrote:
			t.Fatalf("something has overtaken it: %v", err)
		default:
		}
		close(read)
		if err := <-wrote; err != nil {
			t.Error(err)
		}
		if f := <-got; string(f.Body) != "much code" {
			t.Errorf("first %+v", f)
		}
		if f := <-got; f.Header != (wire.Ping{Stamp: 1}) {
			t.Errorf("then %+v", f)
		}
		if f, more := <-got; more {
			t.Errorf("and %+v", f)
		}
		_ = b.Link.Close()
	})
}

// Closing the link ends it, and whoever waits behind it. A goroutine that is left would fail the test.
func TestClosingEndsWhatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := make(chan struct{})
		b, got := trickling(t, plain, read)
		wrote := make(chan error, 1)
		go func() {
			_, err := b.Link.Write(pingFrame(1))
			wrote <- err
		}()
		synctest.Wait()
		go func() { time.Sleep(time.Second); close(read) }() // Close waits for the program
		_ = b.Link.Close()
		if err := <-wrote; err == nil {
			t.Error("written behind the end")
		}
		if f, more := <-got; more {
			t.Errorf("%+v", f)
		}
	})
}

// able is a link that can do all that links can.
type able struct {
	*memory
	spliced []string
}

type nowhere struct{ io.Writer }

func (nowhere) Close() error { return nil }

func (*able) Packs() bool  { return true }
func (*able) Splits() bool { return true }

func (*able) Byway(context.Context, string) (io.WriteCloser, error) { return nowhere{io.Discard}, nil }

func (l *able) Splice(b wire.Blob, content []byte, _ int) error {
	head, _ := wire.AppendHead(nil, wire.Frame{Header: b, Body: content})
	l.spliced = append(l.spliced, string(content))
	_, err := l.Write(append(head, content...))
	return err
}

// What a link can do, it can do while something is on its way, and no more than that.
func TestLinksStayWhatTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := make(chan struct{})
		var l *able
		b, got := trickling(t, func(m *memory) transports.Link { l = &able{memory: m}; return l }, read)
		s, splits := b.Link.(transports.Splitter)
		if !b.Packs() || !splits || !s.Splits() {
			t.Errorf("packs %v, splits %v", b.Packs(), splits)
		}
		if w, err := s.Byway(t.Context(), "/socket"); err != nil {
			t.Error(err)
		} else {
			_ = w.Close()
		}
		go func() { time.Sleep(time.Hour); close(read) }()
		if err := b.Link.(transports.Splicer).Splice(wire.Blob{Digest: wire.Sum([]byte("x")), Size: 1}, []byte("x"), wire.FormFrame); err != nil {
			t.Error(err)
		}
		if first, second := <-got, <-got; string(first.Body) != "much code" || string(second.Body) != "x" || len(l.spliced) != 1 {
			t.Errorf("%q, %q", first.Body, second.Body)
		}
		_ = b.Link.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		read := make(chan struct{})
		b, _ := trickling(t, plain, read)
		s, splits := b.Link.(transports.Splitter)
		if _, splices := b.Link.(transports.Splicer); b.Packs() || splits && s.Splits() || splices {
			t.Errorf("packs %v, splits %v, splices %v", b.Packs(), splits, splices)
		}
		close(read)
		_ = b.Link.Close()
	})
}
