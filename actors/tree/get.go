package tree

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports/wire"
)

// maxGetHead bounds the line of JSON in front of a file's content.
const maxGetHead = 4096

// get copies one remote file to the controller. Content goes through a pump into a temporary file beside the
// destination, which is renamed when size and digest are right. Credit is returned for what has been written.
type get struct {
	cfg       *Config
	id        uint32
	req       *Get
	requester *actor.PID

	feed     chan []byte
	window   int
	result   *wire.Result // the agent's, while the pump still writes
	closed   bool
	answered bool
}

// stored is the pump's word about one piece; landed is its last.
type stored struct{ bytes int }

type landed struct {
	err error
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
		t.tell(ctx, wire.Result{Status: wire.StatusUnreachable, Text: disconnected("the connection is being closed")})
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
	// The feed holds what credit allows in the smallest useful pieces; a peer that sends smaller ones waits for the pump.
	t.feed = make(chan []byte, 1024)
	self, sys, dest, feed := ctx.Self(), actors.SystemOf(ctx), t.req.Dest, t.feed
	actors.Go(ctx, "file", func(ctx context.Context) error {
		sys.Send(self, &landed{err: land(ctx, dest, feed, func(n int) { sys.Send(self, &stored{bytes: n}) })})
		return nil
	})
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
		close(t.feed)
	}
}

func (t *get) store(ctx actor.Context, data []byte) {
	if len(data) == 0 || t.closed || t.answered {
		return
	}
	select {
	case t.feed <- data:
	default:
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

// getHead is the line in front of a file's content (docs/protocol.md §6, op get).
type getHead struct {
	Size  int64   `json:"size"`
	Mode  uint32  `json:"mode"`
	MTime float64 `json:"mtime"`
	ATime float64 `json:"atime"`
}

// land writes the pieces of feed to a temporary file beside dest and renames it when all is right; whatever goes wrong, the
// temporary file goes. It returns when feed is closed, ctx is done, or something failed.
func land(ctx context.Context, dest string, feed <-chan []byte, stored func(int)) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(dest), ".ansible_mitogen_transfer-*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		tmp.Close()
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	var (
		head    *getHead
		pending []byte
		written int64
		sum     = sha256.New()
	)
	for {
		var piece []byte
		var open bool
		select {
		case piece, open = <-feed:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !open {
			break
		}
		n := len(piece)
		if head == nil {
			pending = append(pending, piece...)
			end := bytes.IndexByte(pending, '\n')
			if end < 0 && len(pending) > maxGetHead {
				return fmt.Errorf("fetch of '%s': no file header", dest)
			}
			if end >= 0 {
				head = new(getHead)
				if err := json.Unmarshal(pending[:end], head); err != nil {
					return fmt.Errorf("fetch of '%s': %w", dest, err)
				}
				piece, pending = pending[end+1:], nil
			}
		}
		if head != nil {
			if room := head.Size - written; int64(len(piece)) > room {
				pending = append(pending, piece[room:]...)
				piece = piece[:room]
			}
			if _, err := tmp.Write(piece); err != nil {
				return err
			}
			sum.Write(piece)
			written += int64(len(piece))
			if len(pending) > sha256.Size {
				return fmt.Errorf("transfer of '%s' was interrupted.", dest) //nolint:staticcheck // the contract's text (§4.1)
			}
		}
		stored(n)
	}
	if head == nil || written != head.Size || subtle.ConstantTimeCompare(sum.Sum(nil), pending) != 1 {
		return fmt.Errorf("transfer of '%s' was interrupted.", dest) //nolint:staticcheck // the contract's text (§4.1)
	}
	if err := tmp.Chmod(os.FileMode(head.Mode & 0o777)); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Chtimes(tmp.Name(), when(head.ATime), when(head.MTime)); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), dest)
}

func when(s float64) time.Time { return time.Unix(0, int64(s*1e9)) }
