package ssh

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"spindle/transports"
	"spindle/transports/local"
)

// Dialer reaches one host. It is made by a factory of [NewFactory] and can be used any number of times.
type Dialer struct {
	settings *settings
	resolver *resolver
	known    *knownHosts
	masters  *masters
}

var _ transports.Dialer = (*Dialer)(nil)

// NewFactory returns the factory of method ssh. All its dialers share what ssh -G has said, what is in known_hosts, and which connections of others are
// not to be used any more; one per process is meant.
func NewFactory() transports.Factory {
	resolver, known, masters := newResolver(), newKnownHosts(), newMasters()
	return func(kwargs json.RawMessage) (transports.Dialer, error) {
		s, err := parseSettings(kwargs)
		if err != nil {
			return nil, err
		}
		s.unshared = masters.isUnshared(s.sharing())
		return &Dialer{settings: s, resolver: resolver, known: known, masters: masters}, nil
	}
}

// Name is "ssh:user@host", with the port if it is set and not 22.
func (d *Dialer) Name() string { return d.settings.name() }

// Timeout is connect_timeout, or more if the user's own ConnectTimeout and ConnectionAttempts need it. It covers finding out how to connect,
// connecting, logging in and booting.
func (d *Dialer) Timeout() time.Duration {
	s := d.settings
	return max(s.connectTimeout, d.patience())
}

// Explain says how the host would be reached from this machine, without connecting.
func (d *Dialer) Explain(ctx context.Context) (Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Timeout())
	defer cancel()
	p, _, err := d.plan(ctx)
	p.Argv = d.settings.argv(nil, d.manner(ctx, true))
	return p, err
}

// Dial boots an agent on the host. Where via is this machine itself, the native client is used if it fits; further away,
// and for all that it cannot do, the program ssh is started by way of via. Only where via is a native connection without
// an agent, another one is made through it.
func (d *Dialer) Dial(ctx context.Context, via transports.Spawner, p transports.Program) (*transports.Booted, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Timeout())
	defer cancel()
	if base, ok := via.(*shell); ok {
		t, err := d.through(ctx)
		if err != nil {
			return nil, err
		}
		return d.dialNative(ctx, t, base.Client, p, base.why())
	}
	if !isLocal(via) {
		return d.dialBinary(ctx, via, p, whyFar)
	}
	plan, t, err := d.plan(ctx)
	if err != nil {
		return nil, expired(ctx, err)
	}
	if t == nil {
		return d.dialBinary(ctx, via, p, plan.Why)
	}
	if err := transports.Room(); err != nil {
		return nil, err
	}
	b, err := d.dialNative(ctx, t, nil, p, plan.Why)
	if f, ok := errors.AsType[*fallback](err); ok {
		return d.dialBinary(ctx, via, p, f.why)
	}
	return b, err
}

const whyFar = "ssh runs on the machine before it"

// isLocal says whether via starts programs on this machine, beside us: only then is a connection of our own the same as
// one that ssh would make there.
func isLocal(via transports.Spawner) bool {
	_, ok := via.(*local.Spawner)
	return ok
}

// Connect logs in natively and starts nothing. It serves programs that need no agent. An error matching [ErrBinary] says
// that only the ssh binary can do it.
func (d *Dialer) Connect(ctx context.Context) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Timeout())
	defer cancel()
	plan, t, err := d.plan(ctx)
	if err != nil {
		return nil, expired(ctx, err)
	}
	if t == nil {
		return nil, &transports.ConnectError{Class: transports.Unreachable, Text: plan.Why, Err: ErrBinary}
	}
	c, err := d.connect(ctx, t)
	if f, ok := errors.AsType[*fallback](err); ok {
		return nil, errors.Join(f.err, ErrBinary)
	}
	return c, err
}

// ErrBinary says that a host can be reached with the ssh binary only.
var ErrBinary = errors.New("needs the ssh binary")

// ClientOf returns the connection under a link, for further programs beside the agent. It belongs to the link and ends
// with it. There is none if the link is no native one.
func ClientOf(link transports.Link) (*Client, bool) {
	s, ok := link.(*session)
	if !ok {
		return nil, false
	}
	return s.client, true
}

func (d *Dialer) dialNative(ctx context.Context, t *target, base *Client, p transports.Program, why string) (*transports.Booted, error) {
	c, err := d.connectFor(ctx, t, base, false)
	if err != nil {
		return nil, err
	}
	c.packs = d.settings.compression
	link, err := c.spawn(ctx, transports.Command{Argv: p.Argv})
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	script := transports.Script{Class: transports.Unreachable, Timeout: d.Timeout()}
	b, err := transports.Converse(ctx, link, script, p)
	if err != nil {
		return nil, err
	}
	b.How, b.Why = Native, why
	return b, nil
}
