package connections

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"spindle/actors/actorstest"
	"spindle/actors/tree/treetest"
	"spindle/transports"
)

// alias is a Dialer whose settings mean something.
type alias struct {
	*treetest.Dialer
	means string
	err   error
	gate  chan struct{}
	asked *atomic.Int64
}

func (a alias) Resolve(ctx context.Context) (string, error) {
	a.asked.Add(1)
	select {
	case <-a.gate:
	case <-ctx.Done():
	}
	return a.means, a.err
}

// inAliases runs fn with dialers that resolve: two names of one host, one of another, and two that nobody can resolve.
func inAliases(t *testing.T, fn func(l *lab, gate chan struct{}, asked *atomic.Int64)) {
	inLab(t, func(l *lab) {
		gate, asked := make(chan struct{}), new(atomic.Int64)
		meanings := map[string]string{"ssh:b": "web1", "ssh:web1": "web1", "ssh:web2": "web2"}
		l.wrap = func(name string, d *treetest.Dialer) transports.Dialer {
			a := alias{Dialer: d, means: meanings[name], gate: gate, asked: asked}
			if name == "ssh:lost" {
				a.err = errors.New("ssh -G: time is up")
			}
			return a
		}
		fn(l, gate, asked)
	})
}

// Settings that mean the same have one connection, those that mean something else have their own, and each is asked for its meaning once.
func TestWhatMeansTheSameIsTheSame(t *testing.T) {
	inAliases(t, func(l *lab, gate chan struct{}, asked *atomic.Int64) {
		for _, name := range []string{"ssh:b", "ssh:web1", "ssh:web2", "ssh:lost", "ssh:words"} {
			l.host(name, treetest.UntilGone)
		}
		a, b := l.Probe("a"), l.Probe("b")
		a.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:b")})
		b.Request(l.conns, &Acquire{Key: 2, Hops: stack("ssh:web1")})
		b.Request(l.conns, &Acquire{Key: 3, Hops: stack("ssh:web1")})
		close(gate)
		first, second, third := actorstest.Expect[*Acquired](a), actorstest.Expect[*Acquired](b), actorstest.Expect[*Acquired](b)
		if first.Target.Name != second.Target.Name || second.Target.Name != third.Target.Name {
			t.Errorf("one host has connections %s, %s and %s", first.Target.Name, second.Target.Name, third.Target.Name)
		}
		if n := l.dialers["ssh:b"].Dials.Load() + l.dialers["ssh:web1"].Dials.Load(); n != 1 || asked.Load() != 2 {
			t.Errorf("%d dials, %d questions", n, asked.Load())
		}
		names := map[string]bool{first.Target.Name: true}
		for i, name := range []string{"ssh:web2", "ssh:lost", "ssh:words"} {
			for range 2 {
				names[l.acquire(a, false, name).Target.Name] = true
			}
			if len(names) != i+2 || l.dialers[name].Dials.Load() != 1 {
				t.Errorf("%s: %d connections, %d dials", name, len(names), l.dialers[name].Dials.Load())
			}
		}
		// What is reset under one name is reset.
		a.Request(l.conns, &Reset{Key: 9, Hops: stack("ssh:web1")})
		time.Sleep(resetGrace) // others hold it
		actorstest.Expect[*ResetDone](a)
		if l.acquire(a, false, "ssh:b"); l.dialers["ssh:b"].Dials.Load()+l.dialers["ssh:web1"].Dials.Load() != 2 {
			t.Error("the connection was not reset under its other name")
		}
	})
}

// Configurations change while a run goes on. What stands is used by those who have it under its name; the next connection is what the name means then.
func TestMeaningsMayChange(t *testing.T) {
	inLab(t, func(l *lab) {
		gate, asked := make(chan struct{}), new(atomic.Int64)
		close(gate)
		meanings := map[string]string{"ssh:b": "web1", "ssh:web1": "web1", "ssh:web2": "web2"}
		l.wrap = func(name string, d *treetest.Dialer) transports.Dialer {
			return alias{Dialer: d, means: meanings[name], gate: gate, asked: asked} // a dialer is made for each request
		}
		for _, name := range []string{"ssh:b", "ssh:web1", "ssh:web2"} {
			l.host(name, treetest.UntilGone)
		}
		a := l.Probe("a")
		first := l.acquire(a, false, "ssh:b")
		l.acquire(a, false, "ssh:web1") // shares it
		meanings["ssh:b"] = "web2"
		if l.acquire(a, false, "ssh:b").Target.Name != first.Target.Name || asked.Load() != 2 {
			t.Errorf("what stands is used no more, after %d questions", asked.Load())
		}
		a.Request(l.conns, &Reset{Key: 9, Hops: stack("ssh:b")})
		actorstest.Expect[*ResetDone](a)
		// That web1 has it again is no reason for b to follow.
		web1, second, web2 := l.acquire(a, false, "ssh:web1"), l.acquire(a, false, "ssh:b"), l.acquire(a, false, "ssh:web2")
		if second.Target.Name != web2.Target.Name || second.Target.Name == web1.Target.Name {
			t.Errorf("it is %s; web1 is %s, web2 is %s", second.Target.Name, web1.Target.Name, web2.Target.Name)
		}
	})
}

