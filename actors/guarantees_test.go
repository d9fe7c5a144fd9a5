package actors_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zapcore"

	"spindle/actors"
	"spindle/actors/actorstest"
	"spindle/actors/census"
)

type numbered struct {
	from string
	n    int
}

// Guarantee G1, for actors and pumps as senders, with timers and restarts of others going on beside it.
func TestG1_OrderPerSenderAndReceiver(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		const senders, messages = 8, 500
		sink := e.Probe("sink")
		for i := range senders {
			name := fmt.Sprintf("sender%d", i)
			spawn(e, name, func(ctx actor.Context) {
				switch ctx.Message().(type) {
				case *actor.Started:
					for n := range messages {
						if n%2 == 0 {
							ctx.Send(sink.PID(), &numbered{name, n})
						} else {
							ctx.Request(sink.PID(), &numbered{name, n})
						}
					}
				}
			})
		}
		actorstest.Settle()
		next := map[string]int{}
		for _, m := range sink.Messages() {
			got := m.(*numbered)
			if got.n != next[got.from] {
				t.Fatalf("%s: got %d, want %d", got.from, got.n, next[got.from])
			}
			next[got.from]++
		}
		if len(next) != senders {
			t.Errorf("heard %d senders, want %d", len(next), senders)
		}
	})
}

// Guarantee G1: what a pump sends comes before the news that it is done.
func TestG1_PumpDoneComesLast(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		var seen []string
		spawn(e, "owner", func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started:
				self, system := ctx.Self(), actors.SystemOf(ctx)
				actors.Go(ctx, "reader", func(context.Context) error {
					for n := range 3 {
						system.Send(self, &ask{n})
					}
					return errors.New("eof")
				})
			case *ask:
				seen = append(seen, fmt.Sprint(m.n))
			case *actors.PumpDone:
				seen = append(seen, m.Name+": "+m.Err.Error())
			case *actor.Terminated:
				e.Error("an actor heard of its pump as of a child")
			}
		})
		actorstest.Settle()
		if diff := cmp.Diff([]string{"0", "1", "2", "reader: eof"}, seen); diff != "" {
			t.Errorf("messages mismatch (-want +got):\n%s", diff)
		}
	})
}

// responder answers in every way an actor can, and fails in most ways it can.
type responder struct {
	kept  []*actors.Reply
	other *actor.PID
}

type order string

func (r *responder) Receive(ctx actor.Context) {
	m, ok := ctx.Message().(order)
	if !ok {
		return
	}
	switch m {
	case "answer":
		ctx.Respond(&reply{})
	case "answer by sending":
		ctx.Send(ctx.Sender(), &reply{})
	case "answer by sending, then panic":
		ctx.Send(ctx.Sender(), &reply{})
		panic(actors.Fault{Class: "test"})
	case "answer, then panic":
		ctx.Respond(&reply{})
		panic(actors.Fault{Class: "test"})
	case "panic":
		panic(actors.Fault{Class: "test"})
	case "keep":
		r.kept = append(r.kept, actors.Keep(ctx))
	case "keep, then panic":
		actors.Keep(ctx)
		panic(actors.Fault{Class: "test"})
	case "keep, answer, answer again":
		k := actors.Keep(ctx)
		k.Send(&reply{})
		k.Send(&reply{})
		k.Fail(errors.New("late"))
	case "pass on":
		ctx.Forward(r.other)
	case "pass on, then panic":
		ctx.Forward(r.other)
		panic(actors.Fault{Class: "test"})
	case "pass on by request, then panic":
		ctx.RequestWithCustomSender(r.other, order("answer"), ctx.Sender())
		panic(actors.Fault{Class: "test"})
	case "stop":
		ctx.Stop(ctx.Self())
		ctx.Respond(&reply{})
	}
}

