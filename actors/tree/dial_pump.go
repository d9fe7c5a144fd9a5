package tree

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports"
)

// dialed is the dial pump's result. The pump keeps the link until the hop takes it, so that a hop which stops in between
// leaves no connection behind.
type dialed struct {
	booted *transports.Booted
	err    error
	taken  chan struct{}
}

// take makes the link the caller's. It may be called once.
func (d *dialed) take() { close(d.taken) }

// dial starts the pump; its owner gets *dialed.
func dial(ctx actor.Context, d transports.Dialer, via transports.Spawner, program transports.Program) {
	self, sys := ctx.Self(), actors.SystemOf(ctx)
	actors.Go(ctx, "dial", func(ctx context.Context) error {
		limited, cancel := context.WithTimeout(ctx, d.Timeout())
		defer cancel()
		b, err := d.Dial(limited, via, program)
		m := &dialed{booted: b, err: err, taken: make(chan struct{})}
		sys.Send(self, m)
		if b == nil {
			return nil
		}
		select {
		case <-m.taken:
			return nil
		case <-ctx.Done():
			return b.Link.Close()
		}
	})
}
