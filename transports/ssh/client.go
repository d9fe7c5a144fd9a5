package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
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
	ssh    gossh.Conn
	via    *Client // the connection that this one runs through, if that is its own
	direct bool    // nothing but TCP is between here and there
	packs  bool    // frames on its sessions are to be packed
	done   chan struct{}

	// adopt gives the goroutine that answers the server one session whose requests it is to read as well.
	adopt    chan *session
	adopting atomic.Bool

	// tunnels is the same connection, for those that others run through or that forward an agent. The library's own
	// type costs three goroutines, so idle ends do without.
	tunnels *gossh.Client

	alive     keepAlive
	closeOnce sync.Once
}

var _ transports.Spawner = (*Client)(nil)

// connect logs in on t, and on everything in front of it. ctx covers all of it and nothing later.
func (d *Dialer) connect(ctx context.Context, t *target) (*Client, error) {
	return d.connectFor(ctx, t, nil, false)
}

// connectFor is connect; base, if not nil, is somebody else's connection to run through, and jump says that others will run
// through this one.
func (d *Dialer) connectFor(ctx context.Context, t *target, base *Client, jump bool) (*Client, error) {
	var own *Client
	via := base
	if t.via != nil {
		var err error
		if own, err = d.connectFor(ctx, t.via, base, true); err != nil {
			return nil, err
		}
		via = own
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// ConnectTimeout covers connecting and the exchange of keys, and no login (ssh_config(5)).
	connected := func() {}
	if t.connectTimeout > 0 {
		limit := time.AfterFunc(tries(t.attempts, t.connectTimeout), func() { cancel(context.DeadlineExceeded) })
		connected = func() { limit.Stop() }
		defer connected()
	}
	conn, err := open(ctx, t, via)
	if err != nil {
		if own != nil {
			_ = own.Close()
		}
		if ctx.Err() != nil {
			return nil, expired(ctx, err)
		}
		return nil, dialError(t, via, err)
	}
	c, err := d.handshake(ctx, t, conn, jump, connected)
	if err != nil {
		_ = conn.Close()
		if own != nil {
			_ = own.Close()
		}
		return nil, err
	}
	c.via = own
	c.direct = via == nil && t.proxyCommand == ""
	return c, nil
}

// open gets a connection that SSH can be spoken on.
func open(ctx context.Context, t *target, via *Client) (*lossyConn, error) {
	switch {
	case via != nil:
		conn, err := via.tunnels.DialContext(ctx, "tcp", t.address())
		if err != nil {
			return nil, err
		}
		return newLossyConn(newTunnel(conn)), nil
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

// handshake proves who both sides are. It calls connected when the server has said who it is.
func (d *Dialer) handshake(ctx context.Context, t *target, conn *lossyConn, jump bool, connected func()) (*Client, error) {
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
		HostKeyCallback: func(name string, remote net.Addr, key gossh.PublicKey) error {
			connected()
			return check.callback(name, remote, key)
		},
		AuthCallback: l.next,
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
	t = t.connected()
	if check.changed {
		t.forwardAgent = ""
	}
	c := &Client{target: t, conn: conn, ssh: sc, done: make(chan struct{}), adopt: make(chan *session)}
	if jump || t.forwardAgent != "" {
		c.tunnels = gossh.NewClient(sc, channels, requests)
		channels, requests = nil, nil
	}
	c.serve(channels, requests)
	return c, nil
}

// connected is what is still needed once a login has succeeded. Passwords are not.
func (t *target) connected() *target {
	return &target{
		hostname: t.hostname, port: t.port, env: t.env, forwardAgent: t.forwardAgent,
		aliveEvery: t.aliveEvery, aliveCount: t.aliveCount,
	}
}

// serve runs what a connection needs for as long as it lives.
func (c *Client) serve(channels <-chan gossh.NewChannel, requests <-chan *gossh.Request) {
	go func() {
		defer close(c.done)
		c.answer(channels, requests)
		_ = c.ssh.Wait()
	}()
	if c.target.forwardAgent != "" {
		// An agent that is not there is none that could be forwarded.
		if agent.ForwardToRemote(c.tunnels, c.target.forwardAgent) != nil {
			c.target.forwardAgent = ""
		}
	}
	c.alive.start(c)
}

// answer says no to everything that the server asks for, until it asks no more. It follows a session too, if it is given one: most connections
// have just that, and are to have one goroutine for both.
func (c *Client) answer(channels <-chan gossh.NewChannel, requests <-chan *gossh.Request) {
	var adopted *session
	var said <-chan *gossh.Request
	adopt := c.adopt
	for channels != nil || requests != nil || said != nil {
		select {
		case ch, ok := <-channels:
			if !ok {
				channels = nil
				continue
			}
			_ = ch.Reject(gossh.UnknownChannelType, "not asked for")
		case r, ok := <-requests:
			if !ok {
				requests = nil
				continue
			}
			_ = r.Reply(false, nil) // this answers the server's keepalives too
		case adopted = <-adopt:
			said, adopt = adopted.requests, nil
		case r, ok := <-said:
			if !ok {
				said = nil
				adopted.end()
				continue
			}
			adopted.hear(r)
		}
	}
}

// follow has somebody read what the server says about a session: whoever answers the server anyway, if that has none yet.
func (c *Client) follow(s *session) {
	if c.tunnels == nil && c.adopting.CompareAndSwap(false, true) {
		select {
		case c.adopt <- s:
			return
		case <-c.done:
		}
	}
	go s.follow()
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
		c.alive.stop()
		// The far side learns of it by the connection's end; a polite word could block in a full network.
		_ = c.conn.Close()
		<-c.done
		if c.via != nil {
			_ = c.via.Close()
		}
	})
	return nil
}
