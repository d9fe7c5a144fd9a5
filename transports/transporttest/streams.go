package transporttest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"spindle/transports"
)

func (b *bench) write(w io.Writer, p []byte) {
	b.Helper()
	if n, err := w.Write(p); err != nil || n != len(p) {
		b.Fatalf("Write of %d bytes = %d, %v", len(p), n, err)
	}
}

func (b *bench) readFull(r io.Reader, n int) []byte {
	b.Helper()
	p := make([]byte, n)
	if got, err := io.ReadFull(r, p); err != nil {
		b.Fatalf("Read: %v after %d bytes of %d: %.200q", err, got, n, p[:got])
	}
	return p
}

func (b *bench) readAll(r io.Reader) string {
	b.Helper()
	p, err := io.ReadAll(r)
	if err != nil {
		b.Fatalf("Read: %v after %.200q", err, p)
	}
	return string(p)
}

// line reads byte by byte, so that nothing behind the line is taken.
func (b *bench) line(r io.Reader) string {
	b.Helper()
	var sb strings.Builder
	for {
		switch c := b.readFull(r, 1)[0]; c {
		case '\n':
			return strings.TrimSuffix(sb.String(), "\r")
		default:
			sb.WriteByte(c)
		}
	}
}

func echo(b *bench) {
	l := b.spawn("cat")
	for _, text := range []string{"one\n", "two, and no newline", "\n\n"} {
		b.write(l, []byte(text))
		if got := string(b.readFull(l, len(text))); got != text {
			b.Fatalf("cat gave %q for %q", got, text)
		}
	}
}

func everyByte(b *bench) {
	l := b.spawn("cat")
	all := make([]byte, 3*256)
	for i := range all {
		all[i] = byte(i)
	}
	b.write(l, all)
	if got := b.readFull(l, len(all)); !bytes.Equal(got, all) {
		b.Errorf("bytes came back as %q", got)
	}
}

func endOfInput(b *bench) {
	if b.mode == transports.FullTTY {
		if err := b.spawn("cat").CloseWrite(); !errors.Is(err, errors.ErrUnsupported) {
			b.Errorf("CloseWrite on a terminal = %v, want errors.ErrUnsupported", err)
		}
		return
	}
	l := b.sh("cat; echo end; exit 3")
	b.write(l, []byte("last\n"))
	for range 2 { // it may be said twice
		if err := l.CloseWrite(); err != nil {
			b.Fatalf("CloseWrite: %v", err)
		}
	}
	if got := b.readAll(l); got != "last\nend\n" {
		b.Errorf("output = %q", got)
	}
	if e := b.exit(l); e.Code != 3 {
		b.Errorf("exit = %+v", e)
	}
	if _, err := l.Write([]byte("x")); err == nil {
		b.Error("Write behind CloseWrite succeeded")
	}
}

// streams tells stdout from the side, and reads both to their ends.
func streams(b *bench) {
	l := b.sh("echo out; echo err >&2; echo out again")
	if b.mode == transports.FullTTY {
		if l.Side() != nil {
			b.Error("a terminal for everything has a side")
		}
		if got := b.readAll(l); strings.ReplaceAll(got, "\r", "") != "out\nerr\nout again\n" {
			b.Errorf("output = %q", got)
		}
		return
	}
	if out, side := b.readAll(l), b.readAll(l.Side()); out != "out\nout again\n" || side != "err\n" {
		b.Errorf("stdout = %q, side = %q", out, side)
	}
}

// terminal checks which descriptors are a terminal, and whether there is a controlling one.
func terminal(b *bench) {
	l := b.sh(`for fd in 0 1 2; do if test -t $fd; then printf t; else printf -; fi; done; ` +
		`if (: </dev/tty) 2>/dev/null; then echo c; else echo -; fi`)
	want := map[transports.Mode]string{transports.Pipes: "----", transports.ControlTTY: "--tc", transports.FullTTY: "tttc"}
	if got := b.line(l); got != want[b.mode] {
		b.Errorf("terminals: %s, want %s", got, want[b.mode])
	}
}

