package connections

import (
	"slices"
	"strings"
	"testing"
	"time"

	"spindle/actors/actorstest"
	"spindle/actors/tree/treetest"
	"spindle/transports"
)

// race is a login with an account behind it that is still being entered for waits, while by gives the login up.
type race struct {
	*lab
	login, root *treetest.Dialer
	old         Context
	waits, by   *actorstest.Probe
}

func inRace(t *testing.T, fn func(r *race)) {
	inLab(t, func(l *lab) {
		r := &race{lab: l, login: l.host("ssh:web1", treetest.UntilGone), root: l.account("root"), waits: l.Probe("waits"), by: l.Probe("by")}
		r.root.Gate = make(chan struct{})
		r.old = l.acquire(r.by, false, "ssh:web1").Target
		r.waits.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:web1", "sudo:root")})
		actorstest.Settle()
		fn(r)
	})
}

// giveUps are the ways to give the login up.
var giveUps = map[string]func(r *race){
	"retire": func(r *race) {
		r.by.Request(r.conns, &Retire{Key: 2, Context: r.old.Name, Interpreter: r.old.Interpreter})
		actorstest.Expect[*ResetDone](r.by)
	},
	"reset": func(r *race) {
		r.by.Request(r.conns, &Reset{Key: 2, Context: r.old.Name})
		time.Sleep(resetGrace)
		actorstest.Expect[*ResetDone](r.by)
	},
	"reset of the account": func(r *race) {
		r.by.Request(r.conns, &Reset{Key: 2, Hops: stack("ssh:web1", "sudo:root")})
		time.Sleep(resetGrace)
		actorstest.Expect[*ResetDone](r.by)
	},
}

func (l *lab) alive(prefix string) (found []string) {
	actorstest.Settle()
	for _, path := range l.Paths() {
		if strings.HasPrefix(path, prefix) {
			found = append(found, path)
		}
	}
	return found
}

// Somebody else's reset fails nobody's dial, and leads nobody to what has been given up.
func TestADialBehindWhatIsGivenUpGoesOnWithWhatFollows(t *testing.T) {
	for name, giveUp := range giveUps {
		for _, holds := range []bool{false, true} {
			inRace(t, func(r *race) {
				holder := r.Probe("holder")
				if holds {
					r.acquire(holder, false, "ssh:web1")
				}
				giveUp(r)
				r.waits.ExpectNone()
				close(r.root.Gate)
				got := actorstest.Expect[*Acquired](r.waits)
				if got.Login.Interpreter.Equal(r.old.Interpreter) || !strings.HasPrefix(got.Target.Interpreter.Id, got.Login.Interpreter.Id+"/") {
					t.Errorf("%s: got %s, behind %s", name, got.Target.Interpreter.Id, got.Login.Interpreter.Id)
				}
				if again := r.acquire(r.by, false, "ssh:web1", "sudo:root"); !again.Target.Interpreter.Equal(got.Target.Interpreter) {
					t.Errorf("%s: the next one got %s", name, again.Target.Interpreter.Id)
				}
				if r.login.Dials.Load() != 2 || r.root.Dials.Load() != 2 {
					t.Errorf("%s: dials: login %d, account %d", name, r.login.Dials.Load(), r.root.Dials.Load())
				}
				holder.Request(r.conns, &Forget{Requester: holder.PID()})
				// What was given up has gone, and what follows is known by its name.
				if left := r.alive(r.old.Interpreter.Id); len(left) > 0 {
					t.Errorf("%s: still there: %v", name, left)
				}
				r.waits.Request(r.conns, &Forget{Requester: r.waits.PID()})
				r.by.Request(r.conns, &Reset{Key: 3, Context: got.Target.Name})
				actorstest.Expect[*ResetDone](r.by)
				if left := r.alive("tree/"); len(left) > 0 {
					t.Errorf("%s: still there after another reset: %v", name, left)
				}
			})
		}
	}
}

// Whoever asks behind the reset has its account entered anew at once, and does not wait for the dial that is under way.
func TestADialBehindWhatIsGivenUpIsNotJoined(t *testing.T) {
	inRace(t, func(r *race) {
		giveUps["reset"](r)
		slow := r.root.Gate
		r.root.Gate = nil
		next := r.acquire(r.by, false, "ssh:web1", "sudo:root")
		close(slow)
		if got := actorstest.Expect[*Acquired](r.waits); !got.Target.Interpreter.Equal(next.Target.Interpreter) || r.root.Dials.Load() != 2 {
			t.Errorf("got %s, want %s; %d dials", got.Target.Interpreter.Id, next.Target.Interpreter.Id, r.root.Dials.Load())
		}
		if left := r.alive(r.old.Interpreter.Id); len(left) > 0 {
			t.Errorf("still there: %v", left)
		}
	})
}

// What was given up does not stay for those who wait for what follows.
func TestADialBehindWhatIsGivenUpKeepsItNoLongerThanItTakes(t *testing.T) {
	inRace(t, func(r *race) {
		giveUps["reset"](r)
		r.login.Gate = make(chan struct{})
		close(r.root.Gate)
		if left := r.alive(r.old.Interpreter.Id); len(left) > 0 {
			t.Errorf("still there: %v", left)
		}
		close(r.login.Gate)
		actorstest.Expect[*Acquired](r.waits)
	})
}

