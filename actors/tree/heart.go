package tree

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports/wire"
)

// Heartbeat says how often an agent is asked for a sign of life and how many questions may stay unanswered before the
// link counts as lost. The zero value means the default of 3 × 10 s.
type Heartbeat struct {
	Interval time.Duration
	Misses   int
}

// Every is the interval with its default.
func (h Heartbeat) Every() time.Duration {
	if h.Interval <= 0 {
		return 10 * time.Second
	}
	return h.Interval
}

// Silence is how long a link may be silent.
func (h Heartbeat) Silence() time.Duration {
	n := h.Misses
	if n <= 0 {
		n = 3
	}
	return time.Duration(n) * h.Every()
}

// heart counts an interpreter's unanswered questions. Anything that the agent sends is a sign of life.
type heart struct {
	missed int
	rtt    time.Duration
}

type beatTick struct{}

func (h *heart) heard() { h.missed = 0 }

func (p *interpreter) startBeat(ctx actor.Context) {
	actors.After(ctx, p.cfg.Heartbeat.Every(), &beatTick{})
}

func (p *interpreter) onBeat(ctx actor.Context) {
	if p.lost {
		return
	}
	every := p.cfg.Heartbeat.Every()
	if time.Duration(p.beat.missed)*every >= p.cfg.Heartbeat.Silence() {
		p.onLost(ctx, errors.New("no sign of life from the target for "+p.cfg.Heartbeat.Silence().String()))
		return
	}
	p.beat.missed++
	p.push(wire.Frame{Header: wire.Ping{Stamp: time.Now().UnixNano()}})
	p.startBeat(ctx)
}

func (p *interpreter) onPing(ctx actor.Context, id uint32, m wire.Ping) {
	if !m.Reply {
		p.push(wire.Frame{ID: id, Header: wire.Ping{Reply: true, Stamp: m.Stamp}})
		return
	}
	p.beat.rtt = time.Duration(time.Now().UnixNano() - m.Stamp)
	p.describe(ctx)
}