// typing answers on the terminal, whose echo is off, while stdin is another stream.
func typing(b *bench) {
	switch b.mode {
	case transports.Pipes:
		l := b.spawn("cat")
		if _, err := l.Side().Write([]byte("x")); !errors.Is(err, errors.ErrUnsupported) {
			b.Errorf("Write to stderr = %v, want errors.ErrUnsupported", err)
		}
	case transports.ControlTTY:
		// The terminal outlives the program's last descriptor of it.
		l := b.sh(`printf 'what? ' >&2; exec 2>/dev/null; read a </dev/tty; echo "typed $a"; read b; echo "in $b"`)
		b.write(l, []byte("data\n"))
		if got := string(b.readFull(l.Side(), 6)); got != "what? " {
			b.Errorf("prompt = %q", got)
		}
		b.write(l.Side(), []byte("answer\n"))
		if got := b.readAll(l); got != "typed answer\nin data\n" {
			b.Errorf("output = %q", got)
		}
		if got := b.readAll(l.Side()); got != "" {
			b.Errorf("the terminal echoed %q", got)
		}
	case transports.FullTTY:
		l := b.sh(`printf 'what? '; read a; echo "typed $a"`)
		b.readFull(l, 6)
		b.write(l, []byte("answer\n"))
		if got := b.line(l); got != "typed answer" {
			b.Errorf("output = %q", got)
		}
	}
}

func environment(b *bench) {
	c := transports.Command{Argv: []string{"/bin/sh", "-c", `echo "$A|$B"; pwd`}, Dir: "/usr", Mode: b.mode}
	want := "|"
	if !b.c.NoEnv {
		c.Env, want = []string{"A=first", "B=two words", "A=last"}, "last|two words"
	}
	l, err := b.sp.Spawn(b.ctx, c)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if got := b.line(l); got != want {
		b.Errorf("environment = %q, want %q", got, want)
	}
	if got := b.line(l); got != "/usr" {
		b.Errorf("directory = %q", got)
	}
}

// bulk sends and receives at once, many times what any buffer holds.
func bulk(b *bench) {
	size := 8 << 20
	if b.mode == transports.FullTTY {
		size = 1 << 20
	}
	l := b.spawn("cat")
	sent, got := sha256.New(), sha256.New()
	errs := make(chan error, 1)
	go func() {
		r := rand.NewChaCha8([32]byte{1})
		_, err := io.CopyN(io.MultiWriter(l, sent), r, int64(size))
		errs <- err
	}()
	n, err := io.CopyN(got, l, int64(size))
	if werr := <-errs; werr != nil {
		b.Fatalf("sending: %v", werr)
	}
	if err != nil || !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
		b.Errorf("%d of %d bytes came back, %v, or were changed", n, size, err)
	}
}

// sideBulk has both output streams full at once, and loses nothing at the program's end.
func sideBulk(b *bench) {
	const size = 1 << 20
	script := fmt.Sprintf("dd if=/dev/zero bs=4096 count=%d 2>/dev/null", size/4096)
	if b.mode == transports.FullTTY {
		l := b.sh(script)
		if n := len(b.readAll(l)); n != size {
			b.Errorf("%d bytes of %d", n, size)
		}
		return
	}
	l := b.sh("exec 3>&2; " + strings.Replace(script, "2>", ">&3 2>", 1) + " & " + script + "; wait")
	side := make(chan int64, 1)
	go func() { n, _ := io.Copy(io.Discard, bufio.NewReader(l.Side())); side <- n }()
	out, err := io.Copy(io.Discard, l)
	if n := <-side; err != nil || out != size || n != size {
		b.Errorf("stdout %d, side %d of %d bytes, %v", out, n, size, err)
	}
}
