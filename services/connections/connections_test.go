package connections

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"spindle/actors/actorstest"
	"spindle/actors/tree"
	"spindle/actors/tree/treetest"
	"spindle/transports"
	"spindle/transports/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is the service with a real tree, whose dialers the test chooses by name.
type lab struct {
	*actorstest.Env
	conns   *actor.PID
	wg      sync.WaitGroup
	dialers map[string]*treetest.Dialer
	wrap    func(name string, d *treetest.Dialer) transports.Dialer // nil: as it is
}

// inLab runs fn in a bubble.
func inLab(t *testing.T, fn func(l *lab)) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		l := &lab{Env: e, dialers: map[string]*treetest.Dialer{}}
		root := e.Spawn(tree.Spec(&tree.Config{Logger: zap.NewNop(), Program: func(tree.Boot) transports.Program { return transports.Program{} }}))
		factory := func(kwargs json.RawMessage) (transports.Dialer, error) {
			var host string
			if err := json.Unmarshal(kwargs, &host); err != nil {
				return nil, err
			}
			if l.wrap != nil {
				return l.wrap(host, l.dialers[host]), nil
			}
			return l.dialers[host], nil
		}
		l.conns = e.Spawn(Spec(&Config{
			Logger: zap.NewNop(), Tree: root,
			Factories: map[string]transports.Factory{"ssh": factory, "sudo": factory},
		}))
		fn(l)
	})
}

func (l *lab) host(name string, play func(*treetest.FarEnd)) *treetest.Dialer {
	d := &treetest.Dialer{T: l.T, Label: name, Play: play, Joined: &l.wg}
	l.dialers[name] = d
	return d
}

func stack(names ...string) []HopRequest {
	var hops []HopRequest
	for _, n := range names {
		kwargs, _ := json.Marshal(n)
		method, _, _ := strings.Cut(n, ":")
		hops = append(hops, HopRequest{Method: method, Kwargs: kwargs, Become: method == "sudo"})
	}
	return hops
}

// One connection per target, however many workers ask at once.
func TestSimultaneousRequestsShareOneDial(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.host("ssh:web1", treetest.UntilGone)
		d.Gate = make(chan struct{})
		var probes []*actorstest.Probe
		for range 20 {
			p := l.Probe("worker")
			p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1")})
			probes = append(probes, p)
		}
		close(d.Gate)
		names := map[string]bool{}
		for _, p := range probes {
			names[actorstest.Expect[*Acquired](p).Target.Name] = true
		}
		if n := d.Dials.Load(); n != 1 || len(names) != 1 {
			t.Errorf("%d dials, %d contexts", n, len(names))
		}
	})
}

// One become hop per account, below the login's interpreter; login tells the account before it.
func TestBecomeHopStartsBelowItsLogin(t *testing.T) {
	inLab(t, func(l *lab) {
		login, become := l.host("ssh:web1", treetest.UntilGone), l.host("sudo:root", treetest.UntilGone)
		p := l.Probe("worker")
		for range 3 {
			p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1", "sudo:root")})
			got := actorstest.Expect[*Acquired](p)
			if want := "tree/ssh:web1/python3/sudo:root/python3"; got.Target.Interpreter.Id != want {
				t.Errorf("target is %s, want %s", got.Target.Interpreter.Id, want)
			}
			if want := "tree/ssh:web1/python3"; got.Login.Interpreter.Id != want {
				t.Errorf("login is %s, want %s", got.Login.Interpreter.Id, want)
			}
		}
		if login.Dials.Load() != 1 || become.Dials.Load() != 1 {
			t.Errorf("dials: login %d, become %d", login.Dials.Load(), become.Dials.Load())
		}
	})
}

// A failure reaches everyone who waits, and is not remembered.
func TestFailureIsToldToAllAndTriedAgain(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.host("ssh:web1", treetest.UntilGone)
		d.Gate, d.Err = make(chan struct{}), &transports.ConnectError{Text: "SSH password is incorrect"}
		a, b := l.Probe("a"), l.Probe("b")
		a.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1")})
		b.Request(l.conns, &Acquire{Key: 2, Hops: stack("ssh:web1")})
		close(d.Gate)
		for _, p := range []*actorstest.Probe{a, b} {
			var ce *transports.ConnectError
			if got := actorstest.Expect[*Refused](p); !errors.As(got.Err, &ce) || ce.Text != "SSH password is incorrect" {
				t.Errorf("got %v", got.Err)
			}
		}
		d.Err = nil
		a.Request(l.conns, &Acquire{Key: 3, Hops: stack("ssh:web1")})
		actorstest.Expect[*Acquired](a)
	})
}

