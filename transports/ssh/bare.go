package ssh

import (
	"context"
	"errors"
	"sync"
	"time"

	"al.essio.dev/pkg/shellescape"
	gossh "golang.org/x/crypto/ssh"

	"spindle/transports"
)

var _ transports.Tunneler = (*Dialer)(nil)

// Tunnel says whether spindle_via asks that nothing runs on the machines that the way leads through.
func (d *Dialer) Tunnel() bool { return d.settings.tunnel }

// Bare reaches the account without an agent. Natively there is one connection, with a session for each command; by way of
// it, further connections are made natively too. For the ssh program, each command is a run of it.
func (d *Dialer) Bare(ctx context.Context, via transports.Spawner) (transports.Shell, error) {
	if base, ok := via.(*shell); ok {
		t, err := d.through(ctx)
		if err != nil {
			return nil, err
		}
		return d.openShell(ctx, t, base.Client, base.why())
	}
	if !isLocal(via) {
		return transports.OpenPlanned(ctx, byProgram{d, whyFar}, via)
	}
	plan, t, err := d.plan(ctx)
	if err != nil {
		return nil, expired(ctx, err)
	}
	if t == nil {
		return transports.OpenPlanned(ctx, byProgram{d, plan.Why}, via)
	}
	s, err := d.openShell(ctx, t, nil, plan.Why)
	if f, ok := errors.AsType[*fallback](err); ok {
		return transports.OpenPlanned(ctx, byProgram{d, f.why}, via)
	}
	return s, err
}

// through is the server to be connected to through somebody else's connection. How that leads here has been said
// already, so jump hosts and proxy commands of the configuration are left out.
func (d *Dialer) through(ctx context.Context) (*target, error) {
	plan, t, err := d.ownPlan(ctx)
	if err != nil {
		return nil, expired(ctx, err)
	}
	if t == nil {
		return nil, unreachable("ssh: "+d.settings.hostname+" cannot be connected to through another connection: "+plan.Why, ErrBinary)
	}
	t.via, t.proxyCommand = nil, ""
	return t, nil
}

// byProgram is a Dialer that takes the ssh program.
type byProgram struct {
	*Dialer
	why string
}

func (b byProgram) Plan(ctx context.Context, via transports.Spawner, program []string) (transports.Plan, error) {
	return b.binaryPlan(ctx, via, program, b.why), nil
}

// shell is a Client of its own for command lines. Servers allow so many sessions on one connection (MaxSessions, 10 by
// default); a command that is one too many waits for another to end.
type shell struct {
	*Client
	about transports.About

	mu      sync.Mutex
	running int           // sessions, and attempts at them
	ended   chan struct{} // closed when one of them has ended
	last    time.Time     // when a session has ended
}

// A server may count a session for a moment longer than it lasts: so long, and so often it is asked again meanwhile.
const (
	sessionLingers = 2 * time.Second
	sessionAgain   = 50 * time.Millisecond
)

var _ transports.Shell = (*shell)(nil)

func (d *Dialer) openShell(ctx context.Context, t *target, base *Client, why string) (transports.Shell, error) {
	c, err := d.connectFor(ctx, t, base, true)
	if err != nil {
		return nil, err
	}
	c.packs = d.settings.compression
	s := &shell{Client: c, about: transports.About{How: Native, Why: why}, ended: make(chan struct{})}
	if s.about.Host, err = transports.AskHost(ctx, s); err != nil {
		if lost := c.Err(); lost != nil {
			err = unreachable("ssh: "+systemText(lost), lost)
		}
		_ = c.Close()
		return nil, err
	}
	return s, nil
}

func (s *shell) About() transports.About { return s.about }
func (s *shell) Lost() <-chan struct{}   { return s.Done() }

// why is what those say who connect through this one.
func (s *shell) why() string { return "connected through " + s.target.hostname }

// Run gives the line to the account's login shell as it is; a POSIX shell is put in front of that if more is to be done.
// What does not know its name may have none.
func (s *shell) Run(ctx context.Context, l transports.Line) (transports.Link, error) {
	if s.about.Host == "" {
		l.Joined = false
	}
	text := l.Text
	if !l.Plain() {
		l.Text = `exec "${SHELL:-/bin/sh}" -c ` + shellescape.Quote(l.Text)
		text = "/bin/sh -c " + shellescape.Quote(l.Script())
	}
	return s.session(ctx, func() (*session, error) { return s.start(ctx, transports.Pipes, text) })
}

func (s *shell) Spawn(ctx context.Context, cmd transports.Command) (transports.Link, error) {
	return s.session(ctx, func() (*session, error) { return s.spawn(ctx, cmd) })
}

// session opens one, as soon as the server lets us.
func (s *shell) session(ctx context.Context, open func() (*session, error)) (transports.Link, error) {
	for {
		s.mu.Lock()
		s.running++
		ended := s.ended
		s.mu.Unlock()
		link, err := open()
		if err == nil {
			go func() {
				<-link.over
				s.leave(true)
			}()
			return link.shared(), nil
		}
		freed := false // by one that ended while this one was being refused
		select {
		case <-ended:
			freed = true
		default:
		}
		others, lingers := s.leave(false)
		_, refused := errors.AsType[*gossh.OpenChannelError](err)
		var again <-chan time.Time
		switch {
		case !refused:
			return nil, err
		case others > 0 || freed:
		case lingers:
			again = time.After(sessionAgain)
		default:
			return nil, err
		}
		select {
		case <-ended:
		case <-again:
		case <-ctx.Done():
			return nil, expired(ctx, err)
		}
	}
}

// leave notes the end of a session, or of an attempt that came to nothing, and says how many there still are. Those
// that wait are told of any end that may help, and when there is nobody left to wait for. lingers says that the server may still count one.
func (s *shell) leave(ran bool) (others int, lingers bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if ran {
		s.last = time.Now()
	}
	if ran || s.running == 0 {
		close(s.ended)
		s.ended = make(chan struct{})
	}
	return s.running, time.Since(s.last) < sessionLingers
}
