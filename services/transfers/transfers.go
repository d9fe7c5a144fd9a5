package transfers

import (
	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/actors/tree"
)

// Budget is the default for how many bytes all transfers together may have under way.
const Budget int64 = 96 << 20

type waiter struct {
	who   *actor.PID
	bytes int64
}

type transfers struct {
	budget int64
	used   int64
	held   map[string]int64
	queue  []waiter
}

// Spec describes the transfers service with a budget in bytes.
func Spec(budget int64) actors.Spec {
	return actors.Spec{Kind: "transfers", Name: "transfers", New: func() actor.Actor {
		return &transfers{budget: budget, held: map[string]int64{}}
	}}
}

func (s *transfers) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *tree.Reserve:
		ctx.Watch(ctx.Sender())
		s.queue = append(s.queue, waiter{ctx.Sender(), min(m.Bytes, s.budget)})
		s.serve(ctx)
	case *actor.Terminated:
		s.free(m.Who.Id)
		for i, w := range s.queue {
			if w.who.Equal(m.Who) {
				s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
				break
			}
		}
		s.serve(ctx)
	}
}

func (s *transfers) free(id string) {
	s.used -= s.held[id]
	delete(s.held, id)
}

func (s *transfers) serve(ctx actor.Context) {
	for len(s.queue) > 0 && s.used+s.queue[0].bytes <= s.budget {
		w := s.queue[0]
		s.queue = s.queue[1:]
		s.used += w.bytes
		s.held[w.who.Id] += w.bytes
		ctx.Send(w.who, &tree.Reserved{Bytes: w.bytes})
	}
}
