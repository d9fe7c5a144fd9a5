package actors_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"

	"spindle/actors"
	"spindle/actors/actorstest"
	"spindle/actors/census"
)

// recorder makes actors that write down their lives.
func recorder(seen *[]string, do func(ctx actor.Context)) func() actor.Actor {
	born := 0
	return func() actor.Actor {
		born++
		self := born
		return actor.ReceiveFunc(func(ctx actor.Context) {
			*seen = append(*seen, fmt.Sprintf("%d %T", self, ctx.Message()))
			do(ctx)
		})
	}
}

// Each value sees either Stopping and Stopped, or Restarting.
func TestLife(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		var seen []string
		service(e, "cat", recorder(&seen, func(ctx actor.Context) {
			if _, ok := ctx.Message().(*boom); ok {
				panic(actors.Fault{Class: "test"})
			}
		}))
		pid := e.PID("services/cat")
		actorstest.Settle()
		e.System.Send(pid, &boom{})
		actorstest.Settle()
		e.System.Send(pid, &ask{}) // waits for the next life
		time.Sleep(time.Second)
		actorstest.Settle()
		e.System.Terminate(pid)
		actorstest.Settle()
		want := []string{
			"1 *actor.Started", "1 *actors_test.boom", "1 *actor.Restarting",
			"2 *actor.Started", "2 *actors_test.ask", "2 *actor.Stopping", "2 *actor.Stopped",
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("life mismatch (-want +got):\n%s", diff)
		}
	})
}

// A stop that comes while the old subtree of a restart still ends is the end.
func TestLife_StopDuringRestart(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		var seen []string
		root := service(e, "cat", recorder(&seen, func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started:
				actors.Go(ctx, "slow", func(ctx context.Context) error { <-ctx.Done(); time.Sleep(5 * time.Second); return nil })
			case *boom:
				panic(actors.Fault{Class: "test"})
			}
		}))
		actorstest.Settle()
		e.System.Send(e.PID("services/cat"), &boom{})
		time.Sleep(time.Second) // Restarting was handled, the pump still runs
		actorstest.Settle()
		e.System.Terminate(root)
		time.Sleep(time.Minute)
		actorstest.Settle()
		want := []string{"1 *actor.Started", "1 *actors_test.boom", "1 *actor.Restarting", "1 *actor.Stopped"}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("life mismatch (-want +got):\n%s", diff)
		}
		if got := e.Paths(); len(got) != 0 {
			t.Errorf("left behind: %v", got)
		}
	})
}

// A New that panics at birth is the spawner's error; at a restart it is one more failure.
func TestNewMayPanic(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		_, err := e.System.SpawnRoot(actors.Spec{Kind: "stillborn", New: func() actor.Actor { panic("no") }})
		if fault, ok := errors.AsType[actors.Fault](err); !ok || fault.Class != actors.ClassDefect {
			t.Errorf("SpawnRoot = %v, want a defect", err)
		}
		if _, err = e.System.SpawnRoot(actors.Spec{Kind: "empty"}); err == nil {
			t.Error("spawned an actor out of nothing")
		}
		if n := e.System.Census().Len(); n != 0 {
			t.Errorf("%d in the census, want none", n)
		}
		born := 0
		service(e, "shy", func() actor.Actor {
			if born++; born == 2 || born == 3 {
				panic("not now")
			}
			return actor.ReceiveFunc(leaky)
		})
		actorstest.Settle()
		e.System.Send(e.PID("services/shy"), &boom{actors.Fault{Class: "test"}})
		time.Sleep(time.Minute)
		answer, err := e.System.Request(e.Within(time.Minute), e.PID("services/shy"), &login{})
		if _, ok := answer.(*reply); !ok || born != 4 {
			t.Errorf("born %d times, answer %v, %v", born, answer, err)
		}
	})
}

