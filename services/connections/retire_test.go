package connections

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"spindle/actors/actorstest"
	"spindle/actors/tree/treetest"
)

// account adds an account whose agent says who it is.
func (l *lab) account(name string) *treetest.Dialer {
	d := l.host("sudo:"+name, treetest.UntilGone)
	d.Facts = fmt.Sprintf(`{"user":%q,"uid":1000,"python":"/usr/bin/python3"}`, name)
	return d
}

// accounts counts the become hops that there are.
func (l *lab) accounts() int {
	n := 0
	for _, path := range l.Paths() {
		if strings.HasPrefix(path[strings.LastIndex(path, "/")+1:], "sudo:") {
			n++
		}
	}
	return n
}

// A loop over ten thousand accounts keeps as many as it may, and the one that is asked for again and again.
func TestManyAccountsAreRecycled(t *testing.T) {
	inLab(t, func(l *lab) {
		l.host("ssh:web1", treetest.UntilGone)
		root := l.account("root")
		p := l.Probe("worker")
		most := 0
		for i := range 10000 {
			name := fmt.Sprintf("u%d", i)
			l.account(name)
			for holder, account := range []string{"root", name} {
				p.Request(l.conns, &Acquire{Key: 1, Holder: uint32(holder), Hops: stack("ssh:web1", "sudo:"+account)})
				actorstest.Expect[*Acquired](p)
			}
			delete(l.dialers, "sudo:"+name)
			if i%500 == 0 {
				actorstest.Settle()
				most = max(most, l.accounts())
			}
		}
		actorstest.Settle()
		if most = max(most, l.accounts()); most > DefaultMaxInterpreters {
			t.Errorf("%d accounts at a time, want at most %d", most, DefaultMaxInterpreters)
		}
		if n := root.Dials.Load(); n != 1 {
			t.Errorf("the account in use was entered %d times", n)
		}
	})
}

// The least recently used account goes, and none that is in use.
func TestTheLeastRecentlyUsedGoes(t *testing.T) {
	inLab(t, func(l *lab) {
		l.host("ssh:web1", treetest.UntilGone)
		dials := map[string]*treetest.Dialer{}
		get := func(p *actorstest.Probe, name string) {
			if dials[name] == nil {
				dials[name] = l.account(name)
			}
			p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1", "sudo:"+name)})
			actorstest.Expect[*Acquired](p)
			actorstest.Settle()
		}
		keeps := l.Probe("keeps")
		get(keeps, "kept")
		p := l.Probe("worker")
		for i := range DefaultMaxInterpreters - 1 {
			get(p, fmt.Sprintf("u%d", i))
		}
		get(p, "u0")
		get(p, "new") // in the place of u1
		get(p, "u0")
		get(keeps, "kept")
		if a, b := dials["u0"].Dials.Load(), dials["kept"].Dials.Load(); a != 1 || b != 1 {
			t.Errorf("what was used last was given up: %d, %d", a, b)
		}
		get(p, "u1")
		if n := dials["u1"].Dials.Load(); n != 2 {
			t.Errorf("u1 was entered %d times: it was not the one to go", n)
		}
	})
}

// A context that is given up goes when the last one who holds it is done, and those who come later have another.
func TestAContextInUseStaysUntilItsHoldersAreDone(t *testing.T) {
	inLab(t, func(l *lab) {
		l.host("ssh:web1", treetest.UntilGone)
		d := l.account("app")
		a, b, c := l.Probe("a"), l.Probe("b"), l.Probe("c")
		acquire := func(p *actorstest.Probe) Context {
			p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1", "sudo:app")})
			return actorstest.Expect[*Acquired](p).Target
		}
		first := acquire(a)
		acquire(b)
		a.Request(l.conns, &Retire{Key: 2, Context: first.Name, Interpreter: first.Interpreter})
		actorstest.Expect[*ResetDone](a)
		second := acquire(a)
		if second.Interpreter.Equal(first.Interpreter) || d.Dials.Load() != 2 {
			t.Errorf("the new request got %v, %d dials", second.Interpreter, d.Dials.Load())
		}
		actorstest.Settle()
		if n := l.accounts(); n != 2 {
			t.Fatalf("%d agents, want 2: the first is in use", n)
		}
		// The other holder gives the same up, too, and comes to the new one.
		b.Request(l.conns, &Retire{Key: 2, Context: first.Name, Interpreter: first.Interpreter})
		actorstest.Expect[*ResetDone](b)
		if third := acquire(b); !third.Interpreter.Equal(second.Interpreter) || d.Dials.Load() != 2 {
			t.Errorf("the second holder got %v, %d dials", third.Interpreter, d.Dials.Load())
		}
		actorstest.Settle()
		if n := l.accounts(); n != 1 {
			t.Errorf("%d agents, want 1", n)
		}
		_ = acquire(c)
		if d.Dials.Load() != 2 {
			t.Error("the new one is not shared")
		}
	})
}

