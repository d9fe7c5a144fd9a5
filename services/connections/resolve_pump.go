package connections

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports"
)

// resolve starts the pump that finds out what stands behind settings; it always answers, by *resolved.
func (s *connections) resolve(ctx actor.Context, words string, resolver transports.Resolver) {
	self, sys, digest := ctx.Self(), actors.SystemOf(ctx), s.digest
	actors.Go(ctx, "resolve", func(ctx context.Context) error {
		answer := &resolved{words: words}
		defer func() { sys.Send(self, answer) }()
		meant, err := resolver.Resolve(ctx)
		if err == nil && meant != "" {
			answer.meant = digest("", []byte(meant))
		}
		return nil // whatever is wrong, the dial says so
	})
}
