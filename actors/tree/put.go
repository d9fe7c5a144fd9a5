package tree

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"hash"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports/wire"
)

// put copies one local file to the far side: it waits for its share of the process's transfer budget, reads in a pump,
// sends against credit, and ends the content with its digest.
//
//	state      accepts                               leaves by
//	reserving  Reserved, Abort, callLost             Reserved → opening
//	opening    opened, Abort, callLost               opened → sending, or answered
//	sending    chunkRead, agentFrame, Abort, …       RESULT → answered
type put struct {
	exchange
	cfg *Config
	req *Put

	file     *fileReader
	digest   hash.Hash
	ready    [][]byte // read, not sent
	credit   int
	asked    int
	ended    bool // the pump has delivered everything
	finished bool // trailer and EOF are sent
}

func (m *Put) spec(cfg *Config, x exchange) actors.Spec {
	return actors.Spec{Kind: "transfer", Name: "put:" + strconv.FormatUint(uint64(x.id), 10), New: func() actor.Actor {
		return &put{exchange: x, cfg: cfg, req: m, credit: wire.WindowInitial, digest: sha256.New()}
	}}
}

func (t *put) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		actors.Describe(ctx, actors.Facts{State: "reserving"})
		ctx.Request(t.cfg.Transfers, &Reserve{Bytes: wire.WindowBulk})
		if t.req.Timeout > 0 {
			actors.After(ctx, t.req.Timeout, &callDeadline{status: wire.StatusTimeout})
		}
	case *Reserved:
		t.file = readFile(ctx, t.req.Src)
	case *opened:
		t.onOpened(ctx, m)
	case *chunkRead:
		t.onChunk(ctx, m)
	case *agentFrame:
		t.onFrame(ctx, m.frame)
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

func (t *put) onOpened(ctx actor.Context, m *opened) {
	if m.err != nil {
		var errno syscall.Errno
		errors.As(m.err, &errno)
		t.end(ctx, wire.Result{Status: wire.StatusError, Errno: int(errno), Text: m.err.Error()})
		return
	}
	meta := struct {
		Dest  string   `json:"dest"`
		Size  int64    `json:"size"`
		Mode  *uint32  `json:"mode"`
		MTime *float64 `json:"mtime"`
		ATime *float64 `json:"atime"`
	}{Dest: t.req.Dest, Size: m.info.Size(), Mode: t.req.Mode}
	if meta.Mode == nil {
		mode := permissions(m.info.Mode())
		meta.Mode = &mode
	}
	if t.req.Times {
		mt := seconds(m.info.ModTime())
		at := mt
		if st, ok := m.info.Sys().(*syscall.Stat_t); ok {
			at = seconds(time.Unix(st.Atim.Unix()))
		}
		meta.MTime, meta.ATime = &mt, &at
	}
	body, err := json.Marshal(meta)
	if err != nil {
		t.end(ctx, wire.Result{Status: wire.StatusFault, Text: err.Error()})
		return
	}
	actors.Describe(ctx, actors.Facts{State: "sending", Extra: map[string]string{"size": strconv.FormatInt(meta.Size, 10)}})
	t.send(ctx, wire.Call{Op: "put", MetaLen: len(body), Flags: wire.FlagMore}, body)
	t.ask()
}

func seconds(at time.Time) float64 { return float64(at.UnixNano()) / 1e9 }

// permissions is a file's mode as chmod(2) takes it.
func permissions(m os.FileMode) uint32 {
	bits := uint32(m.Perm())
	for flag, bit := range map[os.FileMode]uint32{os.ModeSetuid: 0o4000, os.ModeSetgid: 0o2000, os.ModeSticky: 0o1000} {
		if m&flag != 0 {
			bits |= bit
		}
	}
	return bits
}

// ask keeps the pump reading as long as little waits for credit.
func (t *put) ask() {
	for !t.ended && t.asked+len(t.ready) < readAhead {
		t.asked++
		t.file.ask()
	}
}

func (t *put) onChunk(ctx actor.Context, m *chunkRead) {
	t.asked--
	switch {
	case t.answered || t.ended:
	case m.err != nil:
		t.cancel(ctx, "the source could not be read")
		t.end(ctx, wire.Result{Status: wire.StatusError, Text: m.err.Error()})
		return
	default:
		if len(m.data) > 0 {
			t.digest.Write(m.data)
			t.ready = append(t.ready, m.data)
		}
		if len(m.data) < wire.ChunkMax {
			t.ended = true
			t.ready = append(t.ready, t.digest.Sum(nil)) // the trailer
		}
	}
	t.flush(ctx)
}

// flush sends what credit allows.
func (t *put) flush(ctx actor.Context) {
	for len(t.ready) > 0 && len(t.ready[0]) <= t.credit {
		data := t.ready[0]
		t.ready = t.ready[1:]
		t.credit -= len(data)
		t.send(ctx, wire.Data{Channel: 0}, data)
	}
	if t.ended && len(t.ready) == 0 && !t.finished {
		t.finished = true
		t.send(ctx, wire.EOF{Channel: 0}, nil)
	}
	t.ask()
}

func (t *put) onFrame(ctx actor.Context, f wire.Frame) {
	switch h := f.Header.(type) {
	case wire.Credit:
		if h.Channel == 0 && h.Bytes > 0 {
			t.credit += h.Bytes
			t.flush(ctx)
		}
	case wire.Result:
		t.end(ctx, h)
	}
}