// One dead host delays no other.
func TestSlowHostDelaysNoOther(t *testing.T) {
	inLab(t, func(l *lab) {
		slow := l.host("ssh:slow", treetest.UntilGone)
		slow.Gate = make(chan struct{})
		l.host("ssh:fast", treetest.UntilGone)
		p, q := l.Probe("p"), l.Probe("q")
		p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:slow")})
		q.Request(l.conns, &Acquire{Key: 2, Hops: stack("ssh:fast")})
		actorstest.Expect[*Acquired](q)
		close(slow.Gate)
		actorstest.Expect[*Acquired](p)
	})
}

func TestResetStopsTheLoginAndAllBelowAndTheNextRequestDialsAnew(t *testing.T) {
	inLab(t, func(l *lab) {
		login, become := l.host("ssh:web1", treetest.UntilGone), l.host("sudo:root", treetest.UntilGone)
		p := l.Probe("worker")
		p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1", "sudo:root")})
		got := actorstest.Expect[*Acquired](p)
		p.Request(l.conns, &Reset{Key: 2, Context: got.Target.Name})
		actorstest.Expect[*ResetDone](p)
		for _, path := range l.Paths() {
			if strings.HasPrefix(path, "tree/ssh:web1") {
				t.Errorf("still there: %s", path)
			}
		}
		p.Request(l.conns, &Acquire{Key: 3, Hops: stack("ssh:web1", "sudo:root")})
		actorstest.Expect[*Acquired](p)
		if login.Dials.Load() != 2 || become.Dials.Load() != 2 {
			t.Errorf("dials: login %d, become %d", login.Dials.Load(), become.Dials.Load())
		}
		p.Request(l.conns, &Reset{Key: 4, Hops: stack("ssh:web1")})
		actorstest.Expect[*ResetDone](p)
		p.Request(l.conns, &Acquire{Key: 5, Hops: stack("ssh:web1")})
		actorstest.Expect[*Acquired](p)
		if n := login.Dials.Load(); n != 3 {
			t.Errorf("%d dials after a reset by hops", n)
		}
		p.Request(l.conns, &Reset{Key: 6, Context: "no such context"})
		actorstest.Expect[*ResetDone](p)
	})
}

func TestLostHopIsDialledAnew(t *testing.T) {
	inLab(t, func(l *lab) {
		cut := make(chan struct{})
		d := l.host("ssh:web1", func(f *treetest.FarEnd) { <-cut })
		p := l.Probe("worker")
		p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1")})
		first := actorstest.Expect[*Acquired](p)
		p.Watch(first.Target.Interpreter)
		close(cut)
		actorstest.Expect[*actor.Terminated](p)
		d.Play = treetest.UntilGone
		for d.Dials.Load() < 2 { // the service hears of the loss a little later than the probe may
			p.Request(l.conns, &Acquire{Key: 2, Hops: stack("ssh:web1")})
			actorstest.Expect[*Acquired](p)
		}
	})
}

// A host that goes away while something is set up from it: the contract's text (§1.10).
func TestWhatStartsFromALostHostIsInterrupted(t *testing.T) {
	inLab(t, func(l *lab) {
		cut := make(chan struct{})
		l.host("ssh:web1", func(f *treetest.FarEnd) { <-cut })
		become := l.host("sudo:root", treetest.UntilGone)
		become.Gate = make(chan struct{})
		defer close(become.Gate)
		p := l.Probe("worker")
		p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1")})
		actorstest.Expect[*Acquired](p)
		p.Request(l.conns, &Acquire{Key: 2, Hops: stack("ssh:web1", "sudo:root")})
		synctest.Wait()
		close(cut)
		got := actorstest.Expect[*Refused](p)
		const want = "Channel was disconnected while connection attempt was in progress; this may be caused by an abnormal Ansible exit, or due to an unreliable target."
		if got.Key != 2 || got.Err == nil || !strings.HasSuffix(got.Err.Error(), want) {
			t.Errorf("%+v", got)
		}
	})
}