// A failure that is escalated ends at the root: it stops, and the system knows why.
func TestEscalationReachesTheSystem(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		exhausted := actors.RestartWithBackoff(actors.Backoff{Budget: 2, Exhausted: actors.Escalate})
		e.Spawn(actors.Spec{Kind: "root", Supervise: actors.StopOnFailure, New: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.Started); ok {
					mustSpawn(ctx, "service", func(ctx actor.Context) {
						if _, ok := ctx.Message().(*actor.Started); ok {
							panic(actors.Fault{Class: "test", Err: errors.New("no luck")})
						}
					})
				}
			})
		}})
		actorstest.Settle()
		select {
		case <-e.System.Failed():
			t.Fatal("a child that is stopped is no failure of the system")
		default:
		}
		e.Spawn(actors.Spec{Kind: "fragile", Supervise: exhausted, New: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.Started); ok {
					mustSpawn(ctx, "service", func(ctx actor.Context) {
						if _, ok := ctx.Message().(*actor.Started); ok {
							panic(actors.Fault{Class: "test", Err: errors.New("no luck")})
						}
					})
				}
			})
		}})
		<-e.System.Failed()
		actorstest.Settle()
		if got, want := fmt.Sprint(e.System.Failure()), "fragile: test: no luck"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if diff := cmp.Diff([]string{"root"}, e.Paths()); diff != "" {
			t.Errorf("alive mismatch (-want +got):\n%s", diff)
		}
		if got := count(e, census.Failed, "fragile/service"); got != 3 {
			t.Errorf("the service failed %d times, want 3: twice forgiven", got)
		}
	})
}

// Who is stopped because something above failed can tell its callers why.
func TestCause(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		var cause error
		e.Spawn(actors.Spec{Kind: "tree", New: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.Started); !ok {
					return
				}
				mustSpawn(ctx, "hop", func(ctx actor.Context) {
					switch ctx.Message().(type) {
					case *actor.Started:
						mustSpawn(ctx, "interpreter", func(ctx actor.Context) {
							switch ctx.Message().(type) {
							case *ask:
								actors.Keep(ctx)
							case *actor.Stopping:
								cause = actors.Cause(ctx)
							}
						})
					case *boom:
						panic(actors.Fault{Class: actors.ClassLink, Err: errors.New("reset by peer")})
					}
				})
			})
		}})
		probe := e.Probe("probe")
		actorstest.Settle()
		probe.Request(e.PID("tree/hop/interpreter"), &ask{})
		actorstest.Settle()
		e.System.Send(e.PID("tree/hop"), &boom{})
		failed := actorstest.Expect[*actors.Failed](probe)
		const want = "tree/hop/interpreter: actor stopped: tree/hop: link lost: reset by peer"
		if failed.Error() != want {
			t.Errorf("got %q, want %q", failed, want)
		}
		if got := fmt.Sprint(cause); got != "tree/hop: link lost: reset by peer" {
			t.Errorf("Cause = %q", got)
		}
	})
}

// An end for a reason is no failure, but everybody below hears of it.
func TestQuit(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		hangup := errors.New("the far side hung up")
		var causes []error
		pid := spawn(e, "hop", func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started:
				mustSpawn(ctx, "call", func(ctx actor.Context) {
					switch ctx.Message().(type) {
					case *ask:
						actors.Keep(ctx)
					case *actor.Stopping:
						causes = append(causes, actors.Cause(ctx))
					}
				})
			case *boom:
				actors.Quit(ctx, hangup)
				actors.Quit(ctx, errors.New("too late"))
			}
		})
		probe := e.Probe("probe")
		actorstest.Settle()
		probe.Request(e.PID("hop/call"), &ask{})
		actorstest.Settle()
		e.System.Send(pid, &boom{})
		failed := actorstest.Expect[*actors.Failed](probe)
		if !errors.Is(failed, hangup) || !errors.Is(failed, actors.ErrStopped) {
			t.Errorf("got %v, want ErrStopped for the reason given", failed)
		}
		if len(causes) != 1 || fmt.Sprint(causes[0]) != "hop: the far side hung up" {
			t.Errorf("causes %v", causes)
		}
		if n := count(e, census.Failed, "hop"); n != 0 || e.System.Failure() != nil {
			t.Errorf("recorded as a failure %d times, system %v", n, e.System.Failure())
		}
		events := e.System.Census().Events(0)
		if last := events[len(events)-1]; last.Type != census.Stopped || last.Path != "hop" || last.Text != hangup.Error() {
			t.Errorf("last event %+v, want the reason of the hop's end", last)
		}
	})
}

