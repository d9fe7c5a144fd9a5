package actors

import (
	"maps"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors/census"
)

// Facts is what an actor tells about itself, see [census.Facts].
type Facts = census.Facts

// Bytes counts what an actor has moved.
type Bytes = census.Bytes

// Describe publishes what the actor says of itself to the census. It replaces all that was said before. Readers never
// wait for the actor, and the actor never for them. Secrets have no place in it (G6).
func Describe(ctx actor.Context, f Facts) {
	f.Extra = maps.Clone(f.Extra)
	cellOf(ctx).entry.Describe(f)
}