func TestBadStacksAreRefusedByName(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.Probe("worker")
		for want, hops := range map[string][]HopRequest{
			"the stack has no hop":                nil,
			`unknown connection method "carrier"`: stack("carrier:pigeon"),
		} {
			p.Request(l.conns, &Acquire{Key: 1, Hops: hops})
			if got := actorstest.Expect[*Refused](p); !strings.Contains(got.Err.Error(), want) {
				t.Errorf("got %q, want %q in it", got.Err, want)
			}
		}
	})
}

// How a hop is asked for makes no other hop of it.
func TestSameSettingsAreTheSameHop(t *testing.T) {
	one := HopRequest{Method: "ssh", Kwargs: json.RawMessage(`{"hostname": "a", "port": 22, "connect_timeout": 10, "python_path": null}`)}
	for _, tc := range []struct {
		same bool
		r    HopRequest
	}{
		{true, HopRequest{Method: "ssh", Kwargs: json.RawMessage(`{"port":22,"hostname":"a","connect_timeout":30,"python_path":["python"],"remote_name":"x"}`)}},
		{true, HopRequest{Method: "ssh", Kwargs: one.Kwargs, Become: true}},
		{false, HopRequest{Method: "ssh", Kwargs: json.RawMessage(`{"hostname": "a", "port": 23}`)}},
		{false, HopRequest{Method: "ssh", Kwargs: one.Kwargs, Python: []string{"python3"}}},
		{false, HopRequest{Method: "docker", Kwargs: one.Kwargs}},
	} {
		a, err := identity(one)
		b, err2 := identity(tc.r)
		if err != nil || err2 != nil || string(a) == string(b) != tc.same {
			t.Errorf("%s and %s: %v %v, want the same: %v", a, b, err, err2, tc.same)
		}
	}
}

func (l *lab) acquire(p *actorstest.Probe, bare bool, names ...string) *Acquired {
	l.Helper()
	p.Request(l.conns, &Acquire{Key: 1, Hops: stack(names...), Bare: bare})
	return actorstest.Expect[*Acquired](p)
}

// Only what leads to the last host is bare, and only where no agent stands.
func TestBareIsWhatLeadsToTheLastHost(t *testing.T) {
	inLab(t, func(l *lab) {
		bastion, web, root := l.host("ssh:bastion", treetest.UntilGone), l.host("ssh:web1", treetest.UntilGone), l.host("sudo:root", treetest.UntilGone)
		p := l.Probe("worker")
		for range 3 {
			got := l.acquire(p, true, "ssh:bastion", "ssh:web1", "sudo:root")
			if want := "tree/ssh:bastion/python3/ssh:web1/sh/sudo:root/sh"; got.Target.Interpreter.Id != want {
				t.Errorf("target is %s, want %s", got.Target.Interpreter.Id, want)
			}
			if want := "tree/ssh:bastion/python3/ssh:web1/sh"; got.Login.Interpreter.Id != want {
				t.Errorf("login is %s, want %s", got.Login.Interpreter.Id, want)
			}
			if want := `{"bare":true,"hostname":"host"}`; string(got.Target.Facts) != want || got.Target.How != "bare" {
				t.Errorf("%+v %s", got.Target, got.Target.Facts)
			}
		}
		if bastion.Dials.Load() != 1 || web.BareDials.Load() != 1 || root.BareDials.Load() != 1 || web.Dials.Load()+root.Dials.Load()+bastion.BareDials.Load() != 0 {
			t.Error("dials are not as they should be")
		}
	})
}

// An agent that comes up where there was none takes over: the bare hop is let go when nobody has used it for a while.
func TestAgentReplacesABareHop(t *testing.T) {
	inLab(t, func(l *lab) {
		web, root := l.host("ssh:web1", treetest.UntilGone), l.host("sudo:root", treetest.UntilGone)
		web.Err = treetest.NoPython
		p := l.Probe("worker")
		p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1", "sudo:root")})
		if got := actorstest.Expect[*Refused](p); !errors.Is(got.Err, transports.ErrNoPython) {
			t.Errorf("%v", got.Err)
		}
		bare := l.acquire(p, true, "ssh:web1", "sudo:root")
		web.Err = nil // somebody has installed it
		full := l.acquire(p, false, "ssh:web1", "sudo:root")
		if full.Target.Name == bare.Target.Name || strings.Contains(full.Target.Interpreter.Id, "/sh") {
			t.Errorf("with an agent: %+v", full.Target)
		}
		if again := l.acquire(p, true, "ssh:web1", "sudo:root"); again.Target.Name != full.Target.Name {
			t.Errorf("%s, although an agent stands: %s", again.Target.Interpreter.Id, full.Target.Interpreter.Id)
		}
		// What was begun in the old one goes on.
		p.Request(bare.Target.Interpreter, &tree.Invoke{Key: 3, Call: wire.Call{Op: "exec", MetaLen: 18}, Body: []byte(`{"command":"true"}`)})
		if d := actorstest.Expect[*tree.Done](p); d.Result.Status != wire.StatusOK || string(d.Body) != "true" {
			t.Errorf("%+v %q", d.Result, d.Body)
		}
		time.Sleep(time.Minute)
		for _, path := range l.Paths() {
			if strings.Contains(path, "/sh") {
				t.Errorf("still there: %s", path)
			}
		}
		if web.BareDials.Load() != 1 || root.BareDials.Load() != 1 {
			t.Error("bare dials are not as they should be")
		}
	})
}