// A reset takes nothing from those who are at work over the same connection: another host's task that is delegated, say. Whoever asks next gets a new one.
func TestAResetLeavesOthersAlone(t *testing.T) {
	inLab(t, func(l *lab) {
		l.host("ssh:web1", treetest.UntilGone)
		l.account("root")
		other, p := l.Probe("other"), l.Probe("worker")
		theirs := l.acquire(other, false, "ssh:web1", "sudo:root")
		mine := l.acquire(p, false, "ssh:web1")
		p.Request(l.conns, &Reset{Key: 2, Context: mine.Target.Name})
		time.Sleep(resetGrace)
		actorstest.Expect[*ResetDone](p)
		next := l.acquire(p, false, "ssh:web1")
		if next.Target.Interpreter.Id == mine.Target.Interpreter.Id {
			t.Error("the old connection was given out again")
		}
		if !slices.Contains(l.Paths(), theirs.Target.Interpreter.Id) {
			t.Errorf("what another one holds is gone: %v", l.Paths())
		}
		other.Request(l.conns, &Forget{Requester: other.PID()})
		time.Sleep(time.Minute)
		for _, gone := range []string{theirs.Target.Interpreter.Id, mine.Target.Interpreter.Id} {
			if slices.Contains(l.Paths(), gone) {
				t.Errorf("still there: %s", gone)
			}
		}
	})
}

// The accounts of a user go when they are asked to, if nobody uses them, and root's never without a name.
func TestIdleAccountsOfAMachineGo(t *testing.T) {
	inLab(t, func(l *lab) {
		l.host("ssh:web1", treetest.UntilGone)
		l.account("app")
		l.account("db")
		root := l.account("root")
		root.Facts = `{"user":"root","uid":0,"python":"/usr/bin/python3"}`
		p := l.Probe("worker")
		for _, name := range []string{"app", "db", "root"} {
			p.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1", "sudo:"+name)})
			actorstest.Expect[*Acquired](p)
		}
		retire := func(user string) {
			p.Request(l.conns, &Retire{Key: 2, Hops: stack("ssh:web1"), User: user})
			actorstest.Expect[*ResetDone](p)
		}
		retire("app")
		if n := l.accounts(); n != 2 {
			t.Errorf("%d accounts after app has gone, want 2", n)
		}
		retire("")
		if n := l.accounts(); n != 1 {
			t.Errorf("%d accounts after all but root have gone, want 1", n)
		}
		other := l.Probe("other")
		other.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1", "sudo:db")})
		actorstest.Expect[*Acquired](other)
		ask := func() { p.Request(l.conns, &Retire{Key: 2, Hops: stack("ssh:web1"), User: "db"}) }
		ask()
		time.Sleep(resetGrace + retireLook)
		actorstest.Expect[*ResetDone](p)
		if n := l.accounts(); n != 2 {
			t.Errorf("one in use has gone: %d accounts", n)
		}
		// Whoever has ended may not be known to have.
		ask()
		time.Sleep(resetGrace / 2)
		other.Request(l.conns, &Forget{Requester: other.PID()})
		time.Sleep(resetGrace / 4)
		actorstest.Expect[*ResetDone](p)
		if n := l.accounts(); n != 1 {
			t.Errorf("%d accounts after the last one's holder has gone, want 1", n)
		}
	})
}

// So do those that were entered by another login, or from another account, and no others of their name.
func TestIdleAccountsOfAMachineGoWhoeverHasEnteredThem(t *testing.T) {
	inLab(t, func(l *lab) {
		on := func(d *treetest.Dialer, user, machine string) {
			d.Facts = fmt.Sprintf(`{"user":%q,"uid":1000,"python":"/usr/bin/python3","machine":%q}`, user, machine)
		}
		on(l.host("ssh:deploy@web1", treetest.UntilGone), "deploy", "one")
		on(l.host("ssh:root@web1", treetest.UntilGone), "root", "one")
		on(l.host("ssh:root@web2", treetest.UntilGone), "root", "two")
		on(l.host("ssh:root@web3", treetest.UntilGone), "root", "") // cannot tell
		p := l.Probe("worker")
		for _, tt := range []struct{ login, machine string }{{"ssh:deploy@web1", "one"}, {"ssh:root@web2", "two"}, {"ssh:root@web3", ""}} {
			on(l.account("app"), "app", tt.machine)
			l.acquire(p, false, tt.login, "sudo:app")
		}
		on(l.account("admin"), "admin", "one")
		on(l.account("app"), "app", "one")
		l.acquire(p, false, "ssh:deploy@web1", "sudo:admin", "sudo:app")
		l.acquire(p, false, "ssh:root@web1")
		p.Request(l.conns, &Retire{Key: 2, Hops: stack("ssh:root@web1"), User: "app"})
		actorstest.Expect[*ResetDone](p)
		var left []string
		for _, path := range l.alive("tree/") {
			if strings.HasSuffix(path, "sudo:app") {
				left = append(left, path)
			}
		}
		slices.Sort(left)
		if want := []string{"tree/ssh:root@web2/python3/sudo:app", "tree/ssh:root@web3/python3/sudo:app"}; !slices.Equal(left, want) {
			t.Errorf("left: %v, want %v", left, want)
		}
	})
}

// A context that is given up may have accounts behind it that are still being entered, while others give up what is gone.
func TestAnAccountOnItsWayBehindWhatIsGivenUp(t *testing.T) {
	inLab(t, func(l *lab) {
		l.host("ssh:web1", treetest.UntilGone)
		slow := l.account("slow")
		slow.Gate = make(chan struct{})
		a, b, c := l.Probe("a"), l.Probe("b"), l.Probe("c")
		first := l.acquire(a, false, "ssh:web1").Target
		l.acquire(c, false, "ssh:web1") // and stays
		b.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1", "sudo:slow")})
		actorstest.Settle()
		a.Request(l.conns, &Retire{Key: 2, Context: first.Name, Interpreter: first.Interpreter})
		actorstest.Expect[*ResetDone](a)
		a.Request(l.conns, &Retire{Key: 3, Context: "gone", Interpreter: a.PID()})
		actorstest.Expect[*ResetDone](a)
		close(slow.Gate)
		actorstest.Expect[*Acquired](b)
	})
}