// How a dial ends is told to who waits for it, and not taken for the end of the one that has its name now.
func TestADialBehindWhatIsGivenUpMayFail(t *testing.T) {
	inRace(t, func(r *race) {
		giveUps["reset"](r)
		old, fresh := r.root, r.account("root")
		fresh.Gate = make(chan struct{})
		r.by.Request(r.conns, &Acquire{Key: 3, Hops: stack("ssh:web1", "sudo:root")})
		actorstest.Settle()
		old.Err = &transports.ConnectError{Text: "sudo password is incorrect"}
		close(old.Gate)
		if got := actorstest.Expect[*Refused](r.waits); !strings.HasSuffix(got.Err.Error(), "sudo password is incorrect") {
			t.Errorf("%v", got.Err)
		}
		r.by.ExpectNone()
		if left := r.alive(r.old.Interpreter.Id); len(left) > 0 {
			t.Errorf("still there: %v", left)
		}
		close(fresh.Gate)
		actorstest.Expect[*Acquired](r.by)
	})
}

// A dial that never ends has its own deadline, and what was given up goes behind that.
func TestADialBehindWhatIsGivenUpHasItsDeadline(t *testing.T) {
	inRace(t, func(r *race) {
		giveUps["retire"](r)
		time.Sleep(r.root.Timeout())
		actorstest.Expect[*Refused](r.waits)
		if left := r.alive("tree/"); len(left) > 0 {
			t.Errorf("still there: %v", left)
		}
		close(r.root.Gate)
	})
}

// A dial that nobody waits for any more keeps nothing.
func TestADialThatNobodyWaitsForGoesWithItsLogin(t *testing.T) {
	for name, giveUp := range giveUps {
		for _, before := range []bool{false, true} {
			inRace(t, func(r *race) {
				forget := func() { r.waits.Request(r.conns, &Forget{Requester: r.waits.PID()}) }
				if before {
					forget()
				}
				giveUp(r)
				if !before {
					forget()
				}
				actorstest.Settle()
				close(r.root.Gate)
				if left := r.alive("tree/"); len(left) > 0 {
					t.Errorf("%s: still there: %v", name, left)
				}
				r.waits.ExpectNone()
			})
		}
	}
}

// A bare login is given up in the same way.
func TestADialBehindABareLoginGoesWithIt(t *testing.T) {
	inLab(t, func(l *lab) {
		l.host("ssh:bastion", treetest.UntilGone).Through = true
		web := l.host("ssh:web1", treetest.UntilGone)
		web.Gate = make(chan struct{})
		by, waits := l.Probe("by"), l.Probe("waits")
		old := l.acquire(by, true, "ssh:bastion").Target
		waits.Request(l.conns, &Acquire{Key: 1, Hops: stack("ssh:bastion", "ssh:web1")})
		actorstest.Settle()
		waits.Request(l.conns, &Forget{Requester: waits.PID()})
		by.Request(l.conns, &Retire{Key: 2, Context: old.Name, Interpreter: old.Interpreter})
		actorstest.Expect[*ResetDone](by)
		close(web.Gate)
		time.Sleep(time.Minute)
		if left := l.alive("tree/"); len(left) > 0 {
			t.Errorf("still there: %v", left)
		}
	})
}

// Whoever resets while it waits itself, and nobody else does, waits no longer.
func TestAResetEndsTheRequestersOwnDial(t *testing.T) {
	inRace(t, func(r *race) {
		r.by.Request(r.conns, &Forget{Requester: r.by.PID()})
		r.waits.Request(r.conns, &Reset{Key: 2, Context: r.old.Name})
		actorstest.Settle()
		if got := r.waits.Messages(); !slices.ContainsFunc(got, func(m any) bool { _, done := m.(*ResetDone); return done }) {
			t.Errorf("got %v", got)
		}
		if left := r.alive("tree/"); len(left) > 0 {
			t.Errorf("still there: %v", left)
		}
		close(r.root.Gate)
	})
}

// What somebody holds stays when what it starts from is given up, and what that starts from behind it.
func TestWhatIsHeldStaysWhenAllBeforeItIsGivenUp(t *testing.T) {
	inLab(t, func(l *lab) {
		l.host("ssh:bastion", treetest.UntilGone)
		l.host("ssh:web1", treetest.UntilGone)
		l.account("root")
		holder, by := l.Probe("holder"), l.Probe("by")
		held := l.acquire(holder, false, "ssh:bastion", "ssh:web1", "sudo:root").Target.Interpreter.Id
		for _, names := range [][]string{{"ssh:bastion", "ssh:web1"}, {"ssh:bastion"}} {
			l.acquire(by, false, "ssh:bastion", "ssh:web1", "sudo:root")
			old := l.acquire(by, false, names...).Target
			by.Request(l.conns, &Retire{Key: 2, Context: old.Name, Interpreter: old.Interpreter})
			actorstest.Expect[*ResetDone](by)
			l.acquire(by, false, names...) // has the name now
		}
		if len(l.alive(held)) == 0 {
			t.Error("what is held is gone")
		}
		for _, p := range []*actorstest.Probe{holder, by} {
			p.Request(l.conns, &Forget{Requester: p.PID()})
		}
		if left := l.alive(held); len(left) > 0 {
			t.Errorf("still there: %v", left)
		}
	})
}
