package transfers

import (
	"testing"

	"go.uber.org/goleak"

	"spindle/actors/actorstest"
	"spindle/actors/tree"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// G4: all transfers together never have more under way than the budget; the rest waits in order, and a holder's end makes room.
func TestG4_BudgetIsKeptAndServedInOrder(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		svc := e.Spawn(Spec(10))
		a, b, c, d := e.Probe("a"), e.Probe("b"), e.Probe("c"), e.Probe("d")
		a.Request(svc, &tree.Reserve{Bytes: 6})
		actorstest.Expect[*tree.Reserved](a)
		b.Request(svc, &tree.Reserve{Bytes: 6})
		c.Request(svc, &tree.Reserve{Bytes: 2}) // would fit, but may not overtake b
		d.Request(svc, &tree.Reserve{Bytes: 100})
		for _, p := range []*actorstest.Probe{b, c, d} {
			p.ExpectNone()
		}
		e.System.Terminate(a.PID())
		actorstest.Expect[*tree.Reserved](b)
		actorstest.Expect[*tree.Reserved](c)
		d.ExpectNone()
		e.System.Terminate(b.PID())
		d.ExpectNone()
		e.System.Terminate(c.PID())
		if got := actorstest.Expect[*tree.Reserved](d); got.Bytes != 10 {
			t.Errorf("a reservation larger than the budget gets %d, want the budget", got.Bytes)
		}
	})
}

func TestWaiterThatDiesIsForgotten(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		svc := e.Spawn(Spec(10))
		a, b, c := e.Probe("a"), e.Probe("b"), e.Probe("c")
		a.Request(svc, &tree.Reserve{Bytes: 10})
		actorstest.Expect[*tree.Reserved](a)
		b.Request(svc, &tree.Reserve{Bytes: 10})
		c.Request(svc, &tree.Reserve{Bytes: 10})
		e.System.Terminate(b.PID())
		c.ExpectNone()
		e.System.Terminate(a.PID())
		actorstest.Expect[*tree.Reserved](c)
	})
}