// A failure that was overcome is not the cause of a later stop.
func TestCauseIsForgottenWithARestart(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		probe := e.Probe("probe")
		service(e, "cat", func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				switch ctx.Message().(type) {
				case *boom:
					panic(actors.Fault{Class: "test"})
				case *ask:
					actors.Keep(ctx)
				}
			})
		})
		pid := e.PID("services/cat")
		actorstest.Settle()
		e.System.Send(pid, &boom{})
		time.Sleep(time.Minute)
		probe.Request(pid, &ask{})
		actorstest.Settle()
		e.System.Terminate(pid)
		if got, want := actorstest.Expect[*actors.Failed](probe).Error(), "services/cat: actor stopped"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// A child that fails while its parent ends is nobody's decision any more.
func TestAnEndingParentDecidesNothing(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		hold := make(chan struct{})
		decided := 0
		pid := e.Spawn(actors.Spec{
			Kind: "parent",
			New: func() actor.Actor {
				return actor.ReceiveFunc(func(ctx actor.Context) {
					if _, ok := ctx.Message().(*actor.Started); ok {
						mustSpawn(ctx, "child", func(ctx actor.Context) {
							if m, ok := ctx.Message().(*wait); ok {
								<-m.until
								panic(actors.Fault{Class: "test"})
							}
						})
					}
				})
			},
			Supervise: actors.StrategyFunc(func(actors.Failure) actors.Verdict {
				decided++
				return actors.Verdict{Action: actors.Escalate}
			}),
		})
		actorstest.Settle()
		e.System.Send(e.PID("parent/child"), &wait{hold})
		actorstest.Settle()
		e.System.Terminate(pid)
		actorstest.Settle()
		close(hold)
		actorstest.Settle()
		if err := e.System.Failure(); decided != 0 || err != nil {
			t.Errorf("decided %d times, failure %v, want neither", decided, err)
		}
		if got := e.Paths(); len(got) != 0 {
			t.Errorf("left behind: %v", got)
		}
	})
}

// A poison pill lets the queue drain; what comes behind it is answered.
func TestPoison(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		probe := e.Probe("probe")
		pid := spawn(e, "drains", func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *wait:
				<-m.until
			case *ask:
				actors.Log(ctx).Info("asked")
				ctx.Respond(&reply{m.n})
			}
		})
		hold := make(chan struct{})
		e.System.Send(pid, &wait{hold})
		probe.Request(pid, &ask{1})
		e.System.Send(pid, &actor.PoisonPill{})
		e.System.Send(pid, &actor.PoisonPill{})
		probe.Request(pid, &ask{2})
		close(hold)
		if got := actorstest.Expect[*reply](probe); got.n != 1 {
			t.Errorf("got %d, want 1", got.n)
		}
		actorstest.Expect[*actors.Failed](probe)
		probe.ExpectNone()
		if n := count(e, census.DeadLetter, "drains"); n != 1 {
			t.Errorf("%d dead letters, want the request's alone", n)
		}
		logged := e.Logs.FilterMessage("asked").All()
		if len(logged) != 1 || logged[0].LoggerName != "actors.test" || logged[0].ContextMap()["path"] != "drains" {
			t.Errorf("logged %+v", logged)
		}
	})
}

