package tree

import (
	"context"
	"io"

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
	taken  chan struct{}
}

// take makes the link the caller's. It may be called once.
func (d *dialed) take() { close(d.taken) }

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

// dial starts the pump; its owner gets *dialed.
func dial(ctx actor.Context, d transports.Dialer, via transports.Spawner, program transports.Program) {
	dialing(ctx, d, func(ctx context.Context, m *dialed) io.Closer {
		if m.booted, m.err = d.Dial(ctx, via, program); m.booted == nil {
			return nil
		}
		return m.booted.Link
	})
}

// dialBare is dial for a way without an agent.
func dialBare(ctx actor.Context, d transports.Dialer, via transports.Spawner) {
	dialing(ctx, d, func(ctx context.Context, m *dialed) io.Closer {
		if m.shell, m.err = transports.OpenBare(ctx, d, via); m.err != nil {
			return nil
		}
		return m.shell
	})
}

func dialing(ctx actor.Context, d transports.Dialer, attempt func(context.Context, *dialed) io.Closer) {
	self, sys := ctx.Self(), actors.SystemOf(ctx)
	actors.Go(ctx, "dial", func(ctx context.Context) error {
		limited, cancel := context.WithTimeout(ctx, d.Timeout())
		defer cancel()
		m := &dialed{taken: make(chan struct{})}
		open := attempt(limited, m)
		sys.Send(self, m)
		if open == nil {
			return nil
		}
		select {
		case <-m.taken:
			return nil
		case <-ctx.Done():
			return open.Close()
		}
	})
}
