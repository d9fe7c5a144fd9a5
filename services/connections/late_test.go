package connections

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"spindle/actors/actorstest"
	"spindle/actors/tree"
	"spindle/actors/tree/treetest"
	"spindle/services"
	"spindle/transports"
)

// deaf is a Dialer that minds no deadline: a file system that is gone holds it.
type deaf struct {
	*treetest.Dialer
	limit, dial chan struct{} // what holds it; nil for nothing
}

func hold(c chan struct{}) {
	if c != nil {
		<-c
	}
}

func (d deaf) Timeout() time.Duration { hold(d.limit); return d.Dialer.Timeout() }

func (d deaf) Dial(_ context.Context, via transports.Spawner, p transports.Program) (*transports.Booted, error) {
	hold(d.dial)
	return d.Dialer.Dial(context.Background(), via, p)
}

func (d deaf) Bare(_ context.Context, via transports.Spawner) (transports.Shell, error) {
	hold(d.dial)
	return d.Dialer.Bare(context.Background(), via)
}

// graces are more than a dial has beyond its limit, and less than a worker waits beyond it.
const graces = 10 * time.Second

// refusedLate expects the end of a dial that does not return.
func refusedLate(t *testing.T, p *actorstest.Probe, class transports.Class, text string) {
	t.Helper()
	got := actorstest.Expect[*Refused](p)
	if ce, ok := errors.AsType[*transports.ConnectError](got.Err); !ok || ce.Class != class || ce.Text != text {
		t.Errorf("%#v", got.Err)
	}
}

// A dial that does not return ends all the same, with an agent, without, and behind a host without; the next request tries anew, and what the first
// one has opened after all is closed.
func TestADialThatDoesNotReturnEnds(t *testing.T) {
	for name, c := range map[string]struct {
		way   []string
		bare  bool
		class transports.Class
		text  string
	}{
		"agent":              {way: []string{"ssh:web1"}, text: "Connection timed out."},
		"bare":               {way: []string{"ssh:web1"}, bare: true, text: "Connection timed out."},
		"account":            {way: []string{"ssh:near", "sudo:root"}, class: transports.BecomeFailed, text: "error occurred on host web1: Connection timed out."},
		"behind a bare hop":  {way: []string{"ssh:open", "ssh:web1"}, text: "error occurred on host host: Connection timed out."},
		"limit, not said":    {way: []string{"ssh:web2"}, text: "Connection timed out."},
		"bare limit, unsaid": {way: []string{"ssh:web2"}, bare: true, text: "Connection timed out."},
	} {
		inLab(t, func(l *lab) {
			gate := make(chan struct{})
			held := map[string]deaf{"ssh:web1": {dial: gate}, "sudo:root": {dial: gate}, "ssh:web2": {limit: gate}}
			l.host("ssh:near", treetest.UntilGone)
			l.host("ssh:open", treetest.UntilGone).Through = true
			for name := range held {
				l.host(name, treetest.UntilGone)
			}
			l.wrap = func(name string, d *treetest.Dialer) transports.Dialer {
				h := held[name]
				h.Dialer = d
				return h
			}
			p, q := l.Probe("p"), l.Probe("q")
			ask := func(p *actorstest.Probe) { p.Request(l.conns, &Acquire{Key: 1, Hops: stack(c.way...), Bare: c.bare}) }
			ask(p)
			ask(q)
			time.Sleep(l.dialers["ssh:near"].Timeout() + graces)
			refusedLate(t, p, c.class, c.text)
			refusedLate(t, q, c.class, c.text)
			time.Sleep(time.Minute) // the hop is gone, and its name free
			held = map[string]deaf{}
			got := l.acquire(p, c.bare, c.way...).Target
			close(gate)
			actorstest.Settle()
			p.ExpectNone()
			if again := l.acquire(q, c.bare, c.way...).Target; !again.Interpreter.Equal(got.Interpreter) {
				t.Errorf("%s: a late dial has ended %s", name, got.Interpreter.Id)
			}
			p.Request(l.conns, &Reset{Key: 2, Hops: stack(c.way...)})
			time.Sleep(time.Minute)
			actorstest.Expect[*ResetDone](p)
			q.Request(l.conns, &Forget{Requester: q.PID()})
			q.Request(l.conns, &Reset{Key: 3, Hops: stack(c.way[0])})
			time.Sleep(time.Minute)
			actorstest.Expect[*ResetDone](q)
			if left := l.alive("tree/"); len(left) > 0 {
				t.Errorf("%s: still there: %v", name, left)
			}
			l.wg.Wait() // or a link has leaked
		})
	}
}

// A dial whose link takes long to close has the error that it says itself.
func TestADialMayCloseItsLink(t *testing.T) {
	inLab(t, func(l *lab) {
		gate := make(chan struct{})
		l.host("ssh:web1", treetest.UntilGone).Err = &transports.ConnectError{Text: "Connection timed out. Last lines received"}
		l.wrap = func(_ string, d *treetest.Dialer) transports.Dialer { return deaf{Dialer: d, dial: gate} }
		p := l.Probe("p")
		p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1")})
		time.Sleep(l.dialers["ssh:web1"].Timeout() + 8500*time.Millisecond)
		p.ExpectNone()
		close(gate)
		refusedLate(t, p, transports.Unreachable, "Connection timed out. Last lines received")
	})
}

// mute is an alias that nobody finds out about.
type mute struct {
	deaf
	gate chan struct{}
}

func (m mute) Resolve(context.Context) (string, error) { <-m.gate; return "web1", nil }

