package tree

import (
	"errors"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/sys/unix"

	"spindle/actors"
	"spindle/transports"
	"spindle/transports/wire"
)

// job is what a command and a copy have in common where there is no agent: a pump does the work, and the actor answers,
// exactly once. Whoever does not want to wait for the end of it ends it: then it is answered at once, and its program is
// ended behind that.
type job struct {
	exchange
	cfg     *Config
	way     transports.Shell
	timeout time.Duration
}

func (j *job) startClock(ctx actor.Context) {
	if j.timeout > 0 {
		actors.After(ctx, j.timeout, &callDeadline{status: wire.StatusTimeout})
	}
}

// cut is the answer for one that was ended from outside, if m does so.
func (j *job) cut(ctx actor.Context, m any) (r wire.Result, is bool) {
	switch m := m.(type) {
	case *Abort:
		return wire.Result{Status: wire.StatusCancelled, Text: m.Reason}, true
	case *callDeadline:
		return wire.Result{Status: m.status, Text: "it did not end in time"}, true
	case *actors.PumpDone:
		if m.Err != nil { // it panicked, and has said nothing
			return wire.Result{Status: wire.StatusFault, Text: m.Err.Error()}, true
		}
	case *actor.Stopping:
		return lostWith(ctx), true
	}
	return r, false
}

// failed is the answer for a way that did not lead there.
func failed(err error) wire.Result {
	r := wire.Result{Status: wire.StatusUnreachable, Text: err.Error()}
	var ce *transports.ConnectError
	if errors.As(err, &ce) && ce.Class == transports.BecomeFailed {
		r.Status = wire.StatusFailed
	}
	return r
}

// ended is the answer for a program that has ended, or whose link has.
func ended(exit transports.Exit, err error) wire.Result {
	if err != nil {
		return wire.Result{Status: wire.StatusUnreachable, Text: disconnected(err.Error())}
	}
	if exit.Signal != "" {
		if n := unix.SignalNum("SIG" + strings.TrimPrefix(exit.Signal, "SIG")); n > 0 {
			exit.Code = -int(n)
		}
	} else if exit.Code < 0 && exit.Text != "" {
		return wire.Result{Status: wire.StatusUnreachable, Text: disconnected(exit.Text)}
	}
	return wire.Result{RC: exit.Code}
}

// command is one exec.
type command struct {
	job
	line    transports.Line
	tty     bool
	input   []byte
	more    bool
	program *program
}

func (c *command) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.startClock(ctx)
		c.program = startProgram(ctx, c.way, c.line, programOptions{tty: c.tty, quiet: c.requester == nil, input: c.input, more: c.more})
		c.input = nil
	case *Input:
		c.program.feed(m.Data, m.EOF)
	case *OutputCredit:
		c.program.grant(m.Channel, m.Bytes)
	case *programRead:
		c.tellRequester(ctx, &InputCredit{Key: c.key, Bytes: m.bytes})
	case *programOutput:
		c.tellRequester(ctx, &Output{Key: c.key, Channel: m.channel, Data: m.data})
	case *programEnded:
		if m.start != nil {
			c.answer(ctx, failed(m.start), nil)
			return
		}
		r := ended(m.exit, m.err)
		var body []byte
		if r.Status == wire.StatusOK {
			body = c.collect(&r, wire.InlineMax)
		}
		c.answer(ctx, r, body)
	default:
		r, is := c.cut(ctx, m)
		if !is {
			return
		}
		var body []byte
		if c.program != nil && r.Status != wire.StatusUnreachable {
			body = c.collect(&r, wire.InlineMax/2)
		}
		if _, stopping := m.(*actor.Stopping); stopping {
			c.tell(ctx, r, body)
			return
		}
		c.answer(ctx, r, body)
	}
}

// collect puts what the program wrote last into its result.
func (c *command) collect(r *wire.Result, most int) []byte {
	out, errs := c.program.taken(most)
	r.OutLen, r.ErrLen = len(out), len(errs)
	return append(out, errs...)
}

// copying is one put or one get.
type copying struct {
	job
	put *Put
	get *Get
}

// copied is the pump's last word.
type copied struct{ result wire.Result }

func (c *copying) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		actors.Describe(ctx, actors.Facts{State: "reserving"})
		c.startClock(ctx)
		ctx.Request(c.cfg.Transfers, &Reserve{Bytes: wire.WindowBulk})
	case *Reserved:
		if c.put != nil {
			actors.Describe(ctx, actors.Facts{State: "sending"})
			startPut(ctx, c.way, c.put)
			return
		}
		actors.Describe(ctx, actors.Facts{State: "receiving"})
		startGet(ctx, c.way, c.get)
	case *copied:
		c.end(ctx, m.result)
	case *actor.Stopping:
		c.tell(ctx, lostWith(ctx), nil)
	default:
		if r, is := c.cut(ctx, m); is {
			c.end(ctx, r)
		}
	}
}
