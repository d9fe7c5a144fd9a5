package tree

import (
	"context"
	"io"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports"
	"spindle/transports/wire"
)

// dialed is the dial pump's result. The pump keeps the link until the hop takes it, so that a hop which stops in between
// leaves no connection behind.
type dialed struct {
	booted *transports.Booted
	shell  transports.Shell // in its place, for bare hops
	err    error
	taken  attempt
}

// take makes the link the caller's. It may be called once.
func (d *dialed) take() { close(d.taken) }

// limited is the dial pump's first word: how long the dial may take. Even that may take time to find out, and so is no actor's to ask.
type limited struct {
	limit time.Duration
	dial  attempt
}

// attempt tells a dial from others: a pump that was given up may return when its hop has a namesake.
type attempt chan struct{}

// behind is the way to a dial that runs, for one frame that it is to write behind its flight.
type behind struct{ frame chan wire.Frame }

// newBehind makes the way, and has the program's dial look there.
func newBehind(p *transports.Program) *behind {
	b := &behind{frame: make(chan wire.Frame, 1)}
	p.Behind = b.frame
	return b
}

// give hands the frame over. It may be called once, and nobody has to take it.
func (b *behind) give(f wire.Frame) { b.frame <- f }

// dial starts the pump; its owner gets *limited and then *dialed, of the attempt that it returns.
func dial(ctx actor.Context, d transports.Dialer, via transports.Spawner, program transports.Program) attempt {
	return dialing(ctx, d, func(ctx context.Context, m *dialed) io.Closer {
		if m.booted, m.err = d.Dial(ctx, via, program); m.booted == nil {
			return nil
		}
		return m.booted.Link
	})
}

// dialBare is dial for a way without an agent.
func dialBare(ctx actor.Context, d transports.Dialer, via transports.Spawner) attempt {
	return dialing(ctx, d, func(ctx context.Context, m *dialed) io.Closer {
		if m.shell, m.err = transports.OpenBare(ctx, d, via); m.err != nil {
			return nil
		}
		return m.shell
	})
}

func dialing(ctx actor.Context, d transports.Dialer, try func(context.Context, *dialed) io.Closer) attempt {
	self, sys, taken := ctx.Self(), actors.SystemOf(ctx), make(attempt)
	actors.Go(ctx, "dial", func(ctx context.Context) error {
		limit := d.Timeout()
		sys.Send(self, &limited{limit: limit, dial: taken})
		bounded, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		m := &dialed{taken: taken}
		open := try(bounded, m)
		sys.Send(self, m)
		if open == nil {
			return nil
		}
		select {
		case <-taken:
			return nil
		case <-ctx.Done():
			return open.Close()
		}
	})
	return taken
}
