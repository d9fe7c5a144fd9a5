package transports_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"spindle/transports"
	"spindle/transports/wire"
)

// memory is a link whose program is a Go function. Its pipes hold nothing: each write waits for its reader, so whoever
// writes where nobody reads is found out.
type memory struct {
	in, out, err, tty duplexEnd
	fullTTY           bool
	once              sync.Once
	closed, gone      chan struct{}
	exit              transports.Exit
}

type duplexEnd struct {
	r *io.PipeReader
	w *io.PipeWriter
}

func newEnd() duplexEnd { r, w := io.Pipe(); return duplexEnd{r, w} }

// far is what the program sees: in is its stdin, out its stdout, side its stderr or terminal, typed what is typed there.
type far struct {
	in    io.Reader
	out   io.Writer
	side  io.Writer
	typed io.Reader
}

func program(t testing.TB, fullTTY bool, run func(f far) transports.Exit) *memory {
	t.Helper()
	m := &memory{
		in: newEnd(), out: newEnd(), err: newEnd(), tty: newEnd(), fullTTY: fullTTY,
		closed: make(chan struct{}), gone: make(chan struct{}),
	}
	go func() {
		defer close(m.gone)
		m.exit = run(far{m.in.r, m.out.w, m.err.w, m.tty.r})
		for _, e := range []duplexEnd{m.out, m.err} {
			_ = e.w.Close()
		}
		for _, e := range []duplexEnd{m.in, m.tty} {
			_ = e.r.CloseWithError(errors.New("broken pipe"))
		}
	}()
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func (m *memory) Read(p []byte) (int, error)  { return m.out.r.Read(p) }
func (m *memory) Write(p []byte) (int, error) { return m.in.w.Write(p) }
func (m *memory) CloseWrite() error           { return m.in.w.Close() }

func (m *memory) Side() transports.Side {
	if m.fullTTY {
		return nil
	}
	return memorySide{m}
}

type memorySide struct{ m *memory }

func (s memorySide) Read(p []byte) (int, error)  { return s.m.err.r.Read(p) }
func (s memorySide) Write(p []byte) (int, error) { return s.m.tty.w.Write(p) }

func (m *memory) Wait(ctx context.Context) (transports.Exit, error) {
	select {
	case <-m.gone:
		return m.exit, nil
	case <-ctx.Done():
		return transports.Exit{}, ctx.Err()
	}
}

func (m *memory) Close() error {
	m.once.Do(func() {
		close(m.closed)
		for _, e := range []duplexEnd{m.in, m.out, m.err, m.tty} {
			_ = e.r.CloseWithError(io.ErrClosedPipe)
			_ = e.w.CloseWithError(io.ErrClosedPipe)
		}
		<-m.gone
	})
	return nil
}

func (m *memory) isClosed() bool {
	select {
	case <-m.closed:
		return true
	default:
		return false
	}
}

const nonce = "n0nce4711"

var boot = transports.Program{
	Argv: []string{"/bin/sh", "-c", "boot"}, Flight: []byte("flight"), Nonce: nonce,
	Candidates: []string{"python3", "/usr/bin/python"},
}

const markerLine = "SPINDLE1 " + nonce + "\n"

func helloFrame() []byte {
	b, err := wire.Append(nil, wire.Frame{
		Header: wire.Hello{Proto: wire.Proto, Role: "agent", PID: 7, Version: "3.11.2"}, Body: []byte(`{"user":"u"}`),
	})
	if err != nil {
		panic(err)
	}
	return b
}

func pingFrame(stamp int64) []byte {
	b, err := wire.Append(nil, wire.Frame{Header: wire.Ping{Stamp: stamp}})
	if err != nil {
		panic(err)
	}
	return b
}

// takeFlight reads what Converse sends; say writes, and gives up silently when the link is closed.
func (f far) takeFlight() string {
	b := make([]byte, len(boot.Flight))
	_, _ = io.ReadFull(f.in, b)
	return string(b)
}

func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

// hear reads one line, byte by byte as a terminal gives it.
func hear(r io.Reader) string {
	var line []byte
	b := make([]byte, 1)
	for {
		if _, err := r.Read(b); err != nil {
			return string(line) + "<" + err.Error() + ">"
		}
		if b[0] == '\n' {
			return string(line)
		}
		line = append(line, b[0])
	}
}
