package connections

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports"
)

// resolver is a Dialer that resolves.
type resolver interface {
	transports.Dialer
	transports.Resolver
}

// resolve starts the pump that finds out what stands behind settings; it answers by *resolving and then, if it returns, by *resolved.
func (s *connections) resolve(ctx actor.Context, words string, resolver resolver) {
	self, sys, digest := ctx.Self(), actors.SystemOf(ctx), s.digest
	actors.Go(ctx, "resolve", func(ctx context.Context) error {
		answer := &resolved{words: words}
		defer func() { sys.Send(self, answer) }()
		sys.Send(self, &resolving{words: words, limit: resolver.Timeout()})
		meant, err := resolver.Resolve(ctx)
		if err == nil && meant != "" {
			answer.meant = digest("", []byte(meant))
		}
		return nil // whatever is wrong, the dial says so
	})
}