// path leads to what has been acquired, without the numbers of successors: a hop that found no Python may still be ending
// as the one that follows it is made, which then is ssh:web1~2.
func path(got *Acquired) string {
	return regexp.MustCompile(`~\d+`).ReplaceAllString(got.Target.Interpreter.Id, "")
}

// A host without Python can be led through; that it has none is found out once.
func TestHostsOnTheWayNeedNoPython(t *testing.T) {
	inLab(t, func(l *lab) {
		bastion := l.host("ssh:bastion", treetest.UntilGone)
		bastion.Err = treetest.NoPython
		for _, name := range []string{"ssh:a", "ssh:b", "ssh:c"} {
			l.host(name, treetest.UntilGone)
			p := l.Probe(name)
			got := l.acquire(p, false, "ssh:bastion", name)
			if want := "tree/ssh:bastion/sh/" + name + "/python3"; path(got) != want {
				t.Errorf("target is %s, want %s", path(got), want)
			}
		}
		if bastion.Dials.Load() != 1 || bastion.BareDials.Load() != 1 {
			t.Errorf("%d dials, %d bare", bastion.Dials.Load(), bastion.BareDials.Load())
		}
		// As a target it does need Python; and once it has it, ways that are new lead through the agent.
		p := l.Probe("worker")
		p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:bastion")})
		actorstest.Expect[*Refused](p)
		bastion.Err = nil
		l.acquire(p, false, "ssh:bastion")
		l.host("ssh:d", treetest.UntilGone)
		if got, want := l.acquire(p, false, "ssh:bastion", "ssh:d").Target.Interpreter.Id, "/python3/ssh:d/python3"; !strings.HasSuffix(got, want) {
			t.Errorf("target is %s, want %s", got, want)
		}
		time.Sleep(time.Minute)
		if got, want := path(l.acquire(p, false, "ssh:bastion", "ssh:a")), "tree/ssh:bastion/sh/ssh:a/python3"; got != want {
			t.Errorf("target is %s, want %s: it stood", got, want)
		}
	})
}

// Who asks for a tunnel gets it, whether or not an agent stands where it begins.
func TestTunnelsLeadThroughBareHops(t *testing.T) {
	inLab(t, func(l *lab) {
		bastion, inner, web := l.host("ssh:bastion", treetest.UntilGone), l.host("ssh:inner", treetest.UntilGone), l.host("ssh:web1", treetest.UntilGone)
		p := l.Probe("worker")
		l.acquire(p, false, "ssh:bastion")
		web.Through = true
		if got, want := l.acquire(p, false, "ssh:bastion", "ssh:inner", "ssh:web1").Target.Interpreter.Id, "tree/ssh:bastion/python3/ssh:inner/sh/ssh:web1/python3"; got != want {
			t.Errorf("asked for by who is led: %s, want %s", got, want)
		}
		web.Through, bastion.Through = false, true
		l.host("ssh:web2", treetest.UntilGone)
		if got, want := l.acquire(p, false, "ssh:bastion", "ssh:web2").Target.Interpreter.Id, "/sh/ssh:web2/python3"; !strings.HasSuffix(got, want) {
			t.Errorf("asked for by who leads: %s, want %s", got, want)
		}
		if inner.Dials.Load() != 0 || bastion.BareDials.Load() != 1 {
			t.Error("dials are not as they should be")
		}
	})
}

