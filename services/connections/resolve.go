package connections

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
)

// Settings of a first hop may be other words for those of another one: an alias of ssh_config, and what it stands for. What stands behind
// them is found out ahead of the first request that has them; the request waits for that, and for nothing else. It holds for as long as there is
// such a connection. A new one goes by what is configured then, which may be something else.

// unread is a request whose first hop is still to be resolved.
type unread struct {
	reply   *actors.Reply
	message any
}

// question is what is being resolved, and who waits for that.
type question struct {
	waiting []unread
	clock   *actors.Timer
}

// resolveGrace is how long finding out may take beyond its limit: after that it waits for something that has none.
const resolveGrace = 5 * time.Second

// meaning is what the settings of a first hop have been understood as.
type meaning struct {
	digest string // keyed; empty if they stand for themselves
	key    string // of the hop, once one has been planned
}

// resolved is what a pump has found out, both as digests. What could not be resolved stands for itself, and meant is empty.
type resolved struct{ words, meant string }

// resolving is how long finding out may take.
type resolving struct {
	words string
	limit time.Duration
}

// ask takes a request, now or when its first hop has been resolved.
func (s *connections) ask(ctx actor.Context, message any) {
	reply := s.owe(ctx, message)
	var hops []HopRequest
	dials := false
	switch m := message.(type) {
	case *Acquire:
		hops, dials = m.Hops, true
	case *Reset:
		if m.Context == "" {
			hops = m.Hops
		}
	case *Retire:
		hops = m.Hops
	case *Ticket:
		hops, dials = m.Hops, true
	}
	if words := s.unresolved(ctx, hops, dials); words != "" {
		q := s.unread[words]
		q.waiting = append(q.waiting, unread{reply, message})
		return
	}
	s.take(ctx, reply, message)
}

func (s *connections) take(ctx actor.Context, reply *actors.Reply, message any) {
	switch m := message.(type) {
	case *Acquire:
		s.onAcquire(ctx, reply, m)
	case *Reset:
		s.onReset(ctx, reply, m)
	case *Retire:
		s.onRetire(ctx, reply, m)
	case *Ticket:
		s.onTicket(ctx, reply, m)
	}
}

// unresolved returns the digest of settings that are being resolved, and begins with that if nobody has. It is empty if there is nothing to
// wait for: what is wrong with settings is told by who uses them. Who dials if there is no connection goes by what is configured now; who ends one
// means what has been made. A ticket is for somebody who dials.
func (s *connections) unresolved(ctx actor.Context, hops []HopRequest, dials bool) string {
	if len(hops) == 0 || s.cfg.Factories[hops[0].Method] == nil {
		return ""
	}
	encoded, err := identity(hops[0])
	if err != nil {
		return ""
	}
	words := s.digest("", encoded)
	if meant, known := s.meant[words]; known && (!dials || s.stands(hops[0], meant.digest)) {
		return ""
	}
	if _, begun := s.unread[words]; begun {
		return words
	}
	dialer, err := s.cfg.Factories[hops[0].Method](hops[0].Kwargs)
	found, able := dialer.(resolver)
	if err != nil || !able {
		return ""
	}
	s.unread[words] = &question{clock: s.resolveLate(ctx, words, 0)}
	s.resolve(ctx, words, found)
	return words
}

// stands says whether there is a first hop as its settings were understood, or one is on its way.
func (s *connections) stands(hop HopRequest, meant string) bool {
	if meant != "" {
		hop.Kwargs = json.RawMessage(`"` + meant + `"`)
	}
	encoded, err := identity(hop)
	if err != nil {
		return false
	}
	key := s.digest("", encoded)
	return slices.ContainsFunc([]string{key, bareName(key)}, func(name string) bool {
		e := s.entries[name]
		return e != nil && !e.going()
	})
}

// resolveLate has what is not found out in time stand for itself.
func (s *connections) resolveLate(ctx actor.Context, words string, limit time.Duration) *actors.Timer {
	return actors.After(ctx, limit+resolveGrace, &resolved{words: words})
}

func (s *connections) onResolving(ctx actor.Context, m *resolving) {
	if q := s.unread[m.words]; q != nil {
		q.clock.Stop()
		q.clock = s.resolveLate(ctx, m.words, m.limit)
	}
}

func (s *connections) onResolved(ctx actor.Context, m *resolved) {
	q := s.unread[m.words]
	if q == nil {
		return // late
	}
	q.clock.Stop()
	s.meant[m.words] = meaning{digest: m.meant}
	delete(s.unread, m.words)
	for _, u := range q.waiting {
		s.take(ctx, u.reply, u.message)
	}
}

// forgetUnread drops what a requester that is gone still waits for.
func (s *connections) forgetUnread(requester *actor.PID) {
	for _, q := range s.unread {
		q.waiting = slices.DeleteFunc(q.waiting, func(u unread) bool { return requester.Equal(u.reply.To()) })
	}
}