// A ticket is for somebody who dials: where nothing stands any more, the name means what it means now.
func TestTicketsGoByWhatNamesMeanNow(t *testing.T) {
	inLab(t, func(l *lab) {
		gate, cut := make(chan struct{}), make(chan struct{})
		close(gate)
		meanings := map[string]string{"ssh:b": "web1", "ssh:web1": "web1", "ssh:web2": "web2"}
		l.wrap = func(name string, d *treetest.Dialer) transports.Dialer {
			return alias{Dialer: d, means: meanings[name], gate: gate, asked: new(atomic.Int64)}
		}
		for _, name := range []string{"ssh:web1", "ssh:web2"} {
			l.host(name, treetest.UntilGone)
		}
		l.host("ssh:b", func(f *treetest.FarEnd) {
			go func() { <-cut; _ = f.Conn.Close() }()
			treetest.UntilGone(f)
		})
		a := l.Probe("a")
		l.acquire(a, false, "ssh:b")
		meanings["ssh:b"] = "web2"
		close(cut) // nobody has reset it
		time.Sleep(time.Second)
		a.Request(l.conns, &Ticket{Key: 1, Hops: stack("ssh:b")})
		a.Request(l.conns, &Acquire{Key: 2, Ticket: actorstest.Expect[*TicketMade](a).Ticket})
		got := actorstest.Expect[*Acquired](a).Target.Name
		if web1, web2 := l.acquire(a, false, "ssh:web1").Target.Name, l.acquire(a, false, "ssh:web2").Target.Name; got != web2 || got == web1 {
			t.Errorf("the ticket leads to %s; web1 is %s, web2 is %s", got, web1, web2)
		}
	})
}

// Who goes away while settings are looked up has nothing set up for it.
func TestForgottenWhileResolving(t *testing.T) {
	inAliases(t, func(l *lab, gate chan struct{}, _ *atomic.Int64) {
		d := l.host("ssh:web1", treetest.UntilGone)
		l.host("ssh:web2", treetest.UntilGone)
		a, b := l.Probe("a"), l.Probe("b")
		a.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1")})
		a.Request(l.conns, &Forget{Requester: a.PID()})
		close(gate)
		l.acquire(b, false, "ssh:web2")
		if n := d.Dials.Load(); n != 0 {
			t.Errorf("%d dials for nobody", n)
		}
	})
}

// sharer is an alias that may be reached by a connection of somebody else's.
type sharer struct {
	alias
	unshared *atomic.Int64
}

func (s sharer) Unshare() { s.unshared.Add(1) }

func (s sharer) Resolve(ctx context.Context) (string, error) {
	s.means = "shared"
	if s.unshared.Load() > 0 {
		s.means = "own"
	}
	return s.alias.Resolve(ctx)
}

// A reset holds for all: what others have opened to a host is used by nobody any more, whether the host was described or named.
func TestResetEndsSharing(t *testing.T) {
	inLab(t, func(l *lab) {
		gate, asked := make(chan struct{}), new(atomic.Int64)
		close(gate)
		unshared := map[string]*atomic.Int64{}
		for _, name := range []string{"ssh:web1", "ssh:web2", "ssh:far"} {
			l.host(name, treetest.UntilGone)
			unshared[name] = new(atomic.Int64)
		}
		l.wrap = func(name string, d *treetest.Dialer) transports.Dialer {
			return sharer{alias{Dialer: d, gate: gate, asked: asked}, unshared[name]}
		}
		a, b := l.Probe("a"), l.Probe("b")
		first := l.acquire(b, false, "ssh:web1")
		a.Request(l.conns, &Reset{Key: 1, Hops: stack("ssh:web1")})
		time.Sleep(resetGrace) // b holds it
		actorstest.Expect[*ResetDone](a)
		b.Request(l.conns, &Forget{Requester: b.PID()})
		second := l.acquire(b, false, "ssh:web1")
		if second.Target.Name == first.Target.Name || asked.Load() != 2 {
			t.Errorf("%s after %s, asked %d times", second.Target.Name, first.Target.Name, asked.Load())
		}
		b.Request(l.conns, &Reset{Key: 2, Context: second.Target.Name, Hops: stack("ssh:web2")})
		actorstest.Expect[*ResetDone](b)
		a.Request(l.conns, &Reset{Key: 3, Hops: stack("ssh:web2", "ssh:far")}) // not from here
		actorstest.Expect[*ResetDone](a)
		for name, want := range map[string]int64{"ssh:web1": 1, "ssh:web2": 1, "ssh:far": 0} {
			if got := unshared[name].Load(); got != want {
				t.Errorf("%s was unshared %d times, want %d", name, got, want)
			}
		}
	})
}
