package tree

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"spindle/actors"
	"spindle/transports"
	"spindle/transports/wire"
)

// hop is one way to an account.
//
//	state     accepts                              leaves by
//	dialing   limited, dialed, Expect, Fetched,    dialed → ready, bare or gone; dialLate, Drain → gone
//	          Loaded, Drain, Retire
//	ready     linkLost, Drain, Retire,             linkLost → gone; Drain → draining
//	          Terminated(child)
//	bare      as ready                             as ready
//	draining  linkLost, Terminated(child)          → gone
type hop struct {
	cfg    *Config
	via    transports.Spawner
	spec   *Hop
	bare   bool
	report *actor.PID
	// host is the machine that starts this hop; empty at the controller.
	host   string
	interp *actor.PID // or shell
	// reported is set once Report has been told how the dial ended.
	reported bool
	retire   *Retire       // was asked for while it was dialing; nil if it was not
	behind   *behind       // for what the agent is sent before it has said HELLO; nil if nothing is, or it has
	expected []wire.Digest // what that is: a bundle, and what is in it; nil if nobody has said
	dial     attempt
	clock    *actors.Timer // until the dial has ended
}

// dialGrace is how long a dial may take beyond its limit, to close what it has opened: a local program has 8.5 s for that. What does not
// return then waits for something that has no limit, as a file system that is gone. Workers wait a second longer.
const dialGrace = 9 * time.Second

// dialLate is the end of the time that a dial has.
type dialLate struct{}

// Interrupted is the contract's text (§1.10) for a hop that goes away under an attempt to set it, or one below it, up.
const Interrupted = "Channel was disconnected while connection attempt was in progress; this may be caused by an abnormal Ansible exit, " +
	"or due to an unreliable target."

func hopSpec(cfg *Config, via transports.Spawner, m *OpenHop, host string) actors.Spec {
	if m.Hop.Heartbeat != (Heartbeat{}) {
		own := *cfg
		own.Heartbeat = m.Hop.Heartbeat
		cfg = &own
	}
	return actors.Spec{Kind: "hop", Name: m.Hop.Dialer.Name(), New: func() actor.Actor {
		return &hop{cfg: cfg, via: via, spec: m.Hop, bare: m.Bare, report: m.Report, host: host}
	}}
}

func (h *hop) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		h.onStarted(ctx)
	case *limited:
		if m.dial == h.dial {
			h.clock.Stop()
			h.clock = actors.After(ctx, m.limit+dialGrace, &dialLate{})
		}
	case *dialed:
		if m.taken == h.dial { // or it is a namesake's, whose pump closes it
			h.clock.Stop()
			h.onDialed(ctx, m)
		}
	case *dialLate:
		h.onLate(ctx)
	case *actors.PumpDone:
		if m.Err != nil && h.interp == nil { // the dial panicked, and has said nothing
			h.fail(ctx, h.located(&transports.ConnectError{Class: transports.Unreachable, Text: m.Err.Error(), Err: m.Err}))
		}
	case *Expect:
		h.onExpect(ctx, m)
	case *Fetched:
		h.onFetched(ctx, m)
	case *Loaded:
		h.onLoaded(ctx, m)
	case *linkLost:
		actors.Quit(ctx, m.cause) // what is below hears why
	case *Drain:
		h.onDrain(ctx, m)
	case *Retire:
		if h.retire = m; h.interp != nil {
			ctx.Send(h.interp, m)
		}
	case *actor.Terminated:
		if h.interp != nil && m.Who.Equal(h.interp) {
			ctx.Stop(ctx.Self())
		}
	case *actor.Stopping:
		h.reportFailure(ctx, &transports.ConnectError{Class: transports.Unreachable, Text: Interrupted})
	}
}

func (h *hop) onStarted(ctx actor.Context) {
	actors.Describe(ctx, actors.Facts{State: "dialing"})
	h.clock = actors.After(ctx, dialGrace, &dialLate{})
	if h.bare {
		h.dial = dialBare(ctx, h.spec.Dialer, h.via)
		return
	}
	boot := h.spec.Boot
	boot.Silence = 3 * h.cfg.Heartbeat.Silence()
	program := h.cfg.Program(boot)
	if h.host == "" {
		h.behind = newBehind(&program)
	}
	h.dial = dial(ctx, h.spec.Dialer, h.via, program)
}

