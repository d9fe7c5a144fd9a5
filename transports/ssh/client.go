package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"spindle/transports"
)

// Client is a native SSH connection that somebody is logged in on. It is a [transports.Spawner]: every program runs in
// a session of its own. It ends with Close, or when the network or the server end it.
type Client struct {
	target *target
	conn   *lossyConn
	ssh    *gossh.Client
	via    *Client // the connection that this one runs through; owned
	done   chan struct{}
	wg     sync.WaitGroup

	closeOnce sync.Once
}

var _ transports.Spawner = (*Client)(nil)

// connect logs in on t, and on everything in front of it. ctx covers all of it and nothing later.
func (d *Dialer) connect(ctx context.Context, t *target) (*Client, error) {
	if t.connectTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.connectTimeout)
		defer cancel()
	}
	var via *Client
	if t.via != nil {
		var err error
		if via, err = d.connect(ctx, t.via); err != nil {
			return nil, err
		}
	}
	conn, err := open(ctx, t, via)
	if err != nil {
		if via != nil {
			_ = via.Close()
		}
		if ctx.Err() != nil {
			return nil, expired(ctx, err)
		}
		return nil, dialError(t, err)
	}
	c, err := d.handshake(ctx, t, conn)
	if err != nil {
		_ = conn.Close()
		if via != nil {
			_ = via.Close()
		}
		return nil, err
	}
	c.via = via
	c.start()
	return c, nil
}

// open gets a connection that SSH can be spoken on.
func open(ctx context.Context, t *target, via *Client) (*lossyConn, error) {
	switch {
	case via != nil:
		conn, err := via.ssh.DialContext(ctx, "tcp", t.address())
		if err != nil {
			return nil, err
		}
		return newLossyConn(conn), nil
	case t.proxyCommand != "":
		conn, err := startProxy(ctx, t.proxyCommand)
		if err != nil {
			return nil, err
		}
		lossy := newLossyConn(conn)
		lossy.noise = conn.noise.text
		return lossy, nil
	}
	conn, err := dialTCP(ctx, t)
	if err != nil {
		return nil, err
	}
	return newLossyConn(conn), nil
}

// handshake proves who both sides are.
func (d *Dialer) handshake(ctx context.Context, t *target, conn *lossyConn) (*Client, error) {
	// The library has no deadline of its own. Closing the connection works on every kind of it, tunnels too.
	stop := context.AfterFunc(ctx, func() { _ = conn.end(ctx.Err()) })
	defer stop()
	check := &hostKeyCheck{target: t, known: d.known}
	l := &login{ctx: ctx, target: t, check: check}
	defer l.close()
	config := &gossh.ClientConfig{
		Config:            gossh.Config{KeyExchanges: t.kex, Ciphers: t.ciphers, MACs: t.macs},
		User:              t.user,
		ClientVersion:     "SSH-2.0-Spindle",
		HostKeyAlgorithms: check.algorithms(),
		HostKeyCallback:   check.callback,
		AuthCallback:      l.next,
	}
	sc, channels, requests, err := gossh.NewClientConn(conn, t.address(), config)
	if err != nil {
		if ctx.Err() != nil {
			return nil, expired(ctx, err)
		}
		return nil, handshakeError(t, conn, check, l, err)
	}
	if !stop() {
		_ = sc.Close()
		return nil, expired(ctx, ctx.Err())
	}
	if check.changed {
		t = t.withoutAgent()
	}
	return &Client{target: t, conn: conn, ssh: gossh.NewClient(sc, channels, requests), done: make(chan struct{})}, nil
}

func (t *target) withoutAgent() *target {
	c := *t
	c.forwardAgent = ""
	return &c
}

// start runs what a connection needs for as long as it lives.
func (c *Client) start() {
	c.wg.Go(func() {
		defer close(c.done)
		_ = c.ssh.Wait()
	})
	if c.target.aliveEvery > 0 {
		c.wg.Go(c.keepAlive)
	}
	if c.target.forwardAgent != "" {
		// An agent that is not there is none that could be forwarded.
		if agent.ForwardToRemote(c.ssh, c.target.forwardAgent) != nil {
			c.target = c.target.withoutAgent()
		}
	}
}

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err says why the connection ended: nil as long as it has not, net.ErrClosed after Close.
func (c *Client) Err() error {
	cause := c.conn.lost()
	if cause == nil || errors.Is(cause, net.ErrClosed) {
		return cause
	}
	return fmt.Errorf("connection to %s lost: %w", c.target.address(), cause)
}

// Close ends the connection with all its programs, and those that it runs through.
func (c *Client) Close() error {
	c.closeOnce.Do(func() {
		// The far side learns of it by the connection's end; a polite word could block in a full network.
		_ = c.conn.Close()
		c.wg.Wait()
		if c.via != nil {
			_ = c.via.Close()
		}
	})
	return nil
}

// errSilent is why a connection ends on which nothing is heard any more.
var errSilent = errors.New("no answer to keepalives")

// keepAlive asks the server for a sign of life when nothing has been heard of it for a while, and gives the connection
// up when aliveCount intervals have passed without any.
func (c *Client) keepAlive() {
	every := c.target.aliveEvery
	tick := time.NewTimer(every)
	defer tick.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-tick.C:
		}
		silent := c.conn.silence()
		if silent < every {
			tick.Reset(every - silent)
			continue
		}
		if silent >= every*time.Duration(c.target.aliveCount) {
			_ = c.conn.end(fmt.Errorf("%w for %s", errSilent, silent.Round(time.Millisecond)))
			return
		}
		// The request may wait for the answer to the one before, or for room in the network: not here. All of
		// them end with the connection.
		go func() { _, _, _ = c.ssh.SendRequest("keepalive@openssh.com", true, nil) }()
		tick.Reset(every)
	}
}
