package connections

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/actors/tree"
)

// Ticket asks for a name by which others may acquire a stack of hops that they cannot describe themselves: programs that are handed it
// instead of passwords. It is good for as long as the service lives. Reply: *TicketMade, or *Refused.
type Ticket struct {
	Key  uint32
	Hops []HopRequest
}

// TicketMade answers Ticket. The name is hard to guess; the same stack has the same one.
type TicketMade struct {
	Key    uint32
	Ticket string
}

// ticket is a stack that somebody may acquire by name.
type ticket struct {
	name string
	hops []*tree.Hop
}

func (s *connections) onTicket(ctx actor.Context, reply *actors.Reply, m *Ticket) {
	hops, err := s.plan(m.Hops)
	if err != nil {
		s.answer(reply, &Refused{Key: m.Key, Err: err})
		return
	}
	key := hops[len(hops)-1].Key
	t, known := s.tickets[key]
	if !known {
		name := make([]byte, 16)
		rand.Read(name) // never fails (crypto/rand)
		t.name = hex.EncodeToString(name)
	}
	t.hops = hops // by what is configured now
	s.tickets[key] = t
	s.answer(reply, &TicketMade{Key: m.Key, Ticket: t.name})
}

// redeem finds the stack of a ticket.
func (s *connections) redeem(name string) ([]*tree.Hop, bool) {
	for _, t := range s.tickets {
		if t.name == name {
			return t.hops, true
		}
	}
	return nil, false
}