// Guarantee G3: whatever an actor does with a request, it is answered once.
func TestG3_ExactlyOneAnswer(t *testing.T) {
	tests := []struct {
		order  order
		stop   bool // the actor is stopped afterwards
		failed bool // the answer is Failed
	}{
		{order: "answer"},
		{order: "answer by sending"},
		{order: "answer, then panic"},
		{order: "answer by sending, then panic"},
		{order: "panic", failed: true},
		{order: "keep", stop: true, failed: true},
		{order: "keep, then panic", failed: true},
		{order: "keep, answer, answer again"},
		{order: "keep, answer, answer again", stop: true},
		{order: "pass on"},
		{order: "pass on, then panic"},
		{order: "pass on by request, then panic"},
		{order: "stop"},
	}
	for _, strategy := range []string{"stop", "restart"} {
		for _, test := range tests {
			t.Run(fmt.Sprintf("%s on failure, %s, %v", strategy, test.order, test.stop), func(t *testing.T) {
				actorstest.Bubble(t, func(e *actorstest.Env) {
					probe := e.Probe("probe")
					echo := spawn(e, "echo", func(ctx actor.Context) {
						if _, ok := ctx.Message().(order); ok {
							ctx.Respond(&reply{})
						}
					})
					spec := actors.Spec{Kind: "parent", New: func() actor.Actor {
						return actor.ReceiveFunc(func(ctx actor.Context) {
							if _, ok := ctx.Message().(*actor.Started); ok {
								_, err := actors.Spawn(ctx, actors.Spec{Kind: "responder", New: func() actor.Actor { return &responder{other: echo} }})
								if err != nil {
									panic(err)
								}
							}
						})
					}}
					if strategy == "restart" {
						spec.Supervise = actors.RestartWithBackoff(actors.Backoff{})
					}
					e.Spawn(spec)
					actorstest.Settle()
					pid := e.PID("parent/responder")
					probe.Request(pid, test.order)
					actorstest.Settle()
					if test.stop {
						e.System.Terminate(pid)
					}
					time.Sleep(time.Hour)
					actorstest.Settle()
					got := probe.Messages()
					if len(got) != 1 {
						t.Fatalf("got %d answers, want one: %v", len(got), got)
					}
					if _, failed := got[0].(*actors.Failed); failed != test.failed {
						t.Errorf("got a %T, want failed = %v", got[0], test.failed)
					}
				})
			})
		}
	}
}

// Guarantee G3 for requests that find nobody.
func TestG3_TheDeadAnswer(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		probe := e.Probe("probe")
		probe.Request(e.PID("nobody/here"), &ask{})
		failed := actorstest.Expect[*actors.Failed](probe)
		if failed.Path != "nobody/here" || !errors.Is(failed, actors.ErrStopped) {
			t.Errorf("got %v, want ErrStopped from nobody/here", failed)
		}
		probe.Watch(e.PID("nobody/here"))
		if end := actorstest.Expect[*actor.Terminated](probe); end.Who.Id != "nobody/here" {
			t.Errorf("got the end of %s", end.Who.Id)
		}
		// A failure that finds nobody is not answered with a failure, or two dead would talk for ever.
		probe.Request(e.PID("nobody"), &actors.Failed{Path: "x", Err: actors.ErrStopped})
		probe.ExpectNone()
		start := time.Now()
		_, err := e.System.Request(e.Within(time.Minute), e.PID("nobody"), &ask{})
		if !errors.Is(err, actors.ErrStopped) || time.Since(start) != 0 {
			t.Errorf("Request = %v after %v, want ErrStopped at once", err, time.Since(start))
		}
		probe.ExpectNone()
	})
}

// Guarantee G3 while actors stop under fire: as many answers as requests, whoever is faster.
func TestG3_EveryRequestIsAnsweredWhileActorsStop(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		const actorsN, requests = 20, 200
		probe := e.Probe("probe")
		for i := range actorsN {
			pid := spawn(e, fmt.Sprint("target", i), func(ctx actor.Context) {
				if m, ok := ctx.Message().(*ask); ok {
					switch m.n % 3 {
					case 0:
						ctx.Respond(&reply{m.n})
					case 1:
						actors.Keep(ctx)
					case 2:
						actors.Keep(ctx).Send(&reply{m.n})
					}
				}
			})
			go func() {
				for n := range requests {
					probe.Request(pid, &ask{n})
					if n == requests/2 {
						e.System.Terminate(pid)
					}
					runtime.Gosched()
				}
			}()
		}
		actorstest.Settle()
		if got := len(probe.Envelopes()); got != actorsN*requests {
			t.Errorf("got %d answers to %d requests", got, actorsN*requests)
		}
	})
}

