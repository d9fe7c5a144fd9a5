package connections

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"spindle/actors"
	"spindle/actors/tree"
)

// DefaultMaxInterpreters is how many accounts are kept at a time behind one login, if nothing else is said (contract §1.5,
// MITOGEN_MAX_INTERPRETERS).
const DefaultMaxInterpreters = 20

// retireGrace is how long somebody waits for accounts that are to be given up and are in use.
const retireGrace = 5 * time.Second

// resetGrace is how long a reset waits for what others hold: the socket of one who has ended may not be known to be closed yet.
const resetGrace = time.Second

// pinsMost is how many ways one requester can hold at a time: a task has one connection, few have two.
const pinsMost = 4

// pins are the ways that a requester got last, by what it called them. Nothing on them is given up.
type pins struct {
	ways  map[uint32][]*entry
	order []uint32
}

// pin holds a way for its requester, in the place of the one that it held under the same name.
func (s *connections) pin(ctx actor.Context, r *request) {
	p := s.pinned[r.reply.To().Id]
	if p == nil {
		p = &pins{ways: map[uint32][]*entry{}}
		s.pinned[r.reply.To().Id] = p
	}
	if i := slices.Index(p.order, r.holder); i >= 0 {
		p.order = slices.Delete(p.order, i, i+1)
	}
	p.order = append(p.order, r.holder)
	for _, e := range r.way {
		s.clock++
		e.used = s.clock
	}
	p.ways[r.holder] = r.way
	if len(p.order) > pinsMost {
		delete(p.ways, p.order[0])
		p.order = p.order[1:]
	}
	s.settle(ctx)
}

// release drops what a requester holds: all of it, or the ways over one entry.
func (s *connections) release(ctx actor.Context, requester *actor.PID, over *entry) {
	p := s.pinned[requester.Id]
	if p == nil {
		return
	}
	if over == nil {
		delete(s.pinned, requester.Id)
	} else {
		for holder, way := range p.ways {
			if slices.ContainsFunc(way, func(e *entry) bool { return e.behind(over) }) {
				delete(p.ways, holder)
				p.order = slices.DeleteFunc(p.order, func(h uint32) bool { return h == holder })
			}
		}
	}
	s.settle(ctx)
}

// held lists the entries that somebody holds or waits for, with all that they start from. The waiting of one requester can be left out.
func (s *connections) held(but *actor.PID) map[*entry]bool { return s.heldBy(s.pinned, but) }

// heldByOthers is held without what one requester holds or waits for.
func (s *connections) heldByOthers(but *actor.PID) map[*entry]bool {
	others := maps.Clone(s.pinned)
	delete(others, but.Id)
	return s.heldBy(others, but)
}

func (s *connections) heldBy(pinned map[string]*pins, but *actor.PID) map[*entry]bool {
	held := map[*entry]bool{}
	hold := func(way []*entry) {
		for _, e := range way {
			for ; e != nil && !held[e]; e = e.above {
				held[e] = true
			}
		}
	}
	for _, p := range pinned {
		for _, way := range p.ways {
			hold(way)
		}
	}
	for _, e := range s.dials {
		for _, r := range e.waiters {
			if but == nil || !but.Equal(r.reply.To()) {
				hold(r.way)
			}
		}
	}
	return held
}

// part gives an entry up: new requests dial anew at once, and it goes when its holders are done with it.
func (s *connections) part(ctx actor.Context, e *entry) {
	if e.hop == nil || e.state != ready {
		return
	}
	s.close(e)
	s.parting = append(s.parting, e)
	s.settle(ctx)
}

// settle lets those go that nobody holds any more.
func (s *connections) settle(ctx actor.Context) {
	if len(s.parting) == 0 {
		return
	}
	held := s.held(nil)
	s.parting = slices.DeleteFunc(s.parting, func(e *entry) bool {
		if held[e] {
			return false
		}
		ctx.Send(e.hop, &tree.Retire{})
		return true
	})
}