func TestTimerStop(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		var timers []*actors.Timer
		rang := 0
		pid := spawn(e, "clock", func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started:
				for range 3 {
					timers = append(timers, actors.After(ctx, time.Minute, &ask{}))
				}
				if !timers[0].Stop() || timers[0].Stop() {
					e.Error("a timer can be stopped once")
				}
			case *wait:
				<-m.until
				// The second one is queued by now: taking it back still works.
				if !timers[1].Stop() {
					e.Error("a queued timer cannot be stopped")
				}
			case *ask:
				rang++
				if timers[2].Stop() {
					e.Error("a timer was stopped after it rang")
				}
			}
		})
		hold := make(chan struct{})
		e.System.Send(pid, &wait{hold})
		time.Sleep(2 * time.Minute)
		close(hold)
		actorstest.Settle()
		if rang != 1 {
			t.Errorf("rang %d times, want once", rang)
		}
		var none *actors.Timer
		if none.Stop() {
			t.Error("a nil timer was running")
		}
	})
}

func TestPump(t *testing.T) {
	quits := errors.New("quits")
	tests := []struct {
		name string
		run  func(ctx context.Context) error
		want func(err error) bool
	}{
		{"returns", func(context.Context) error { return nil }, func(err error) bool { return err == nil }},
		{"fails", func(context.Context) error { return quits }, func(err error) bool { return errors.Is(err, quits) }},
		{"panics", func(context.Context) error { panic("x") }, func(err error) bool {
			fault, ok := errors.AsType[actors.Fault](err)
			return ok && fault.Class == actors.ClassDefect
		}},
		{"faults", func(context.Context) error { panic(actors.Fault{Class: actors.ClassLink, Err: quits}) }, func(err error) bool { return errors.Is(err, quits) }},
		{"exits", func(context.Context) error { runtime.Goexit(); return nil }, func(err error) bool { return errors.Is(err, actors.ErrPumpExit) }},
		{"is stopped", func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }, func(err error) bool { return errors.Is(err, actors.ErrStopped) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			actorstest.Bubble(t, func(e *actorstest.Env) {
				var done []*actors.PumpDone
				var pump *actors.Pump
				var children int
				spawn(e, "owner", func(ctx actor.Context) {
					switch m := ctx.Message().(type) {
					case *actor.Started:
						pump = actors.Go(ctx, "worker/1", test.run)
						actors.Go(ctx, "worker/1", test.run).Stop()
						pump.Stop()
						children = len(ctx.Children())
					case *actors.PumpDone:
						done = append(done, m)
					}
				})
				actorstest.Settle()
				<-pump.Done()
				if len(done) != 2 || done[0].Name != "worker/1" || !test.want(done[0].Err) {
					t.Errorf("got %d PumpDone, the first with %v", len(done), done[0].Err)
				}
				if children != 0 {
					t.Errorf("%d children, want pumps not to count", children)
				}
				if diff := cmp.Diff([]string{"owner"}, e.Paths()); diff != "" {
					t.Errorf("alive mismatch (-want +got):\n%s", diff)
				}
				if got := count(e, census.Spawned, "owner/worker%2F1~2"); got != 1 {
					t.Errorf("the second pump was not given a name of its own")
				}
			})
		})
	}
}

func TestPumpsTakeNoMessages(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		spawn(e, "owner", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				actors.Go(ctx, "pump", func(ctx context.Context) error { <-ctx.Done(); return nil })
			}
		})
		probe := e.Probe("probe")
		actorstest.Settle()
		probe.Request(e.PID("owner/pump"), &ask{})
		if failed := actorstest.Expect[*actors.Failed](probe); !errors.Is(failed, actors.ErrStopped) {
			t.Errorf("got %v", failed)
		}
	})
}

