package tree

import (
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports/wire"
)

// abortGrace is how long an agent may take to answer CANCEL before the call is answered without it.
const abortGrace = 5 * time.Second

// lateGrace is how much longer than its timeout a call is waited for: the agent keeps the time, this is the safety net.
const lateGrace = 10 * time.Second

// call is one request's life. It answers its requester exactly once, and then stops.
//
//	state     accepts                                            leaves by
//	running   agentFrame, Input, OutputCredit, Abort, callLost   RESULT, callLost, deadline → answered
//	answered  nothing                                            stop
type call struct {
	exchange
	timeout time.Duration
	window  [3]int // what the agent may still send, by channel; of input, what it may still be sent
	owed    int    // credit for input that the requester has not been told of yet
	aborted string
}

// creditLeast is how much credit for input is worth telling of. Agents grant more than that at a time; one that grants byte by
// byte must not fill the queue of a requester that does not read. It is little enough to be held back: an eighth of what
// input starts with.
const creditLeast = wire.WindowInitial / 8

// emptyData is what agents never send: it takes no credit, so there could be any number of it.
const emptyData = "DATA without content"

// callLost ends a call whose link is gone.
type callLost struct{ result wire.Result }

// violation tells the interpreter that its agent broke the protocol.
type violation struct{ text string }

type callDeadline struct{ status wire.Status }

func callSpec(x exchange, timeout time.Duration) actors.Spec {
	return actors.Spec{Kind: "call", Name: "call:" + strconv.FormatUint(uint64(x.id), 10), New: func() actor.Actor {
		return &call{exchange: x, timeout: timeout, window: [3]int{wire.WindowInitial, wire.WindowInitial, wire.WindowInitial}}
	}}
}

func (c *call) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		if c.timeout > 0 {
			actors.After(ctx, c.timeout+lateGrace, &callDeadline{status: wire.StatusTimeout})
		}
	case *agentFrame:
		c.onFrame(ctx, m.frame)
	case *Input:
		c.window[wire.ChannelIn] -= len(m.Data)
		c.send(ctx, wire.Data{Channel: 0}, m.Data)
		if m.EOF {
			c.send(ctx, wire.EOF{Channel: 0}, nil)
		}
	case *frameSent:
		// Credit comes from the agent's own CREDIT frames: what left this process may still wait on the far side.
	case *OutputCredit:
		c.onOutputCredit(ctx, m)
	case *Abort:
		c.onAbort(ctx, m)
	case *callDeadline:
		text := "the agent did not answer in time"
		if c.aborted != "" {
			text = c.aborted
		}
		c.answer(ctx, wire.Result{Status: m.status, Text: text}, nil)
	case *callLost:
		c.answer(ctx, m.result, nil)
	case *actor.Stopping:
		c.tell(ctx, lostWith(ctx), nil)
	}
}

func (c *call) onFrame(ctx actor.Context, f wire.Frame) {
	switch h := f.Header.(type) {
	case wire.Result:
		if c.aborted != "" && h.Status == wire.StatusOK {
			h.Status, h.Text = wire.StatusCancelled, c.aborted
		}
		c.answer(ctx, h, f.Body)
	case wire.Data:
		if h.Channel < 1 || h.Channel > 2 || len(f.Body) > c.window[h.Channel] {
			ctx.Send(ctx.Parent(), &violation{text: "DATA without credit"})
			return
		}
		if len(f.Body) == 0 {
			ctx.Send(ctx.Parent(), &violation{text: emptyData})
			return
		}
		c.window[h.Channel] -= len(f.Body)
		c.tellRequester(ctx, &Output{Key: c.key, Channel: h.Channel, Data: f.Body})
	case wire.Credit:
		c.onInputCredit(ctx, h)
	}
}

// onInputCredit passes credit on, in portions that pay. More than a bulk receiver keeps open is nothing that an agent grants.
func (c *call) onInputCredit(ctx actor.Context, h wire.Credit) {
	if h.Channel != wire.ChannelIn || c.answered {
		return
	}
	c.window[wire.ChannelIn] += h.Bytes
	if c.window[wire.ChannelIn] > wire.WindowBulk {
		ctx.Send(ctx.Parent(), &violation{text: "CREDIT for more input than an agent keeps open"})
		return
	}
	if c.owed += h.Bytes; c.owed >= creditLeast {
		c.tellRequester(ctx, &InputCredit{Key: c.key, Bytes: c.owed})
		c.owed = 0
	}
}

func (c *call) onOutputCredit(ctx actor.Context, m *OutputCredit) {
	if m.Channel < 1 || m.Channel > 2 || m.Bytes <= 0 {
		return
	}
	c.window[m.Channel] += m.Bytes
	c.send(ctx, wire.Credit{Channel: m.Channel, Bytes: m.Bytes}, nil)
}

func (c *call) onAbort(ctx actor.Context, m *Abort) {
	if c.answered || c.aborted != "" {
		return
	}
	c.aborted = m.Reason
	if c.aborted == "" {
		c.aborted = "cancelled"
	}
	c.cancel(ctx, m.Reason)
	actors.After(ctx, abortGrace, &callDeadline{status: wire.StatusCancelled})
}
