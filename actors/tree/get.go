package tree

import (
	"encoding/json"
	"errors"
	"strconv"
	"syscall"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports/wire"
)

// get copies one remote file to the controller. Content goes through a pump into a temporary file beside the
// destination, which is renamed when size and digest are right. Credit is returned for what has been written.
type get struct {
	cfg       *Config
	id        uint32
	req       *Get
	requester *actor.PID

	file     *fileLander
	window   int
	result   *wire.Result // the agent's, while the pump still writes
	closed   bool
	answered bool
}

func getSpec(cfg *Config, id uint32, m *Get, requester *actor.PID) actors.Spec {
	return actors.Spec{Kind: "transfer", Name: "get:" + strconv.FormatUint(uint64(id), 10), New: func() actor.Actor {
		return &get{cfg: cfg, id: id, req: m, requester: requester, window: wire.WindowInitial}
	}}
}

func (p *interpreter) onGet(ctx actor.Context, m *Get) {
	if p.refused(ctx, m.Key, ctx.Sender()) {
		return
	}
	id := p.newID()
	pid, err := actors.Spawn(ctx, getSpec(p.cfg, id, m, ctx.Sender()))
	if err != nil {
		answer(ctx, ctx.Sender(), m.Key, wire.Result{Status: wire.StatusFault, Text: err.Error()})
		return
	}
	p.own(id, pid, ctx.Sender(), m.Key)
}

func (t *get) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		actors.Describe(ctx, actors.Facts{State: "reserving"})
		ctx.Request(t.cfg.Transfers, &Reserve{Bytes: wire.WindowBulk})
		if t.req.Timeout > 0 {
			actors.After(ctx, t.req.Timeout, &callDeadline{status: wire.StatusTimeout})
		}
	case *Reserved:
		t.begin(ctx)
	case *agentFrame:
		t.onFrame(ctx, m.frame)
	case *stored:
		t.window += m.bytes
		t.send(ctx, wire.Credit{Channel: 1, Bytes: m.bytes}, nil)
	case *landed:
		t.onLanded(ctx, m)
	case *Abort:
		t.send(ctx, wire.Cancel{Reason: m.Reason}, nil)
		t.answer(ctx, wire.Result{Status: wire.StatusCancelled, Text: m.Reason})
	case *callDeadline:
		t.send(ctx, wire.Cancel{Reason: "timeout"}, nil)
		t.answer(ctx, wire.Result{Status: wire.StatusTimeout, Text: "the transfer did not end in time"})
	case *callLost:
		t.answer(ctx, m.result)
	case *actor.Stopping:
		t.tell(ctx, lostWith(ctx))
	}
}

func (t *get) begin(ctx actor.Context) {
	meta, err := json.Marshal(struct {
		Path string `json:"path"`
	}{t.req.Src})
	if err != nil {
		t.answer(ctx, wire.Result{Status: wire.StatusFault, Text: err.Error()})
		return
	}
	actors.Describe(ctx, actors.Facts{State: "receiving"})
	t.file = landFile(ctx, t.req.Dest)
	t.send(ctx, wire.Call{Op: "get", MetaLen: len(meta), Flags: wire.FlagStream}, meta)
	extra := wire.WindowBulk - wire.WindowInitial
	t.window += extra
	t.send(ctx, wire.Credit{Channel: 1, Bytes: extra}, nil)
}

func (t *get) onFrame(ctx actor.Context, f wire.Frame) {
	switch h := f.Header.(type) {
	case wire.Data:
		if h.Channel != 1 || len(f.Body) > t.window {
			ctx.Send(ctx.Parent(), &violation{text: "DATA without credit"})
			return
		}
		t.window -= len(f.Body)
		t.store(ctx, f.Body)
	case wire.Result:
		if h.Status != wire.StatusOK || h.RC != 0 {
			t.answer(ctx, h)
			return
		}
		t.result = &h
		t.store(ctx, f.Body[:h.OutLen])
		t.closed = true
		t.file.end()
	}
}

func (t *get) store(ctx actor.Context, data []byte) {
	if len(data) == 0 || t.closed || t.answered {
		return
	}
	if !t.file.add(data) {
		ctx.Send(ctx.Parent(), &violation{text: "more pieces of a file than credit should need"})
	}
}

func (t *get) onLanded(ctx actor.Context, m *landed) {
	if m.err == nil {
		t.answer(ctx, *t.result)
		return
	}
	if t.result == nil {
		t.send(ctx, wire.Cancel{Reason: "the destination could not be written"}, nil)
	}
	var errno syscall.Errno
	errors.As(m.err, &errno)
	t.answer(ctx, wire.Result{Status: wire.StatusError, Errno: int(errno), Text: m.err.Error()})
}

func (t *get) send(ctx actor.Context, h wire.Header, body []byte) {
	if !t.answered {
		ctx.Send(ctx.Parent(), &sendFrame{frame: wire.Frame{ID: t.id, Header: h, Body: body}})
	}
}

func (t *get) answer(ctx actor.Context, r wire.Result) {
	if t.tell(ctx, r) {
		ctx.Stop(ctx.Self())
	}
}

func (t *get) tell(ctx actor.Context, r wire.Result) bool {
	if t.answered {
		return false
	}
	t.answered = true
	if t.requester != nil {
		ctx.Send(t.requester, &Done{Key: t.req.Key, Result: wire.Result{Status: r.Status, RC: r.RC, Errno: r.Errno, Text: r.Text}})
	}
	return true
}
