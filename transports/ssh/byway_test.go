package ssh

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"spindle/transports"
	"spindle/transports/local"
)

// listen is a socket that the lab's accounts may connect to.
func listen(t *testing.T) net.Listener {
	t.Helper()
	dir, err := os.MkdirTemp("", "spb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ln, err := net.Listen("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	for _, path := range []string{dir, dir + "/s"} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return ln
}

func (d *desk) session(t *testing.T, c *Client) *session {
	t.Helper()
	s, err := c.spawn(t.Context(), transports.Command{Argv: []string{"cat"}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A byway is no session: a server that allows one of those has any number of byways. Closing one is the end of that one.
func TestByway(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t, "MaxSessions 1")
	d := newDesk(t, l)
	d.knows(s.known())
	link := d.session(t, d.connect(t, d.kwargs(s, kw{"identity_file": d.identity()})))
	if !link.Splits() {
		t.Error("a plain connection does not split")
	}
	ln := listen(t)
	var near []io.WriteCloser
	var far []net.Conn
	for range 3 {
		w, err := link.Byway(t.Context(), ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		near, far = append(near, w), append(far, c)
	}
	for i, w := range near {
		if _, err := w.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range far {
		b := make([]byte, 1)
		if _, err := io.ReadFull(c, b); err != nil || b[0] != byte(i) {
			t.Errorf("%d came by the byway %d: %v", b, i, err)
		}
	}
	// What nobody reads fills the channel, and Close frees whoever writes.
	stuck := make(chan error, 1)
	go func() {
		_, err := near[0].Write(make([]byte, 16<<20))
		stuck <- err
	}()
	select {
	case err := <-stuck:
		t.Errorf("16 MiB were written that nobody reads: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	_ = near[0].Close()
	select {
	case err := <-stuck:
		if err == nil {
			t.Error("a write was done that nobody read")
		}
	case <-time.After(10 * time.Second):
		t.Error("a write is stuck in a byway that was closed")
	}
	if _, err := near[1].Write([]byte("x")); err != nil {
		t.Errorf("another byway: %v", err)
	}
	_ = far[2].Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err := near[2].Write([]byte("x")); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a byway whose far side was closed takes whatever is written")
		}
	}
	// The session has not noticed.
	if _, err := link.Write([]byte("still")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(link, b); err != nil || !bytes.Equal(b, []byte("still")) {
		t.Errorf("%q, %v", b, err)
	}
	if err := link.Close(); err != nil {
		t.Error(err)
	}
	if _, err := near[1].Write([]byte("x")); err == nil {
		t.Error("a byway outlives its connection")
	}
}

func TestByway_Refused(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	for _, c := range []struct {
		name, option string
		path         func(t *testing.T) string
	}{
		{"nobody listens", "LogLevel DEBUG1", func(*testing.T) string { return "/nonexistent/s" }},
		{"no forwarding to sockets", "AllowStreamLocalForwarding no", func(t *testing.T) string { return listen(t).Addr().String() }},
		{"no forwarding of TCP", "AllowTcpForwarding no", func(t *testing.T) string { return listen(t).Addr().String() }},
		{"no forwarding", "DisableForwarding yes", func(t *testing.T) string { return listen(t).Addr().String() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := l.startServer(t, c.option)
			d := newDesk(t, l)
			d.knows(s.known())
			link := d.session(t, d.connect(t, d.kwargs(s, kw{"identity_file": d.identity()})))
			_, err := link.Byway(t.Context(), c.path(t))
			if refused, ok := errors.AsType[*gossh.OpenChannelError](err); !ok || refused.Reason != gossh.ConnectionFailed { // OpenSSH does not say more
				t.Errorf("got %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := link.Byway(ctx, "/nonexistent/s"); err == nil {
				t.Error("it opens behind its deadline")
			}
		})
	}
}

// What goes through another connection, or a program, has that one's window around its own.
func TestByway_OnlyWhereItHelps(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	first, last := l.startServer(t), l.startServer(t)
	d := newDesk(t, l)
	d.knows(first.known(), last.known())
	key := kw{"identity_file": d.identity()}
	behind := d.mustBare(Native, d.kwargs(last, key), d.mustBare(Native, d.kwargs(first, key), &local.Spawner{})).(*shell)
	if d.session(t, behind.Client).Splits() {
		t.Error("a connection through another one splits")
	}
}
