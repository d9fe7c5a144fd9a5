package tree

import (
	"errors"
	"slices"
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

// silenceMost is as good as never, and its multiples are durations still.
const silenceMost = 365 * 24 * time.Hour

// Silence is how long a link may be silent, a year at most.
func (h Heartbeat) Silence() time.Duration {
	n := h.Misses
	if n <= 0 {
		n = 3
	}
	if h.Every() > silenceMost/time.Duration(n) {
		return silenceMost
	}
	return time.Duration(n) * h.Every()
}

// heart counts an interpreter's unanswered questions. Anything that the agent sends is a sign of life.
type heart struct {
	missed  int
	least   time.Duration // the shortest that was ever measured
	asking  []*actor.PID  // who wants to know it
	since   time.Time     // what stamps count from: the wall clock may be set back
	asked   []question    // those that may still be answered
	arrived int64         // how many bytes are known to have reached the agent
}

// question is one that was asked: when, and how many bytes the link had been given by then.
type question struct{ stamp, given int64 }

const (
	// questionsMost bounds the questions that an answer is taken for. An agent that answers none, but says other things, lives on.
	questionsMost = 64
	// slowest is how many bytes a second a line is waited for that has much to carry: 500 hosts behind 8 Mbit/s.
	slowest = 2 << 10
	// inTime is how many bytes even such a line carries between two questions.
	inTime = 16 << 10
)

type beatTick struct{}

func (h *heart) heard() { h.missed = 0 }

// ask makes a question, which goes behind so many bytes.
func (h *heart) ask(given int64) wire.Frame {
	if h.since.IsZero() {
		h.since = time.Now()
	}
	if len(h.asked) == questionsMost {
		h.asked = slices.Delete(h.asked, 0, 1)
	}
	stamp := int64(time.Since(h.since))
	h.asked = append(h.asked, question{stamp, given})
	return wire.Frame{Header: wire.Ping{Stamp: stamp}}
}

// patience is how long a link may be silent that was given so many bytes. A slow line takes its time for those that have not arrived, and
// no answer comes ahead of them: many hosts may share one.
func (h *heart) patience(beat Heartbeat, given int64) time.Duration {
	silence := beat.Silence()
	late := max(min(given-h.arrived, 1<<30)-inTime, 0) // more would be no duration
	return silence + min(time.Duration(late)*time.Second/slowest, 3*silence)
}

// answered measures by an answer, and says whether it is one to any question.
func (h *heart) answered(stamp int64) bool {
	i := slices.IndexFunc(h.asked, func(q question) bool { return q.stamp == stamp })
	if i < 0 {
		return false
	}
	h.arrived = h.asked[i].given
	h.asked = slices.Delete(h.asked, 0, i+1) // the link keeps the order
	trip := time.Since(h.since) - time.Duration(stamp)
	if trip <= 0 {
		return false
	}
	if h.least == 0 || trip < h.least {
		h.least = trip
	}
	return true
}

func (p *interpreter) startBeat(ctx actor.Context) {
	actors.After(ctx, p.cfg.Heartbeat.Every(), &beatTick{})
}

func (p *interpreter) onBeat(ctx actor.Context) {
	if p.lost {
		return
	}
	every := p.cfg.Heartbeat.Every()
	if silent := time.Duration(p.beat.missed) * every; silent >= p.beat.patience(p.cfg.Heartbeat, p.given()) {
		p.onLost(ctx, errors.New("no sign of life from the target for "+silent.String()))
		return
	}
	p.beat.missed++
	p.push(p.beat.ask(p.given()))
	p.startBeat(ctx)
}

// onMeasureTrip asks the agent for a sign of life ahead of the time.
func (p *interpreter) onMeasureTrip(who *actor.PID) {
	if who != nil && !p.lost {
		p.beat.asking = append(p.beat.asking, who)
		p.push(p.beat.ask(p.given()))
	}
}

// given is how many bytes the link was given.
func (p *interpreter) given() int64 { return p.booted.Behind + p.out.Given() }

func (p *interpreter) onPing(ctx actor.Context, m wire.Ping) {
	if !m.Reply { // agents never ask, and answers to one that does so without end would pile up
		p.onLost(ctx, errors.New("protocol error: the agent sent a PING that is no answer"))
		return
	}
	if !p.beat.answered(m.Stamp) {
		return
	}
	for _, pid := range p.beat.asking {
		ctx.Send(pid, &tripMeasured{trip: p.beat.least})
	}
	p.beat.asking = nil
	p.describe(ctx)
}
