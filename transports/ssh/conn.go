package ssh

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

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