// onLate gives up a dial that does not return. Whatever it opens all the same is closed by its pump.
func (h *hop) onLate(ctx actor.Context) {
	class := transports.Unreachable
	if h.spec.Become {
		class = transports.BecomeFailed
	}
	h.fail(ctx, h.located(&transports.ConnectError{Class: class, Text: transports.TextTimeout, Err: context.DeadlineExceeded}))
}

func (h *hop) onDialed(ctx actor.Context, m *dialed) {
	if m.err != nil {
		h.fail(ctx, h.located(m.err))
		return
	}
	if h.bare {
		h.onShell(ctx, m)
		return
	}
	var facts hello
	// The facts come from the target and are passed on unread but for these strings.
	if err := json.Unmarshal(m.booted.Hello.Body, &facts); err != nil {
		h.fail(ctx, h.located(&transports.ConnectError{
			Class: transports.Unreachable, Text: "protocol error: the agent's HELLO is no JSON: " + err.Error(), Err: err,
		}))
		return
	}
	if m.booted.Behind == 0 {
		h.expected = nil
	}
	pid, err := actors.Spawn(ctx, interpreterSpec(h.cfg, m.booted, facts, h.expected))
	if err != nil {
		h.fail(ctx, err) // stopping closes the link
		return
	}
	h.behind, h.expected = nil, nil
	m.take()
	h.up(ctx, "ready", &HopReady{
		Interpreter: pid, Facts: json.RawMessage(m.booted.Hello.Body), Host: facts.Hostname, How: m.booted.How, Why: m.booted.Why,
		Said: m.booted.Said,
	})
}

// onShell is what a bare hop does when its way is open.
func (h *hop) onShell(ctx actor.Context, m *dialed) {
	about := m.shell.About()
	pid, err := actors.Spawn(ctx, shellSpec(h.cfg, m.shell, about.Host))
	if err != nil {
		h.fail(ctx, err)
		return
	}
	m.take()
	facts, err := json.Marshal(bareFacts{Bare: true, Hostname: about.Host})
	if err != nil {
		panic(actors.Fault{Class: actors.ClassDefect, Err: err}) // a string always marshals
	}
	h.up(ctx, "bare", &HopReady{Interpreter: pid, Facts: facts, Host: about.Host, How: about.How, Why: about.Why})
}

// bareFacts are a bare hop's in place of HELLO.
type bareFacts struct {
	Bare     bool   `json:"bare"`
	Hostname string `json:"hostname,omitempty"`
}

// up tells that the hop stands.
func (h *hop) up(ctx actor.Context, state string, m *HopReady) {
	h.interp = m.Interpreter
	actors.Describe(ctx, actors.Facts{State: state, Extra: map[string]string{"how": m.How, "why": m.Why}})
	h.reported = true
	m.Key, m.Hop = h.spec.Key, ctx.Self()
	ctx.Send(h.report, m)
	if h.retire != nil {
		ctx.Send(h.interp, h.retire) // what is above waits for that
	}
}

func (h *hop) onDrain(ctx actor.Context, m *Drain) {
	if h.interp == nil {
		ctx.Stop(ctx.Self()) // cancels the dial
		return
	}
	actors.Describe(ctx, actors.Facts{State: "draining"})
	ctx.Send(h.interp, m)
}

func (h *hop) fail(ctx actor.Context, err error) {
	h.cfg.Logger.Info("hop failed", zap.String("path", ctx.Self().Id), zap.Error(err))
	actors.Describe(ctx, actors.Facts{State: "failed", LastError: err.Error()})
	h.reportFailure(ctx, err)
	ctx.Stop(ctx.Self())
}

func (h *hop) reportFailure(ctx actor.Context, err error) {
	if !h.reported {
		h.reported = true
		ctx.Send(h.report, &HopFailed{Key: h.spec.Key, Err: err})
	}
}

// located names the machine that tried to start the hop, unless that is the controller (contract §1.10).
func (h *hop) located(err error) error {
	if h.host == "" {
		return err
	}
	var ce *transports.ConnectError
	if errors.As(err, &ce) {
		c := *ce
		c.Text = "error occurred on host " + h.host + ": " + ce.Text
		return &c
	}
	return err
}
