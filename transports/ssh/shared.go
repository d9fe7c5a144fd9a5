package ssh

import (
	"context"
	"io"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"spindle/transports"
)

// sharedSession is a session on a connection that others use too. Closing it leaves the connection alone, so its
// streams have to be cut on this side: the library's own calls return only when the far side agrees.
type sharedSession struct {
	*session
	cut    chan struct{}
	once   sync.Once
	stdout *cutReader
	stderr *cutReader
	stdin  *cutWriter
}

func (s *session) shared() *sharedSession {
	c := &sharedSession{session: s, cut: make(chan struct{})}
	c.stdout = &cutReader{r: readFunc(s.Read), cut: c.cut}
	if side := s.Side(); side != nil {
		c.stderr = &cutReader{r: side, cut: c.cut}
	}
	c.stdin = &cutWriter{w: writeFunc(s.Write), cut: c.cut}
	return c
}

func (c *sharedSession) Read(p []byte) (int, error)  { return c.stdout.Read(p) }
func (c *sharedSession) Write(p []byte) (int, error) { return c.stdin.Write(p) }

func (c *sharedSession) Side() transports.Side {
	if c.stderr == nil {
		return nil
	}
	return struct {
		io.Reader
		io.Writer
	}{c.stderr, sessionSide{c.session}}
}

// killPatience is how long Close waits for the server to confirm that the program is gone.
const killPatience = 5 * time.Second

// Close kills the program and waits, not for ever, until the server says that it is gone. Servers that do not know
// signals (OpenSSH before 7.9) only close the program's streams.
func (c *sharedSession) Close() error {
	c.once.Do(func() {
		close(c.cut)
		// A full network must not keep anybody here.
		go func() {
			_, _ = c.channel.SendRequest("signal", false, gossh.Marshal(struct{ Name string }{"KILL"}))
			_ = c.channel.Close()
		}()
		ctx, cancel := context.WithTimeout(context.Background(), killPatience)
		defer cancel()
		_, _ = c.Wait(ctx)
	})
	return nil
}

type (
	readFunc  func([]byte) (int, error)
	writeFunc func([]byte) (int, error)
)

func (f readFunc) Read(p []byte) (int, error)   { return f(p) }
func (f writeFunc) Write(p []byte) (int, error) { return f(p) }

// A cutReader reads ahead: little at first, since most connections are idle, and more once there is more at a time.
const cutLeast, cutMost = 2 << 10, 32 << 10

// cutReader makes a blocking reader return when cut is closed. The read that is under way then ends later, unseen.
type cutReader struct {
	r       io.Reader
	cut     <-chan struct{}
	buf     []byte
	left    []byte
	err     error
	pending chan struct{} // closed when the read under way has ended; nil if there is none
	n       int
}

func (c *cutReader) Read(p []byte) (int, error) {
	select {
	case <-c.cut:
		return 0, io.ErrClosedPipe
	default:
	}
	if len(c.left) == 0 && c.err == nil {
		if c.pending == nil {
			switch {
			case c.buf == nil:
				c.buf = make([]byte, cutLeast)
			case c.n == len(c.buf) && c.n < cutMost:
				c.buf = make([]byte, 4*c.n)
			}
			pending := make(chan struct{})
			c.pending = pending
			go func() {
				defer close(pending)
				c.n, c.err = c.r.Read(c.buf)
			}()
		}
		select {
		case <-c.pending:
			c.pending = nil
			c.left = c.buf[:c.n]
		case <-c.cut:
			return 0, io.ErrClosedPipe
		}
	}
	if len(c.left) == 0 {
		return 0, c.err
	}
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}

// cutWriter makes a blocking writer return when cut is closed.
type cutWriter struct {
	w   io.Writer
	cut <-chan struct{}
}

func (c *cutWriter) Write(p []byte) (int, error) {
	select {
	case <-c.cut:
		return 0, io.ErrClosedPipe
	default:
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	own := append([]byte(nil), p...) // p is the caller's again as soon as this returns
	go func() {
		n, err := c.w.Write(own)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return r.n, r.err
	case <-c.cut:
		return 0, io.ErrClosedPipe
	}
}
