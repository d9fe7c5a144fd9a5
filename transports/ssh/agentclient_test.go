package ssh

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// busyAgent is a socket that nobody accepts connections of, with as many waiting as it takes. Free accepts those.
func busyAgent(t *testing.T) (socket string, free func()) {
	t.Helper()
	socket = (&desk{t: t, dir: t.TempDir()}).path("s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: socket}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	waiting := 0
	for {
		c, err := net.Dial("unix", socket)
		if errors.Is(err, syscall.EAGAIN) {
			break
		}
		if err != nil || waiting == 100 {
			t.Fatalf("%d wait, and then: %v", waiting, err)
		}
		waiting++
		t.Cleanup(func() { _ = c.Close() })
	}
	return socket, func() {
		for range waiting {
			if c, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC); err == nil {
				_ = unix.Close(c)
			}
		}
	}
}

// An agent that has too many to talk to is waited for, but not longer than the login may take.
func TestBusyAgentIsWaitedFor(t *testing.T) {
	socket, free := busyAgent(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := dialAgent(ctx, socket); err == nil {
		t.Error("it is not busy")
	}
	if a := openAgent(ctx, socket); a.err == nil {
		t.Error("nothing is said of an agent that could not be asked")
	}
	time.AfterFunc(100*time.Millisecond, free)
	ctx, cancel = context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := dialAgent(ctx, socket)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// Where a login fails and there is an agent that could not be asked, the reason may be there.
func TestFailureTellsOfTheAgent(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	keys, both := l.startServer(t, "PasswordAuthentication no"), l.startServer(t)
	for _, c := range []struct {
		name, text string
		s          *server
		more       kw
		tells      bool
	}{
		{"refused", textRefused, keys, nil, true},
		{"no password", textPasswordNeeded, both, nil, true},
		{"wrong password", textPasswordWrong, both, kw{"password": "wrong"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, l)
			d.knows(c.s.known())
			gone := d.path("gone")
			d.config("IdentityAgent " + gone)
			_, err := d.dial(Native, d.kwargs(c.s, c.more))
			want := c.text
			if c.tells {
				want += ": no keys from the SSH agent at " + gone + ": No such file or directory"
			}
			wantText(t, err, want)
			// Another way in is taken without a word.
			d.mustDial(Native, d.kwargs(c.s, kw{"identity_file": d.identity()}))
		})
	}
	t.Run("breaks off", func(t *testing.T) {
		d := newDesk(t, l)
		d.knows(keys.known())
		socket := t.TempDir() + "/s"
		ln, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		go func() {
			for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
				_ = c.Close()
			}
		}()
		d.config("IdentityAgent " + socket)
		_, err = d.dial(Native, d.kwargs(keys, nil))
		if err == nil || !strings.HasPrefix(err.Error(), textRefused+": no keys from the SSH agent at "+socket+": ") {
			t.Errorf("it gave %v", err)
		}
	})
}