// branch is an actor with children and a pump, down to a depth.
func branch(depth int) func() actor.Actor {
	return func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); !ok {
				return
			}
			actors.Go(ctx, "pump", func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(time.Duration(depth) * time.Second) // its end takes a while
				return context.Cause(ctx)
			})
			for i := range 2 {
				if depth == 0 {
					return
				}
				if _, err := actors.Spawn(ctx, actors.Spec{Kind: "branch", Name: fmt.Sprint(i), New: branch(depth - 1)}); err != nil {
					panic(err)
				}
			}
		})
	}
}

// Guarantee G5, pumps included, for a stop and for a failure in the middle.
func TestG5_ASubtreeIsGoneBeforeItsTop(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		top := e.Spawn(actors.Spec{Kind: "branch", Name: "top", New: branch(4)})
		actorstest.Settle()
		all := e.System.Census().Len()
		if want := 31 * 2; all != want {
			t.Fatalf("%d alive, want %d", all, want)
		}
		middle := e.PID("top/0")
		e.System.Terminate(middle)
		time.Sleep(time.Minute)
		actorstest.Settle()
		if got, want := e.System.Census().Len(), all-30; got != want {
			t.Errorf("%d alive without top/0, want %d", got, want)
		}
		e.System.Terminate(top)
		time.Sleep(time.Minute)
		actorstest.Settle()

		gone := map[string]bool{}
		for _, event := range e.System.Census().Events(0) {
			if event.Type != census.Stopped {
				continue
			}
			for path := range gone {
				if strings.HasPrefix(event.Path, path+"/") {
					t.Errorf("%s was gone before %s", path, event.Path)
				}
			}
			gone[event.Path] = true
		}
		if len(gone) != all {
			t.Errorf("%d are gone, want %d", len(gone), all)
		}
	})
}

// Guarantee G5 for a restart: the old subtree, pumps included, is gone before the new value starts.
func TestG5_ARestartWaitsForTheOldSubtree(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		running := 0
		heard := 0
		service(e, "reader", func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				switch ctx.Message().(type) {
				case *actor.Started:
					if running != 0 {
						t.Error("the old pump still runs")
					}
					actors.Go(ctx, "pump", func(ctx context.Context) error {
						running++
						<-ctx.Done()
						time.Sleep(5 * time.Second)
						running--
						return nil
					})
				case *boom:
					panic(actors.Fault{Class: "test"})
				case *actors.PumpDone:
					heard++
				}
			})
		})
		actorstest.Settle()
		for range 3 {
			e.System.Send(e.PID("services/reader"), &boom{})
			time.Sleep(time.Minute)
			actorstest.Settle()
		}
		if running != 1 {
			t.Errorf("%d pumps run, want 1", running)
		}
		if heard != 0 {
			t.Errorf("got PumpDone %d times of pumps of former lives", heard)
		}
		if got := count(e, census.Restarted, "services/reader"); got != 3 {
			t.Errorf("restarted %d times, want 3", got)
		}
	})
}

const canary = "hunter2-canary"

type login struct{ Password string }

func (l *login) Error() string { return "wrong password " + l.Password }