// makeRoom is called before another account is entered behind the same login: if there are as many as may be, the one goes
// that was not used for the longest time. None does that is in use.
func (s *connections) makeRoom(ctx actor.Context, parent *entry) {
	var all []*entry
	led := map[*entry]bool{} // those that others stand behind
	for _, e := range s.entries {
		led[e.above] = true
	}
	var idle []*entry
	held := s.held(nil)
	for _, e := range s.entries {
		if e.above != parent || !e.become || e.bare || e.state == closing {
			continue
		}
		all = append(all, e)
		if e.state == ready && !held[e] && !led[e] {
			idle = append(idle, e)
		}
	}
	if len(all) < s.cfg.MaxInterpreters {
		return
	}
	if len(idle) == 0 {
		s.cfg.Logger.Warn("more accounts at a time than MITOGEN_MAX_INTERPRETERS says, because all are in use", zap.Int("accounts", len(all)+1))
		return
	}
	s.part(ctx, slices.MinFunc(idle, func(a, b *entry) int { return int(a.used) - int(b.used) }))
}

// onRetire gives up one context, or the idle accounts of a machine.
func (s *connections) onRetire(ctx actor.Context, reply *actors.Reply, m *Retire) {
	if m.Context != "" {
		if e := s.entries[m.Context]; e != nil && e.hop != nil && e.interp.Equal(m.Interpreter) {
			s.release(ctx, reply.To(), e)
			s.part(ctx, e)
		} else {
			s.releaseGone(ctx, reply.To(), m.Interpreter)
		}
		s.answer(reply, &ResetDone{Key: m.Key})
		return
	}
	hops, err := s.plan(m.Hops)
	if err != nil {
		s.answer(reply, &Refused{Key: m.Key, Err: err})
		return
	}
	s.retireIdle(ctx, &retireAgain{reply: reply, message: m, login: hops[len(hops)-1].Key, until: time.Now().Add(resetGrace)})
}

// retireAgain looks once more whether accounts are idle by now: whoever has held one may have ended, and not be known to have.
type retireAgain struct {
	reply   *actors.Reply
	message *Retire
	login   string
	until   time.Time
}

// retireLook is how long after the last look that is.
const retireLook = 20 * time.Millisecond

func (s *connections) retireIdle(ctx actor.Context, again *retireAgain) {
	reply, m, login := again.reply, again.message, s.entries[again.login]
	held, others := s.held(nil), s.heldByOthers(reply.To())
	var going []*entry
	for _, e := range s.entries {
		if !e.become || e.state != ready || e.bare || login == nil {
			continue
		}
		there := e.account()
		if e.above != login && (there.Machine == "" || there.Machine != login.account().Machine) || !there.is(m.User) {
			continue
		}
		if !held[e] {
			going = append(going, e)
		} else if others[e] && time.Now().Before(again.until) {
			actors.After(ctx, retireLook, again)
			return
		}
	}
	if len(going) == 0 {
		s.answer(reply, &ResetDone{Key: m.Key})
		return
	}
	done, late := s.countdown(reply, m.Key, len(going))
	for _, e := range going {
		s.resets[e.hop.Id] = append(s.resets[e.hop.Id], done)
		s.part(ctx, e)
	}
	actors.After(ctx, retireGrace, late)
}

// countdown answers ResetDone when done was called so many times, or late has come.
func (s *connections) countdown(reply *actors.Reply, key uint32, left int) (done func(), late *retireLate) {
	done = func() {
		if left--; left == 0 {
			s.answer(reply, &ResetDone{Key: key})
		}
	}
	return done, &retireLate{done: func() {
		if left > 0 {
			left = 1
			done()
		}
	}}
}

// retireLate ends the wait for accounts that do not go.
type retireLate struct{ done func() }

// releaseGone drops a requester's hold on an interpreter that another one has given up meanwhile.
func (s *connections) releaseGone(ctx actor.Context, requester, interp *actor.PID) {
	for _, e := range s.byPID {
		if e.state == closing && e.interp.Equal(interp) {
			s.release(ctx, requester, e)
			return
		}
	}
}

// account is what an agent has found out about whom it runs as, and where.
type account struct {
	User    string `json:"user"`
	UID     int    `json:"uid"`
	Machine string `json:"machine"` // whose processes it sees; empty where it cannot tell
}

func (e *entry) account() account {
	var a account
	_ = json.Unmarshal(e.facts, &a) // an agent's facts are JSON, and a hop without one has none
	return a
}

// is says whether it is the account of a user; without a name, whether it is any but root's.
func (a account) is(user string) bool {
	if user == "" {
		return a.UID != 0 && a.User != ""
	}
	return a.User == user
}