// Settings that are not understood in time stand for themselves, whatever holds those who look.
func TestSettingsThatNobodyReadsInTimeStandForThemselves(t *testing.T) {
	for name, limit := range map[string]chan struct{}{"the limit is not said": make(chan struct{}), "nothing is found": nil} {
		inLab(t, func(l *lab) {
			gate := make(chan struct{})
			if limit != nil {
				limit = make(chan struct{})
			}
			web := l.host("ssh:web1", treetest.UntilGone)
			l.wrap = func(_ string, d *treetest.Dialer) transports.Dialer { return mute{deaf{Dialer: d, limit: limit}, gate} }
			p := l.Probe("p")
			p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1")})
			time.Sleep(web.Timeout() + resolveGrace)
			if limit != nil {
				time.Sleep(graces)
				refusedLate(t, p, transports.Unreachable, "Connection timed out.")
				close(limit)
			} else {
				actorstest.Expect[*Acquired](p)
			}
			close(gate)
			actorstest.Settle()
			if l.acquire(p, false, "ssh:web1"); web.Dials.Load() > 2 {
				t.Errorf("%s: %d dials", name, web.Dials.Load())
			}
		})
	}
}

// Whoever waits hears of it when the service begins anew, and when it ends: nobody else would tell them.
func TestWhoWaitsIsToldThatTheServiceEnds(t *testing.T) {
	for name, end := range map[string]func(l *lab){
		"anew":     func(l *lab) { l.Probe("panics").Request(l.conns, &Acquire{Key: 9, Hops: stack("ssh:panics")}) },
		"for good": func(l *lab) { l.System.Terminate(l.conns) },
	} {
		actorstest.Bubble(t, func(e *actorstest.Env) {
			l := &lab{Env: e, dialers: map[string]*treetest.Dialer{}}
			gate, slow := make(chan struct{}), make(chan struct{})
			root := e.Spawn(tree.Spec(&tree.Config{Logger: zap.NewNop(), Program: func(tree.Boot) transports.Program { return transports.Program{} }}))
			factory := func(kwargs json.RawMessage) (transports.Dialer, error) {
				var host string
				_ = json.Unmarshal(kwargs, &host)
				switch host {
				case "ssh:panics":
					panic("what a name")
				case "ssh:unread":
					return mute{deaf{Dialer: l.dialers[host]}, gate}, nil
				}
				return l.dialers[host], nil
			}
			e.Spawn(services.Spec(Spec(&Config{
				Logger: zap.NewNop(), Tree: root, Factories: map[string]transports.Factory{"ssh": factory, "sudo": factory},
			})))
			l.conns = e.PID("services/connections")
			actorstest.Settle()
			for _, name := range []string{"ssh:web1", "ssh:slow", "ssh:unread"} {
				l.host(name, treetest.UntilGone)
			}
			app := l.account("app")
			l.dialers["ssh:slow"].Gate = slow
			ask := func(name string, m any) *actorstest.Probe {
				p := l.Probe(name)
				p.Request(l.conns, m)
				return p
			}
			holder := l.Probe("holder")
			held := l.acquire(holder, false, "ssh:web1", "sudo:app").Target.Interpreter
			refused := []*actorstest.Probe{
				ask("dials", &Acquire{Key: 1, Hops: stack("ssh:slow")}),
				ask("joins", &Acquire{Key: 1, Hops: stack("ssh:slow")}),
				ask("unread", &Acquire{Key: 1, Hops: stack("ssh:unread")}),
				ask("ticket", &Ticket{Key: 1, Hops: stack("ssh:unread")}),
			}
			gone := ask("gone", &Acquire{Key: 1, Hops: stack("ssh:slow")})
			gone.Request(l.conns, &Forget{Requester: gone.PID()})
			done := []*actorstest.Probe{
				ask("reset", &Reset{Key: 1, Hops: stack("ssh:web1")}), // waits for the holder
				ask("unread reset", &Reset{Key: 1, Hops: stack("ssh:unread")}),
				ask("unread retire", &Retire{Key: 1, Hops: stack("ssh:unread")}),
			}
			actorstest.Settle()
			for _, p := range append(append([]*actorstest.Probe{gone}, refused...), done...) {
				p.ExpectNone()
			}
			end(l)
			time.Sleep(100 * time.Millisecond) // the pause before another life
			for _, p := range refused {
				got := actorstest.Expect[*Refused](p)
				if ce, ok := errors.AsType[*transports.ConnectError](got.Err); !ok || got.Key != 1 || ce.Class != transports.Unreachable || ce.Text != tree.Interrupted {
					t.Errorf("%s: %+v", name, got)
				}
			}
			for _, p := range done {
				if got := actorstest.Expect[*ResetDone](p); got.Key != 1 {
					t.Errorf("%s: %+v", name, got)
				}
			}
			close(slow)
			close(gate)
			time.Sleep(time.Minute)
			for _, p := range append(append([]*actorstest.Probe{gone, holder}, refused...), done...) {
				p.ExpectNone() // nobody is told twice
			}
			if name == "for good" {
				return
			}
			if got := l.acquire(holder, false, "ssh:web1", "sudo:app").Target.Interpreter; app.Dials.Load() != 2 {
				t.Errorf("%d dials, and %s in the place of %s", app.Dials.Load(), got.Id, held.Id)
			}
			l.acquire(refused[0], false, "ssh:slow")
			for _, path := range l.alive("tree/") {
				if strings.Contains(path, "unread") {
					t.Errorf("nobody waits for %s", path)
				}
			}
		})
	}
}
