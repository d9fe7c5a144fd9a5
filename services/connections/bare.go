package connections

import (
	"errors"
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors/tree"
	"spindle/transports"
)

const bareMark = ":bare"

// bareName is the name of a hop's entry if it has no agent.
func bareName(key string) string { return key + bareMark }

// hopKey is the key of the hop that an entry's name stands for.
func hopKey(name string) string { return strings.TrimSuffix(name, bareMark) }

// wanted is the name of the entry that a request has to have for its hop i, and whether that is a bare one.
func (s *connections) wanted(r *request, i int) (name string, bare bool) {
	h := r.hops[i]
	switch {
	case i < r.login && tunnels(h, r.hops[i+1]):
		return bareName(h.Key), true
	case i < r.login && s.pythonless[h.Key], i >= r.login && r.bare && !s.tries(r, h):
		if e := s.entries[h.Key]; e == nil || e.state != ready {
			return bareName(h.Key), true
		}
	}
	return h.Key, false
}

// tries says whether an agent is to be tried for a hop of the last host, where none is needed.
func (s *connections) tries(r *request, h *tree.Hop) bool {
	return r.boot && !s.pythonless[h.Key] && !s.pythonless[r.hops[r.login].Key]
}

// tunnels says whether the next hop is to be connected to by way of h's own connection. Either may ask for it; h must be
// able to.
func tunnels(h, next *tree.Hop) bool {
	from, able := h.Dialer.(transports.Tunneler)
	if !able {
		return false
	}
	to, asks := next.Dialer.(transports.Tunneler)
	return from.Tunnel() || asks && to.Tunnel()
}

// goesOnWithout says whether a request can go on although there is no Python where e leads to: on the way, none is needed,
// and some can do without at its end. Whoever it was that needed one, there is none: that is remembered until an agent comes up there.
func (s *connections) goesOnWithout(r *request, e *entry, err error) bool {
	if e.bare || !errors.Is(err, transports.ErrNoPython) {
		return false
	}
	s.pythonless[e.key] = true
	dispensable := r.hops[:r.login]
	if r.bare && r.boot {
		dispensable = r.hops
	}
	return slices.ContainsFunc(dispensable, func(h *tree.Hop) bool { return h.Key == e.key })
}

// replaceBare lets go of what stood in for a hop that has an agent now. What leads through it goes on.
func (s *connections) replaceBare(ctx actor.Context, key string) {
	delete(s.pythonless, key)
	if e := s.entries[bareName(key)]; e != nil && e.state == ready && !e.passage {
		s.close(e)
		ctx.Send(e.hop, &tree.Retire{})
	}
}
