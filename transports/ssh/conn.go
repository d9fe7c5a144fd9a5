package ssh

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// tunnel is a connection through another one. The library's calls on it return when the far side agrees, or when the other connection ends:
// neither can be waited for where that has gone silent, nor may it be ended if others use it. So it is cut on this side.
type tunnel struct {
	net.Conn
	cut  chan struct{}
	once sync.Once
	in   cutReader
	out  cutWriter
}

func newTunnel(c net.Conn) *tunnel {
	cut := make(chan struct{})
	return &tunnel{Conn: c, cut: cut, in: cutReader{r: c, cut: cut}, out: cutWriter{w: c, cut: cut}}
}

func (t *tunnel) Read(p []byte) (int, error)  { return t.in.Read(p) }
func (t *tunnel) Write(p []byte) (int, error) { return t.out.Write(p) }

// Close does not wait for the far side, nor for room in the network.
func (t *tunnel) Close() error {
	t.once.Do(func() {
		close(t.cut)
		go func() { _ = t.Conn.Close() }()
	})
	return nil
}

// lossyConn is a connection that remembers why it ended and when it was last heard of. The library tells channels only
// that they have ended.
type lossyConn struct {
	net.Conn
	// noise is what a ProxyCommand complains about; may be nil.
	noise func() string

	born time.Time
	last atomic.Int64 // when bytes were received last, in nanoseconds since born

	mu    sync.Mutex
	cause error
	once  sync.Once
}

func newLossyConn(c net.Conn) *lossyConn {
	return &lossyConn{Conn: c, born: time.Now()}
}

// Read notes the time, and the error that ends the connection.
func (c *lossyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.last.Store(int64(time.Since(c.born)))
	}
	if err != nil {
		c.lose(err)
	}
	return n, err
}

// Write notes the error that ends the connection.
func (c *lossyConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		c.lose(err)
	}
	return n, err
}

// Close ends the connection; the cause is then that it was closed by ourselves.
func (c *lossyConn) Close() error { return c.end(net.ErrClosed) }

// end closes the connection for a reason. The first reason is kept.
func (c *lossyConn) end(why error) error {
	c.lose(why)
	var err error
	c.once.Do(func() { err = c.Conn.Close() })
	return err
}

func (c *lossyConn) lose(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = why
	}
}

// lost is why the connection ended; nil as long as it has not.
func (c *lossyConn) lost() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// silence is for how long nothing has been received.
func (c *lossyConn) silence() time.Duration {
	return time.Since(c.born) - time.Duration(c.last.Load())
}

func (c *lossyConn) heard() string {
	if c.noise == nil {
		return ""
	}
	return c.noise()
}
