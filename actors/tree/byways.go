package tree

import (
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"spindle/actors"
	"spindle/transports"
	"spindle/transports/wire"
)

// What makes a put ask for byways (protocol.md §13).
const (
	// bywayCount is how many it asks for. Behind the windows of two channels is what TCP keeps: a third gained nothing.
	bywayCount = 2
	// bywayLeast is the size of a file for which the way is measured, and bywayRest what must be left of it when that has been done.
	bywayLeast, bywayRest = 32 << 20, 16 << 20
	// bywayTrip is the round trip below which one channel carries more than is ever sent.
	bywayTrip = 10 * time.Millisecond
	// bywayFlight is how much of the 2 MiB that a channel lets be under way is used if they are what limits it: a line that is narrow, or a
	// disk that is slow, has less on the way.
	bywayFlight = 1 << 20
)

// bywayState is how far a put has come with byways.
//
//	state     leaves by
//	single    the window is the limit → reserved
//	reserving Reserved → asking
//	asking    BYWAY → opening, or refused
//	opening   all have opened → split; any is lost → refused
//	split     any is lost, or nothing is heard → rejoined
type bywayState int

const (
	bywaySingle bywayState = iota
	bywayReserving
	bywayAsking
	bywayOpening
	bywaySplit
	bywayRejoined // once it was split: what is left goes as PART by way of the link
	bywayRefused  // before it was
)

// measureTrip asks an interpreter how long the way to its agent and back is. Reply: *tripMeasured.
type measureTrip struct{}

type tripMeasured struct{ trip time.Duration }

// bywaysRefused tells an interpreter that there is no use in asking for byways again.
type bywaysRefused struct{}

// bywayTick asks whether anything was heard since all that was granted was limit.
type bywayTick struct{ limit int64 }

// flight measures how much is under way, by the credit that comes back while the way is gone there and back.
type flight struct {
	trip  time.Duration
	since time.Time
	bytes int64
}

// returned notes credit, and says whether there was as much under way as a channel's window can make.
func (f *flight) returned(n int, now time.Time) bool {
	if f.trip < bywayTrip {
		return false
	}
	if f.since.IsZero() { // the first is not for what was sent
		f.since = now
		return false
	}
	f.bytes += int64(n)
	span := now.Sub(f.since)
	if span < 4*f.trip {
		return false
	}
	full := float64(f.bytes)*f.trip.Seconds() >= bywayFlight*span.Seconds()
	f.since, f.bytes = now, 0
	return full
}

// byways are a put's, if it has any.
type byways struct {
	via    transports.Splitter // nil: the link is the only way
	state  bywayState
	flight flight
	window int64 // the most that the agent keeps open
	pumps  []*bywayPump
	opened int
	heard  *actors.Timer
}

// watchByways looks at credit that came back.
func (t *put) watchByways(ctx actor.Context, credit int) {
	if t.ways.via == nil || t.ways.state != bywaySingle || t.ended {
		return
	}
	if t.ways.flight.returned(credit, time.Now()) && t.size-t.sent >= bywayRest {
		t.ways.state = bywayReserving
		ctx.Request(t.cfg.Transfers, &Reserve{Bytes: (bywayCount - 1) * wire.WindowBulk})
	}
}

// askByways asks the agent for byways. The answer may be long in coming; nothing waits for it.
func (t *put) askByways(ctx actor.Context) {
	t.ways.state = bywayAsking
	t.send(ctx, wire.Byway{Count: bywayCount}, nil)
}

func (t *put) onByway(ctx actor.Context, m wire.Byway) {
	if t.ways.state != bywayAsking {
		return
	}
	if m.Count != bywayCount || m.Path == "" {
		t.refuseByways(ctx, "the agent has no socket")
		return
	}
	t.ways.state = bywayOpening
	t.ways.window = int64(m.Count) * wire.WindowBulk
	t.pace.most = int(t.ways.window / 4)
	for n := range m.Count {
		t.ways.pumps = append(t.ways.pumps, openByway(ctx, n, t.ways.via, m.Path))
	}
}