// Guarantee G6: messages with a secret in them go every way a message can go wrong. Nobody tells.
func TestG6_SecretsStayInMessages(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		probe := e.Probe("probe")
		secret := &login{canary}
		parent := func(strategy actors.Strategy, name string) {
			e.Spawn(actors.Spec{Kind: "parent", Name: name, Supervise: strategy, New: func() actor.Actor {
				return actor.ReceiveFunc(func(ctx actor.Context) {
					if _, ok := ctx.Message().(*actor.Started); ok {
						mustSpawn(ctx, "child", leaky)
					}
				})
			}})
		}
		parent(actors.StopOnFailure, "stops")
		parent(actors.RestartWithBackoff(actors.Backoff{}), "restarts")
		parent(actors.StrategyFunc(func(actors.Failure) actors.Verdict { return actors.Verdict{Action: actors.Escalate} }), "escalates")
		actorstest.Settle()
		for _, name := range []string{"restarts", "escalates", "stops"} {
			for _, how := range []any{canary, secret, *secret, []string{canary}, error(secret)} {
				probe.Request(e.PID(name+"/child"), &boom{how})
				probe.Request(e.PID(name+"/child"), secret)
				time.Sleep(time.Minute)
				actorstest.Settle()
			}
		}
		// Nobody there, nobody asked, too many waiting.
		probe.Request(e.PID("nobody"), secret)
		e.System.Send(e.PID("nobody"), secret)
		crowd := spawn(e, "crowd", func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *wait:
				<-m.until
			case *ask:
				ctx.Respond(secret) // to nobody
			case *boom:
				actors.Go(ctx, "pump", func(context.Context) error { panic(m.value) })
			}
		})
		hold := make(chan struct{})
		e.System.Send(crowd, &ask{})
		e.System.Send(crowd, &boom{canary})
		e.System.Send(crowd, &boom{secret})
		e.System.Send(crowd, &wait{hold})
		actorstest.Settle()
		for range 5000 {
			e.System.Send(crowd, secret)
		}
		snapshot, err := json.Marshal(e.System.Census().Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		e.System.Terminate(crowd)
		close(hold)
		actorstest.Settle()
		events, err := json.Marshal(e.System.Census().Events(0))
		if err != nil {
			t.Fatal(err)
		}

		var tells strings.Builder
		tells.Write(snapshot)
		tells.Write(events)
		encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "m"})
		for _, entry := range e.Logs.All() {
			line, err := encoder.EncodeEntry(entry.Entry, entry.Context)
			if err != nil {
				t.Fatal(err)
			}
			tells.Write(line.Bytes())
		}
		answers := 0
		for _, m := range probe.Messages() {
			if failed, ok := m.(*actors.Failed); ok {
				answers++
				tells.WriteString(failed.Error())
				fmt.Fprintf(&tells, "%+v", failed.Err)
			}
		}
		if err := e.System.Failure(); err != nil {
			tells.WriteString(err.Error())
		}
		if answers == 0 || e.Logs.Len() == 0 {
			t.Fatalf("%d answers and %d log entries: nothing was tested", answers, e.Logs.Len())
		}
		for _, want := range []string{"actors_test.login", "long queue", "dead letter", "actor failed", "pump failed"} {
			if !strings.Contains(tells.String(), want) {
				t.Errorf("%q is told nowhere", want)
			}
		}
		if i := strings.Index(tells.String(), canary); i >= 0 {
			t.Errorf("the canary sings: %s", tells.String()[max(i-200, 0):i+len(canary)])
		}
	})
}

// leaky panics with what it is sent.
func leaky(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *boom:
		panic(m.value)
	case *login:
		ctx.Respond(&reply{})
	}
}

// Guarantee G7.
func TestG7_ARequestWithoutDeadlineIsRefused(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		asked := 0
		silent := spawn(e, "silent", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*ask); ok {
				asked++
			}
		})
		_, err := e.System.Request(context.Background(), silent, &ask{})
		if !errors.Is(err, actors.ErrNoDeadline) {
			t.Errorf("got %v, want ErrNoDeadline", err)
		}
		actorstest.Settle()
		if asked != 0 {
			t.Error("the refused request was sent")
		}
		start := time.Now()
		_, err = e.System.Request(e.Within(time.Minute), silent, &ask{})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("got %v after %v, want DeadlineExceeded after a minute", err, time.Since(start))
		}
		cause := errors.New("user went home")
		ctx, cancel := context.WithCancelCause(e.Within(time.Minute))
		cancel(cause)
		if _, err = e.System.Request(ctx, silent, &ask{}); !errors.Is(err, cause) {
			t.Errorf("got %v, want the cause", err)
		}
	})
}

