package tree

import (
	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports"
	"spindle/transports/wire"
)

// exchange is what a call and both kinds of transfer have in common: frames under one id of the link's, and one
// terminal answer to a requester.
type exchange struct {
	id        uint32
	key       uint32     // the requester's name for it
	requester *actor.PID // nil: nobody wants to know
	answered  bool
	pace      pace
}

// send sends a frame to the agent, unless it is all over.
func (x *exchange) send(ctx actor.Context, h wire.Header, body []byte) {
	if !x.answered {
		ctx.Send(ctx.Parent(), &sendFrame{frame: wire.Frame{ID: x.id, Header: h, Body: body}})
	}
}

func (x *exchange) cancel(ctx actor.Context, reason string) {
	x.send(ctx, wire.Cancel{Reason: reason}, nil)
}

// answer gives the terminal answer and ends the actor.
func (x *exchange) answer(ctx actor.Context, r wire.Result, body []byte) {
	if x.tell(ctx, r, body) {
		ctx.Stop(ctx.Self())
	}
}

// tell gives the terminal answer, once, and says whether this was it.
func (x *exchange) tell(ctx actor.Context, r wire.Result, body []byte) bool {
	if x.answered {
		return false
	}
	x.answered = true
	x.tellRequester(ctx, &Done{Key: x.key, Result: r, Body: body})
	return true
}

func (x *exchange) tellRequester(ctx actor.Context, m any) {
	if x.requester != nil {
		ctx.Send(x.requester, m)
	}
}

// end is answer for a transfer, which has no body, and so no lengths either.
func (x *exchange) end(ctx actor.Context, r wire.Result) {
	r.OutLen, r.ErrLen = 0, 0
	x.answer(ctx, r, nil)
}

// startExchange spawns an exchange's actor under its id, and answers in its place if that fails.
func (p *interpreter) startExchange(ctx actor.Context, x exchange, spec actors.Spec) bool {
	pid, err := actors.Spawn(ctx, spec)
	if err != nil {
		answer(ctx, x.requester, x.key, wire.Result{Status: wire.StatusFault, Text: err.Error()})
		return false
	}
	p.own(x.id, pid, x.requester, x.key)
	return true
}

// onTransfer starts the actor of a Put or a Get.
func (p *interpreter) onTransfer(ctx actor.Context, key uint32, spec func(*Config, exchange, transports.Splitter) actors.Spec) {
	if p.refused(ctx, key, ctx.Sender()) {
		return
	}
	x := exchange{id: p.newID(), key: key, requester: ctx.Sender(), pace: pace{packs: p.packs, most: wire.WindowBulk / 4}}
	p.startExchange(ctx, x, spec(p.cfg, x, p.split))
}