func (t *put) onBywayOpened(ctx actor.Context) {
	if t.ways.state != bywayOpening {
		return
	}
	if t.ways.opened++; t.ways.opened < len(t.ways.pumps) {
		return
	}
	t.ways.state = bywaySplit
	t.cfg.Logger.Info("split over byways", zap.String("path", ctx.Self().Id), zap.Int("byways", t.ways.opened), zap.Int64("offset", t.sent))
	t.describe(ctx)
	t.listen(ctx)
	t.flush(ctx)
}

// listen gives up when nothing is heard any more.
func (t *put) listen(ctx actor.Context) {
	t.ways.heard = actors.After(ctx, bywayPatience, &bywayTick{limit: t.limit})
}

func (t *put) onBywayTick(ctx actor.Context, m *bywayTick) {
	switch {
	case t.ways.state != bywaySplit:
	case m.limit == t.limit:
		t.rejoin(ctx, "nothing was heard")
	default:
		t.listen(ctx)
	}
}

func (t *put) onBywayPassed(ctx actor.Context, m *bywayPassed) {
	if t.ways.state == bywaySplit {
		t.ways.pumps[m.n].load--
		t.flush(ctx)
	}
}

func (t *put) onBywayLost(ctx actor.Context, m *bywayLost) {
	switch t.ways.state {
	case bywayOpening:
		t.refuseByways(ctx, m.err.Error())
	case bywaySplit:
		t.rejoin(ctx, m.err.Error())
	}
}

// refuseByways goes on as if nothing had been asked for.
func (t *put) refuseByways(ctx actor.Context, why string) {
	t.ways.state = bywayRefused
	t.closeByways(ctx, why)
}

// rejoin sends everything by way of the link that may not have come by the byways, and all that follows.
func (t *put) rejoin(ctx actor.Context, why string) {
	t.ways.state = bywayRejoined
	t.closeByways(ctx, why)
	t.describe(ctx)
	// An agent grants a byte when it has passed on the one a window before it.
	t.rewind(max(0, t.limit-t.ways.window) / wire.ChunkMax * wire.ChunkMax)
	t.flush(ctx)
}

func (t *put) closeByways(ctx actor.Context, why string) {
	t.cfg.Logger.Info("no byways", zap.String("path", ctx.Self().Id), zap.String("why", why))
	for _, p := range t.ways.pumps {
		p.pump.Stop()
	}
	t.ways.pumps = nil
	t.ways.heard.Stop()
	ctx.Send(ctx.Parent(), &bywaysRefused{})
}

// pass sends a piece whichever way it has to go now. It reports false if all ways are full.
func (t *put) pass(ctx actor.Context, c piece) bool {
	switch t.ways.state {
	case bywaySplit:
		way := t.ways.pumps[0]
		for _, p := range t.ways.pumps[1:] {
			if p.load < way.load {
				way = p
			}
		}
		if !way.room() {
			return false
		}
		way.give(t.pack(wire.Part{Channel: wire.ChannelIn, Offset: c.offset, Last: c.last}, c.data))
	case bywayRejoined:
		t.sendBulk(ctx, wire.Part{Channel: wire.ChannelIn, Offset: c.offset, Last: c.last}, c.data)
	default:
		t.sendBulk(ctx, wire.Data{Channel: wire.ChannelIn}, c.data)
		if c.last {
			t.send(ctx, wire.EOF{Channel: wire.ChannelIn}, nil)
		}
	}
	return true
}

func (t *put) describe(ctx actor.Context) {
	extra := map[string]string{"size": strconv.FormatInt(t.size, 10)}
	if t.ways.state == bywaySplit {
		extra["byways"] = strconv.Itoa(len(t.ways.pumps))
	}
	actors.Describe(ctx, actors.Facts{State: "sending", Extra: extra})
}
