package tree

import (
	"encoding/json"
	"errors"
	"strconv"
	"syscall"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports"
	"spindle/transports/wire"
)

// get copies one remote file to the controller. Content goes through a pump into a temporary file beside the
// destination, which is renamed when size and digest are right. Credit is returned for what has been written.
type get struct {
	exchange
	cfg *Config
	req *Get

	file   *fileLander
	window int
	owed   int          // credit for what has been written that the agent has not been told of yet
	result *wire.Result // the agent's, while the pump still writes
	closed bool
}

func (m *Get) spec(cfg *Config, x exchange, _ transports.Splitter) actors.Spec {
	return actors.Spec{Kind: "transfer", Name: "get:" + strconv.FormatUint(uint64(x.id), 10), New: func() actor.Actor {
		return &get{exchange: x, cfg: cfg, req: m, window: wire.WindowInitial}
	}}
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
		t.onStored(ctx, m)
	case *landed:
		t.onLanded(ctx, m)
	case *actors.PumpDone:
		if m.Err != nil { // it panicked, and has said nothing
			t.onLanded(ctx, &landed{err: m.Err})
		}
	case *Abort:
		t.cancel(ctx, m.Reason)
		t.end(ctx, wire.Result{Status: wire.StatusCancelled, Text: m.Reason})
	case *callDeadline:
		t.cancel(ctx, "timeout")
		t.end(ctx, wire.Result{Status: wire.StatusTimeout, Text: "the transfer did not end in time"})
	case *callLost:
		t.end(ctx, m.result)
	case *actor.Stopping:
		t.tell(ctx, lostWith(ctx), nil)
	}
}

func (t *get) begin(ctx actor.Context) {
	meta, err := json.Marshal(struct {
		Path Path `json:"path"`
	}{Path(t.req.Src)})
	if err != nil {
		t.end(ctx, wire.Result{Status: wire.StatusFault, Text: err.Error()})
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
		if len(f.Body) == 0 {
			ctx.Send(ctx.Parent(), &violation{text: emptyData})
			return
		}
		t.window -= len(f.Body)
		t.store(ctx, f.Body)
	case wire.Result:
		if h.Status != wire.StatusOK || h.RC != 0 {
			t.end(ctx, h)
			return
		}
		t.result = &h
		t.store(ctx, f.Body[:h.OutLen])
		t.closed = true
		t.file.end()
	}
}

// onStored returns credit in portions that pay, however small the pieces are. What is held back is little of a bulk window, so the agent can go on.
func (t *get) onStored(ctx actor.Context, m *stored) {
	if t.owed += m.bytes; t.owed < creditLeast || t.closed {
		return
	}
	t.window += t.owed
	t.send(ctx, wire.Credit{Channel: 1, Bytes: t.owed}, nil)
	t.owed = 0
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
		t.end(ctx, *t.result)
		return
	}
	if t.result == nil {
		t.cancel(ctx, "the destination could not be written")
	}
	var errno syscall.Errno
	errors.As(m.err, &errno)
	t.end(ctx, wire.Result{Status: wire.StatusError, Errno: int(errno), Text: m.err.Error()})
}