// Where an agent is to be tried first, a host that has none is found out once for all that can do without.
func TestAgentIsTriedOnceWhereNoneIsNeeded(t *testing.T) {
	inLab(t, func(l *lab) {
		web := l.host("ssh:web1", treetest.UntilGone)
		l.host("sudo:root", treetest.UntilGone)
		web.Err = treetest.NoPython
		p := l.Probe("worker")
		for range 3 {
			p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1", "sudo:root"), Bare: true, Boot: true})
			if got, want := path(actorstest.Expect[*Acquired](p)), "tree/ssh:web1/sh/sudo:root/sh"; got != want {
				t.Errorf("target is %s, want %s", got, want)
			}
		}
		if web.Dials.Load() != 1 || web.BareDials.Load() != 1 {
			t.Errorf("%d dials, %d bare", web.Dials.Load(), web.BareDials.Load())
		}
		web.Err = &transports.ConnectError{Text: "SSH password is incorrect"}
		l.host("ssh:web2", treetest.UntilGone).Err = web.Err
		p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web2"), Bare: true, Boot: true})
		if got := actorstest.Expect[*Refused](p); got.Err.Error() != "SSH password is incorrect" {
			t.Errorf("%v", got.Err)
		}
		if n := l.dialers["ssh:web2"].BareDials.Load(); n != 0 {
			t.Errorf("a password that is wrong was tried again: %d", n)
		}
	})
}

// Nor is it found out once more for whoever can do without, after somebody who cannot; and whoever needs it looks again.
func TestAHostWithoutPythonIsKnownToWhoCanDoWithout(t *testing.T) {
	inLab(t, func(l *lab) {
		web := l.host("ssh:web1", treetest.UntilGone)
		l.host("ssh:web2", treetest.UntilGone)
		web.Err = treetest.NoPython
		p := l.Probe("worker")
		bare := func() string {
			p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1"), Bare: true, Boot: true})
			return path(actorstest.Expect[*Acquired](p))
		}
		p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1")})
		actorstest.Expect[*Refused](p)
		if got, want := bare(), "tree/ssh:web1/sh"; got != want {
			t.Errorf("target is %s, want %s", got, want)
		}
		l.acquire(p, false, "ssh:web1", "ssh:web2")
		if web.Dials.Load() != 1 || web.BareDials.Load() != 1 {
			t.Errorf("%d dials, %d bare", web.Dials.Load(), web.BareDials.Load())
		}
		web.Err = nil // somebody has installed it
		if got, want := path(l.acquire(p, false, "ssh:web1")), "tree/ssh:web1/python3"; got != want {
			t.Errorf("target is %s, want %s", got, want)
		}
		if got, want := bare(), "tree/ssh:web1/python3"; got != want {
			t.Errorf("target is %s, want %s: an agent stands there", got, want)
		}
	})
}

func TestResetStopsBareHopsToo(t *testing.T) {
	inLab(t, func(l *lab) {
		l.host("ssh:web1", treetest.UntilGone)
		l.host("sudo:root", treetest.UntilGone)
		p := l.Probe("worker")
		for name, reset := range map[string]func(bare, full *Acquired) *Reset{
			"by hops":     func(_, _ *Acquired) *Reset { return &Reset{Key: 2, Hops: stack("ssh:web1", "sudo:root")} },
			"by bare":     func(bare, _ *Acquired) *Reset { return &Reset{Key: 2, Context: bare.Target.Name} },
			"by its twin": func(_, full *Acquired) *Reset { return &Reset{Key: 2, Context: full.Target.Name} },
		} {
			bare := l.acquire(p, true, "ssh:web1", "sudo:root")
			full := l.acquire(p, false, "ssh:web1", "sudo:root")
			p.Request(l.conns, reset(bare, full))
			actorstest.Expect[*ResetDone](p)
			// The bare one was on its way out already, and has some time left for that.
			time.Sleep(time.Minute)
			for _, path := range l.Paths() {
				if strings.HasPrefix(path, "tree/ssh:web1") {
					t.Errorf("%s: still there: %s", name, path)
				}
			}
			bare = l.acquire(p, true, "ssh:web1", "sudo:root")
			p.Request(l.conns, &Reset{Key: 2, Context: bare.Login.Name})
			actorstest.Expect[*ResetDone](p)
			for _, path := range l.Paths() {
				if strings.HasPrefix(path, "tree/ssh:web1") {
					t.Errorf("%s: still there: %s", name, path)
				}
			}
		}
	})
}