// The census tells about an actor while that actor can tell nothing.
func TestCensusOfAWedgedActor(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		hold := make(chan struct{})
		pid := spawn(e, "wedged", func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started:
				extra := map[string]string{"user": "deploy"}
				actors.Describe(ctx, actors.Facts{State: "ready", Bytes: actors.Bytes{In: 1, Out: 2}, Extra: extra})
				extra["user"] = "changed" // must not be seen
			case *wait:
				<-m.until
			}
		})
		born := time.Now()
		e.System.Send(pid, &ask{})
		e.System.Send(pid, &wait{hold})
		for range 3 {
			e.System.Send(pid, &ask{})
		}
		time.Sleep(90 * time.Second)
		want := []census.Node{{
			Path: "wedged", Kind: "test", State: "ready", Queued: 3, Handled: 2, LastMessage: "*actors_test.wait",
			Busy: 90 * time.Second, BytesIn: 1, BytesOut: 2, Born: born, Extra: map[string]string{"user": "deploy"},
		}}
		if diff := cmp.Diff(want, e.System.Census().Snapshot()); diff != "" {
			t.Errorf("snapshot mismatch (-want +got):\n%s", diff)
		}
		close(hold)
		actorstest.Settle()
		node := e.System.Census().Snapshot()[0]
		if node.Queued != 0 || node.Handled != 5 || node.Busy != 0 {
			t.Errorf("got %+v, want nothing queued, 5 handled, idle", node)
		}
	})
}

// A queue that grows long is told once per doubling, with the sender's path.
func TestLongQueuesAreTold(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		hold := make(chan struct{})
		pid := spawn(e, "slow", func(ctx actor.Context) {
			if m, ok := ctx.Message().(*wait); ok {
				<-m.until
			}
		})
		flood := e.Probe("flood")
		e.System.Send(pid, &wait{hold})
		actorstest.Settle()
		for range 5000 {
			flood.Request(pid, &ask{})
		}
		told := e.Logs.FilterMessage("long queue").All()
		if len(told) != 3 || told[0].ContextMap()["queued"] != int64(1024) || told[0].ContextMap()["sender"] != "flood" {
			t.Errorf("told %d times: %v, want at 1024, 2048 and 4096, with the sender", len(told), told)
		}
		close(hold)
	})
}

// The context is the house's own, through and through.
func TestForeignContextsAreRefused(t *testing.T) {
	value := caught(func() { actors.SystemOf(nil) })
	if fault, ok := value.(actors.Fault); !ok || fault.Class != actors.ClassMisuse {
		t.Errorf("got %v, want a misuse fault", value)
	}
}

func BenchmarkRequest(b *testing.B) {
	s := actors.NewSystem(actors.Options{})
	pid, err := s.SpawnRoot(actors.Spec{Kind: "echo", New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if m, ok := ctx.Message().(*ask); ok {
				ctx.Respond(m)
			}
		})
	}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	message := &ask{}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Request(ctx, pid, message); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Stop(ctx); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkSend(b *testing.B) {
	s := actors.NewSystem(actors.Options{})
	done := make(chan struct{})
	want, got := 0, 0
	pid, err := s.SpawnRoot(actors.Spec{Kind: "sink", New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *ask:
				got++
			case *wait:
				close(m.until)
			}
		})
	}})
	if err != nil {
		b.Fatal(err)
	}
	message := &ask{}
	b.ReportAllocs()
	for b.Loop() {
		s.Send(pid, message)
		want++
	}
	s.Send(pid, &wait{done})
	<-done
	if got != want {
		b.Errorf("got %d messages, want %d", got, want)
	}
	if err := s.Stop(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// An idle actor costs little more than the engine asks for; ten thousand hops must fit into one process.
func TestIdleActorsAreSmall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	const n, limit = 20000, 4096
	s := actors.NewSystem(actors.Options{})
	born := make(chan struct{})
	measure := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := measure()
	_, err := s.SpawnRoot(actors.Spec{Kind: "parent", New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				for i := range n {
					mustSpawn(ctx, fmt.Sprint("child", i), func(actor.Context) {})
				}
				close(born)
			}
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	<-born
	each := (measure() - before) / n
	t.Logf("%d bytes each", each)
	if each > limit {
		t.Errorf("an idle actor takes %d bytes, want at most %d", each, limit)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
