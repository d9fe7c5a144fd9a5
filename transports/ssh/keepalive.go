package ssh

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// errSilent is why a connection ends on which nothing is heard any more.
var errSilent = errors.New("no answer to keepalives")

// keepAlive asks the server for a sign of life when nothing has been heard of it for a while, and gives the connection
// up when as many intervals have passed without any as the configuration allows. It is a timer, not a goroutine: there
// may be thousands of idle connections.
type keepAlive struct {
	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

func (k *keepAlive) start(c *Client) {
	every := c.target.aliveEvery
	if every <= 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(every, func() { k.tick(c) })
}

func (k *keepAlive) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	if k.timer != nil {
		k.timer.Stop()
	}
}

// tick looks at how long it has been silent. It runs in a goroutine of its own.
func (k *keepAlive) tick(c *Client) {
	every := c.target.aliveEvery
	silent := c.conn.silence()
	next := every
	switch {
	case silent < every:
		next = every - silent
	case silent >= every*time.Duration(c.target.aliveCount):
		_ = c.conn.end(fmt.Errorf("%w for %s", errSilent, silent.Round(time.Millisecond)))
		return
	}
	select {
	case <-c.done:
		return
	default:
	}
	k.mu.Lock()
	if k.over {
		k.mu.Unlock()
		return
	}
	k.timer.Reset(next)
	k.mu.Unlock()
	if silent >= every {
		// This may wait for the answer to the one before, or for room in the network. It ends with the connection.
		_, _, _ = c.ssh.SendRequest("keepalive@openssh.com", true, nil)
	}
}
