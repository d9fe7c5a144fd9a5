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
// up when as many intervals have passed after a question as the configuration allows, and nothing was heard in any. It is a
// timer, not a goroutine: there may be thousands of idle connections.
type keepAlive struct {
	mu    sync.Mutex
	timer *time.Timer
	over  bool

	heard   int64 // when bytes had been received last, as the connection has it
	asked   int   // how many intervals have begun with a question since then
	waiting bool  // a question is on its way, or waits for room in the network
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
	every, count := c.target.aliveEvery, c.target.aliveCount
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
	heard := c.conn.last.Load()
	silent := c.conn.silence()
	if heard != k.heard {
		k.heard, k.asked = heard, 0
	}
	if silent < every {
		k.timer.Reset(every - silent)
		k.mu.Unlock()
		return
	}
	if count > 0 && k.asked >= count {
		k.mu.Unlock()
		_ = c.conn.end(fmt.Errorf("%w for %s", errSilent, silent.Round(time.Millisecond)))
		return
	}
	k.asked++
	k.timer.Reset(every)
	ask := !k.waiting // the library sends one after the other, so another would only wait behind it
	k.waiting = true
	k.mu.Unlock()
	if ask {
		// This may wait for room in the network. It ends with the connection.
		_, _, _ = c.ssh.SendRequest("keepalive@openssh.com", true, nil)
		k.mu.Lock()
		k.waiting = false
		k.mu.Unlock()
	}
}
