package tree

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports"
)

// watchWay starts the pump that tells its owner, by *wayLost, that the way to an account is no more.
func watchWay(ctx actor.Context, way transports.Shell) {
	lost := way.Lost()
	if lost == nil {
		return
	}
	self, sys := ctx.Self(), actors.SystemOf(ctx)
	actors.Go(ctx, "way", func(ctx context.Context) error {
		select {
		case <-lost:
			sys.Send(self, &wayLost{})
		case <-ctx.Done():
		}
		return nil
	})
}
