package tree

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/transports/wire"
)

const (
	// slowRate is the pace, in bytes a second, below which packing DATA pays: faster links are not to wait for it.
	slowRate = 16 << 20
	// paceSpan is how long a pace is measured at least.
	paceSpan = 20 * time.Millisecond
)

// pace is how fast the network takes what a transfer sends, by the credit that comes back.
type pace struct {
	packs bool // the link does, so DATA may be packed too
	slow  bool
	since time.Time
	bytes int
	share float64 // what packing leaves of DATA
	most  int     // the most credit that one frame returns for what was taken
}

// returned notes credit.
func (p *pace) returned(n int) {
	if !p.packs {
		return
	}
	// A receiver that finds out that much is coming returns more than it has taken, once.
	p.bytes += min(n, p.most)
	if span := time.Since(p.since); span >= paceSpan {
		p.slow = float64(p.bytes)*p.share < slowRate*span.Seconds()
		p.since, p.bytes = time.Now(), 0
	}
}

// sendBulk sends a DATA or PART frame, packed if the link is slow and it gets smaller.
func (x *exchange) sendBulk(ctx actor.Context, h wire.Header, data []byte) {
	if !x.answered {
		ctx.Send(ctx.Parent(), &sendFrame{frame: x.pack(h, data)})
	}
}

// pack makes a frame of data, and packs it if the link is slow and it gets smaller.
func (x *exchange) pack(h wire.Header, data []byte) wire.Frame {
	if x.pace.since.IsZero() {
		x.pace.since = time.Now()
	}
	x.pace.share = 1
	f := wire.Frame{ID: x.id, Header: h, Body: data}
	if x.pace.slow {
		if packed, ok, err := wire.PackFresh(f); err == nil && ok {
			x.pace.share = float64(len(packed.Body)) / float64(len(data))
			f = packed
		}
	}
	return f
}
