package tree

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"os"
	"strconv"
	"syscall"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports"
	"spindle/transports/wire"
)

// put copies one local file to the far side: it waits for its share of the process's transfer budget, reads in a pump,
// sends against credit, and ends the content with its digest.
//
//	state      accepts                               leaves by
//	reserving  Reserved, Abort, callLost             Reserved → opening
//	opening    opened, Abort, callLost               opened → sending, or answered
//	sending    chunkRead, agentFrame, Abort, …       RESULT → answered
//
// How a large one comes to go by several ways at once while it is sending is in byways.go.
type put struct {
	exchange
	cfg *Config
	req *Put

	file   *fileReader
	size   int64
	digest hash.Hash
	hashed int64 // how much the digest is of
	want   int64 // what to ask the pump for next
	next   int64 // what it is to deliver next
	asked  int
	ready  []piece // read, not sent
	ended  bool    // the pump has delivered everything
	sent   int64
	limit  int64 // all that was granted
	ways   byways
}

// piece is a part of what is sent: of the content, or the digest behind it.
type piece struct {
	offset int64
	data   []byte
	last   bool
}

func (m *Put) spec(cfg *Config, x exchange, via transports.Splitter) actors.Spec {
	return actors.Spec{Kind: "transfer", Name: "put:" + strconv.FormatUint(uint64(x.id), 10), New: func() actor.Actor {
		return &put{
			exchange: x, cfg: cfg, req: m, limit: wire.WindowInitial, digest: sha256.New(), ways: byways{via: via, window: wire.WindowBulk},
		}
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
		if t.file != nil {
			t.askByways(ctx)
			return
		}
		t.file = readFile(ctx, t.req.Src)
	case *opened:
		t.onOpened(ctx, m)
	case *chunkRead:
		t.onChunk(ctx, m)
	case *tripMeasured:
		t.ways.flight.trip = m.trip
	case *bywayOpened:
		t.onBywayOpened(ctx)
	case *bywayPassed:
		t.onBywayPassed(ctx, m)
	case *bywayLost:
		t.onBywayLost(ctx, m)
	case *bywayTick:
		t.onBywayTick(ctx, m)
	case *actors.PumpDone:
		t.onPumpDone(ctx, m)
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

// onPumpDone goes on without a pump that has panicked, and so has said nothing.
func (t *put) onPumpDone(ctx actor.Context, m *actors.PumpDone) {
	switch {
	case m.Err == nil:
	case m.Name == bywayName:
		t.onBywayLost(ctx, &bywayLost{err: m.Err})
	default:
		t.cancel(ctx, "the source could not be read")
		t.end(ctx, fileError(m.Err))
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
		Dest  Path     `json:"dest"`
		Size  int64    `json:"size"`
		Mode  *uint32  `json:"mode"`
		MTime *float64 `json:"mtime"`
		ATime *float64 `json:"atime"`
	}{Dest: Path(t.req.Dest), Size: m.size, Mode: t.req.Mode}
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
	t.size = meta.Size
	t.describe(ctx)
	if t.ways.via != nil && t.size >= bywayLeast {
		ctx.Request(ctx.Parent(), &measureTrip{}) // ahead of anything that could be in its way
	}
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
		t.file.ask(t.want)
		t.want += wire.ChunkMax
	}
}

func (t *put) onChunk(ctx actor.Context, m *chunkRead) {
	t.asked--
	switch {
	case t.answered || t.ended || m.offset != t.next: // as what was asked for ahead of rewind
	case m.err != nil:
		t.cancel(ctx, "the source could not be read")
		t.end(ctx, wire.Result{Status: wire.StatusError, Text: m.err.Error()})
		return
	default:
		if len(m.data) > 0 {
			if m.offset == t.hashed {
				t.digest.Write(m.data)
				t.hashed += int64(len(m.data))
			}
			t.ready = append(t.ready, piece{offset: m.offset, data: m.data})
			t.next += int64(len(m.data))
		}
		if len(m.data) < wire.ChunkMax {
			t.ended = true
			t.ready = append(t.ready, piece{offset: t.next, data: t.digest.Sum(nil), last: true})
		}
	}
	t.flush(ctx)
}

// flush sends what credit allows.
func (t *put) flush(ctx actor.Context) {
	for len(t.ready) > 0 {
		p := t.ready[0]
		end := p.offset + int64(len(p.data))
		if end > t.open() || !t.pass(ctx, p) {
			break
		}
		t.ready = t.ready[1:]
		t.sent = end
	}
	t.ask()
}

// open is how far credit reaches. What was granted for byways is not for the link, which would take long to carry it.
func (t *put) open() int64 {
	if t.ways.state == bywayOpening {
		return t.limit - (t.ways.window - wire.WindowBulk)
	}
	return t.limit
}

// rewind goes back to a place that was sent before.
func (t *put) rewind(offset int64) {
	t.ready, t.ended = nil, false
	t.want, t.next, t.sent = offset, offset, offset
}

func (t *put) onFrame(ctx actor.Context, f wire.Frame) {
	switch h := f.Header.(type) {
	case wire.Credit:
		if h.Channel == 0 && h.Bytes > 0 {
			t.limit += int64(h.Bytes)
			t.pace.returned(h.Bytes)
			t.watchByways(ctx, h.Bytes)
			t.flush(ctx)
		}
	case wire.Byway:
		t.onByway(ctx, h)
	case wire.Result:
		t.end(ctx, h)
	}
}

// Path is a path in JSON (docs/protocol.md §6): bytes that are no UTF-8, for which encoding/json knows only U+FFFD, are lone surrogates there.
type Path string

// MarshalJSON writes each byte that is no UTF-8 as \udcXX.
func (p Path) MarshalJSON() ([]byte, error) {
	out, rest := []byte{'"'}, string(p)
	for rest != "" {
		whole := 0
		for whole < len(rest) {
			r, n := utf8.DecodeRuneInString(rest[whole:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			whole += n
		}
		quoted, err := json.Marshal(rest[:whole])
		if err != nil {
			return nil, err
		}
		out = append(out, quoted[1:len(quoted)-1]...)
		if rest = rest[whole:]; rest != "" {
			out = fmt.Appendf(out, `\udc%02x`, rest[0])
			rest = rest[1:]
		}
	}
	return append(out, '"'), nil
}

// UnmarshalJSON is the reverse of MarshalJSON.
func (p *Path) UnmarshalJSON(b []byte) error {
	if len(b) < 2 || b[0] != '"' { // null, or what is no string
		return json.Unmarshal(b, (*string)(p))
	}
	var out []byte
	begun := 1
	plain := func(end int) error { // what is left before end, which json can do
		var s string
		err := json.Unmarshal(append(append([]byte{'"'}, b[begun:end]...), '"'), &s)
		out = append(out, s...)
		return err
	}
	for i := 1; i < len(b)-1; {
		if b[i] != '\\' {
			i++
			continue
		}
		switch r := escaped(b[i:]); {
		case utf16.IsSurrogate(r) && utf16.DecodeRune(r, escaped(b[min(i+6, len(b)):])) != utf8.RuneError:
			i += 12
		case r >= 0xdc80 && r <= 0xdcff:
			if err := plain(i); err != nil {
				return err
			}
			out = append(out, byte(r))
			i += 6
			begun = i
		default:
			i += 2
		}
	}
	if err := plain(len(b) - 1); err != nil {
		return err
	}
	*p = Path(out)
	return nil
}

// escaped is the \uXXXX that b begins with, or -1.
func escaped(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}