// Guarantee G7: a pump that never returns does not keep its owner, nor the process.
func TestG7_AStuckPumpIsGivenUp(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		stuck := make(chan struct{})
		pid := spawn(e, "owner", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				actors.Go(ctx, "reader", func(context.Context) error { <-stuck; return nil })
			}
		})
		probe := e.Probe("probe")
		probe.Watch(pid)
		actorstest.Settle()
		e.System.Terminate(pid)
		start := time.Now()
		probe.ExpectNone()
		if diff := cmp.Diff([]string{"owner", "owner/reader", "probe"}, e.Paths()); diff != "" {
			t.Errorf("alive mismatch (-want +got):\n%s", diff)
		}
		time.Sleep(10 * time.Second)
		actorstest.Expect[*actor.Terminated](probe)
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("given up after %v, want 10s", took)
		}
		err := e.System.Stop(e.Within(time.Second))
		if err == nil || !strings.Contains(err.Error(), "owner/reader (abandoned)") {
			t.Errorf("Stop = %v, want it to name the stuck pump", err)
		}
		if got := count(e, census.Lost, "owner/reader"); got != 1 {
			t.Errorf("recorded %d times as lost, want once", got)
		}
		close(stuck)
		actorstest.Settle()
		if got := e.Paths(); len(got) != 0 {
			t.Errorf("left behind: %v", got)
		}
	})
}

// Guarantee G7: a stop has an end, even if nobody said which.
func TestG7_StopHasADeadlineOfItsOwn(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		hold := make(chan struct{})
		spawn(e, "wedged", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				<-hold
			}
		})
		actorstest.Settle()
		start := time.Now()
		err := e.System.Stop(context.Background())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 30*time.Second {
			t.Errorf("Stop = %v after %v, want DeadlineExceeded after 30s", err, time.Since(start))
		}
		nodes := e.System.Census().Snapshot()
		if len(nodes) != 1 || nodes[0].Busy != 30*time.Second || nodes[0].LastMessage != "*actor.Started" {
			t.Errorf("the census does not tell what is wedged: %+v", nodes)
		}
		close(hold)
	})
}

// What cannot be spawned any more says so.
func TestNothingIsBornToTheDying(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		var errs []error
		var late *actors.Pump
		var timer *actors.Timer
		ran := false
		pid := spawn(e, "dying", func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Stopping, *actor.Stopped:
				_, err := actors.Spawn(ctx, actors.Spec{Kind: "x", New: func() actor.Actor { return actor.ReceiveFunc(func(actor.Context) {}) }})
				errs = append(errs, err)
				late = actors.Go(ctx, "late", func(context.Context) error { ran = true; return nil })
				timer = actors.After(ctx, time.Second, &ask{})
			case *ask:
				e.Error("a timer rang for the dead")
			}
		})
		actorstest.Settle()
		if err := e.System.Stop(e.Within(time.Minute)); err != nil {
			t.Error(err)
		}
		for _, err := range errs {
			if !errors.Is(err, actors.ErrStopped) {
				t.Errorf("Spawn = %v, want ErrStopped", err)
			}
		}
		<-late.Done()
		if len(errs) != 2 || ran || timer.Stop() {
			t.Errorf("%d spawns tried, pump ran = %v", len(errs), ran)
		}
		if _, err := e.System.SpawnRoot(actors.Spec{Kind: "x"}); !errors.Is(err, actors.ErrStopped) {
			t.Errorf("SpawnRoot = %v, want ErrStopped", err)
		}
		_ = pid
		if slices.Contains(e.Paths(), "dying") {
			t.Error("still alive")
		}
	})
}
