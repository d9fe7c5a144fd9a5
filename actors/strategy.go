package actors

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"
)

// Strategy decides what becomes of a child that failed. It runs in the parent's goroutine and must not block.
type Strategy interface {
	Decide(f Failure) Verdict
}

// StrategyFunc is a function as strategy.
type StrategyFunc func(f Failure) Verdict

// Decide calls the function.
func (fn StrategyFunc) Decide(f Failure) Verdict { return fn(f) }

// Failure is what a strategy decides about.
type Failure struct {
	// Path and Kind tell who failed.
	Path string
	Kind string
	// Fault is why.
	Fault Fault
	// Past counts this child's failures. It is the strategy's to add to.
	Past *Past
}

// Verdict is what shall be done.
type Verdict struct {
	Action Action
	// After delays a Restart. Until then the child's messages wait; its own children and pumps live on.
	After time.Duration
}

// Action is what can be done with a failed child.
type Action int

const (
	// Stop ends the child with everything below it. Its queued and kept requests are answered with Failed.
	Stop Action = iota
	// Restart ends everything below the child and gives it a new value.
	Restart
	// Escalate makes the failure the parent's own.
	Escalate
)

// String returns the action's name, as it is logged.
func (a Action) String() string {
	switch a {
	case Stop:
		return "stop"
	case Restart:
		return "restart"
	case Escalate:
		return "escalate"
	}
	return "unknown"
}

// StopOnFailure stops a child that fails. It is right for the tree: a hop begun anew would have lost what is on the
// target, and would run things twice.
var StopOnFailure Strategy = StrategyFunc(func(Failure) Verdict { return Verdict{Action: Stop} })

// Backoff are the numbers of [RestartWithBackoff]. Zero fields get the default in brackets.
type Backoff struct {
	// Initial is the pause before the first restart [100 ms]. It doubles with every further failure …
	Initial time.Duration
	// Max … up to this [30 s].
	Max time.Duration
	// Jitter is the part of each pause that is left to chance, from 0 to 1 [0.5]; negative means none.
	Jitter float64
	// Budget is how many failures are forgiven at a time [5].
	Budget int
	// HalfLife is the time in which half of the failures are forgotten [1 min].
	HalfLife time.Duration
	// Exhausted is done when the budget is spent [Stop]: Stop or Escalate.
	Exhausted Action
}

// RestartWithBackoff restarts a child that fails, after a pause that grows, until it fails too often. It is right for
// services that keep nothing they cannot learn again.
func RestartWithBackoff(b Backoff) Strategy {
	b = b.withDefaults()
	return StrategyFunc(func(f Failure) Verdict {
		score := f.Past.Add(time.Now(), b.HalfLife)
		if score > float64(b.Budget) {
			return Verdict{Action: b.Exhausted}
		}
		return Verdict{Action: Restart, After: b.Pause(score, rand.Float64())}
	})
}

func (b Backoff) withDefaults() Backoff {
	if b.Initial <= 0 {
		b.Initial = 100 * time.Millisecond
	}
	if b.Max <= 0 {
		b.Max = 30 * time.Second
	}
	if b.Jitter == 0 {
		b.Jitter = 0.5
	}
	if b.Budget <= 0 {
		b.Budget = 5
	}
	if b.HalfLife <= 0 {
		b.HalfLife = time.Minute
	}
	if b.Exhausted == Restart {
		b.Exhausted = Stop
	}
	return b
}

// Pause is how long to wait before a restart: score is the decayed number of failures, this one included, and chance a
// number from [0, 1). The pause is never longer than Max, and jitter only ever shortens it.
func (b Backoff) Pause(score, chance float64) time.Duration {
	steps := max(math.Ceil(score)-1, 0)
	pause := min(float64(b.Initial)*math.Exp2(steps), float64(b.Max))
	jitter := min(max(b.Jitter, 0), 1)
	return time.Duration(pause * (1 - jitter*chance))
}

// Past is a count of failures that fades: two numbers, however often an actor fails.
type Past struct {
	score float64
	at    time.Time
}

// Add lets the count fade up to now, adds one failure and returns the sum.
func (p *Past) Add(now time.Time, halfLife time.Duration) float64 {
	if since := now.Sub(p.at); p.score > 0 && since > 0 {
		p.score *= math.Exp2(-float64(since) / float64(halfLife))
	}
	p.score++
	p.at = now
	return p.score
}

// supervisor carries the verdicts of a cell's strategy out. The engine's own strategies are not used: they stop at
// once where they should never (P12), and back off in a straight line without end (P11).
type supervisor struct{}

var _ actor.SupervisorStrategy = supervisor{}

// HandleFailure runs in the parent's goroutine.
func (supervisor) HandleFailure(_ *actor.ActorSystem, engine actor.Supervisor, who *actor.PID, _ *actor.RestartStatistics,
	reason, message any,
) {
	parent := engine.(actor.Context).Actor().(*guard).cell
	failed, known := parent.children[who.Id].(*cell)
	if !known {
		return // it is gone already
	}
	fault, ok := reason.(Fault)
	if !ok {
		fault = faultOf(reason)
	}
	if parent.phase != running {
		engine.StopChildren(who) // it was told to stop, and must not come back
		return
	}
	verdict := parent.spec.Supervise.Decide(Failure{Path: failed.path, Kind: failed.spec.Kind, Fault: fault, Past: &failed.past})
	parent.system.log.Info("verdict", zap.String("path", failed.path), zap.Stringer("action", verdict.Action),
		zap.Duration("after", verdict.After), zap.String("class", fault.Class))
	switch verdict.Action {
	case Restart:
		failed.restartLater(verdict.After)
	case Escalate:
		parent.note(fault)
		parent.fail(fault, message)
	default:
		engine.StopChildren(who)
	}
}
