package tree

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors/tree/treetest"
)

// A hop that is to retire while it is dialing does so when it is up, and keeps nothing above it.
func TestAHopThatDialsRetiresWhenItIsUp(t *testing.T) {
	b := newBench(t, Heartbeat{})
	login := b.open(b.tree, "ssh:web1", treetest.UntilGone)
	gate := make(chan struct{})
	root := &treetest.Dialer{T: t, Label: "sudo:root", Play: treetest.UntilGone, Joined: &b.wg, Gate: gate}
	b.say(login.Interpreter, &OpenHop{Hop: &Hop{Key: "sudo:root", Dialer: root}, Report: b.client})
	b.say(b.client, &watch{login.Hop})
	b.say(login.Hop, &Retire{})
	for end := time.Now().Add(10 * time.Second); !b.stands(login.Interpreter, "retiring"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the login does not retire")
		}
	}
	// Once it has answered, it has told the account below, too.
	b.say(login.Interpreter, &Invoke{Key: 1})
	expect[*Done](b)
	close(gate)
	expect[*HopReady](b)
	expect[*actor.Terminated](b)
}

// stands says whether an actor is in a state.
func (b *bench) stands(who *actor.PID, state string) bool {
	for _, n := range b.sys.Census().Snapshot() {
		if n.Path == who.Id {
			return n.State == state
		}
	}
	return false
}
