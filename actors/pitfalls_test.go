package actors_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"

	"spindle/actors"
	"spindle/actors/actorstest"
	"spindle/actors/census"
)

// Messages queued behind a stop used to vanish: no answer, no dead letter.
func TestP1_RequestsBehindAStopAreAnswered(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		probe := e.Probe("probe")
		hold := make(chan struct{})
		pid := spawn(e, "busy", func(ctx actor.Context) {
			if m, ok := ctx.Message().(*wait); ok {
				<-m.until
			}
		})
		e.System.Send(pid, &wait{hold})
		actorstest.Settle()
		probe.Request(pid, &ask{1})
		probe.Request(pid, &ask{2})
		e.System.Terminate(pid)
		probe.ExpectNone()
		start := time.Now()
		close(hold)
		for range 2 {
			failed := actorstest.Expect[*actors.Failed](probe)
			if !errors.Is(failed, actors.ErrStopped) || failed.Path != "busy" {
				e.Errorf("got %v, want ErrStopped from busy", failed)
			}
		}
		if took := time.Since(start); took != 0 {
			e.Errorf("answers took %v, want none", took)
		}
		if got := count(e, census.DeadLetter, "busy"); got != 2 {
			e.Errorf("got %d dead letters recorded, want 2", got)
		}
	})
}

// A failed actor's mailbox is suspended, and stayed so behind its stop.
func TestP1_RequestsBehindAFailureAreAnsweredWithItsCause(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		probe := e.Probe("probe")
		hold := make(chan struct{})
		parent := spawn(e, "parent", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				mustSpawn(ctx, "child", func(ctx actor.Context) {
					if m, ok := ctx.Message().(*wait); ok {
						<-m.until
						panic(actors.Fault{Class: actors.ClassLink, Err: errors.New("cable pulled")})
					}
				})
			}
		})
		_ = parent
		actorstest.Settle()
		child := e.PID("parent/child")
		e.System.Send(child, &wait{hold})
		actorstest.Settle()
		probe.Request(child, &ask{1})
		close(hold)
		failed := actorstest.Expect[*actors.Failed](probe)
		fault, ok := errors.AsType[actors.Fault](failed)
		if !errors.Is(failed, actors.ErrStopped) || !ok || fault.Class != actors.ClassLink {
			e.Errorf("got %v, want ErrStopped and the fault that caused it", failed)
		}
	})
}

// An actor with children used to get messages between Stopping and Stopped, depending on who was faster.
func TestP1_NoMessageBetweenStoppingAndStopped(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		probe := e.Probe("probe")
		hold := make(chan struct{})
		var seen []string
		pid := spawn(e, "parent", func(ctx actor.Context) {
			seen = append(seen, fmt.Sprintf("%T", ctx.Message()))
			if _, ok := ctx.Message().(*actor.Started); ok {
				mustSpawn(ctx, "slow", func(ctx actor.Context) {
					if _, ok := ctx.Message().(*actor.Stopping); ok {
						<-hold
					}
				})
			}
		})
		actorstest.Settle()
		e.System.Terminate(pid)
		actorstest.Settle()
		probe.Request(pid, &ask{1})
		failed := actorstest.Expect[*actors.Failed](probe)
		if !errors.Is(failed, actors.ErrStopped) {
			e.Errorf("got %v, want ErrStopped while the child still stops", failed)
		}
		close(hold)
		actorstest.Settle()
		want := []string{"*actor.Started", "*actor.Stopping", "*actor.Terminated", "*actor.Stopped"}
		if diff := cmp.Diff(want, seen); diff != "" {
			e.Errorf("messages mismatch (-want +got):\n%s", diff)
		}
	})
}

// A handler's panic never reached whoever had sent the request.
func TestP2_APanicAnswersItsRequest(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		probe := e.Probe("probe")
		pid := spawn(e, "fragile", func(ctx actor.Context) {
			if m, ok := ctx.Message().(*boom); ok {
				panic(m.value)
			}
		})
		probe.Request(pid, &boom{actors.Fault{Class: actors.ClassProtocol, Err: errors.New("frame too large")}})
		failed := actorstest.Expect[*actors.Failed](probe)
		if got, want := failed.Error(), "fragile: protocol error: frame too large"; got != want {
			e.Errorf("got %q, want %q", got, want)
		}
		if err := e.System.Failure(); err == nil {
			e.Error("the failure of a root is not the system's")
		}
	})
}

// A future with two waiters left one of them waiting for ever; and results were written outside the lock (P4).
func TestP3_ManyRequestsAtOnceAllReturn(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		pid := spawn(e, "echo", func(ctx actor.Context) {
			if m, ok := ctx.Message().(*ask); ok {
				ctx.Respond(&reply{m.n})
				ctx.Respond(&reply{-1}) // further answers must not disturb anybody
				ctx.Respond(&reply{-1})
				ctx.Respond(&reply{-1})
			}
		})
		ctx := e.Within(time.Hour)
		var wg sync.WaitGroup
		for n := range 200 {
			wg.Go(func() {
				got, err := e.System.Request(ctx, pid, &ask{n})
				if r, ok := got.(*reply); err != nil || !ok || r.n != n {
					e.Errorf("Request(%d) = %v, %v", n, got, err)
				}
			})
		}
		wg.Wait()
	})
}

// The receive timeout raced with its own timer; what the engine does badly is refused.
func TestP5_P6_P9_WhatTheEngineDoesBadlyIsRefused(t *testing.T) {
	banned := map[string]func(ctx actor.Context){
		"SetReceiveTimeout": func(ctx actor.Context) { ctx.SetReceiveTimeout(time.Second) },
		"ReenterAfter":      func(ctx actor.Context) { ctx.ReenterAfter(nil, nil) },
		"Stash":             func(ctx actor.Context) { ctx.Stash() },
		"RequestFuture":     func(ctx actor.Context) { ctx.RequestFuture(ctx.Self(), 1, time.Second) },
		"StopFuture":        func(ctx actor.Context) { ctx.StopFuture(ctx.Self()) },
		"PoisonFuture":      func(ctx actor.Context) { ctx.PoisonFuture(ctx.Self()) },
		"Spawn":             func(ctx actor.Context) { ctx.Spawn(nil) },
		"SpawnPrefix":       func(ctx actor.Context) { ctx.SpawnPrefix(nil, "x") },
		"SpawnNamed":        func(ctx actor.Context) { _, _ = ctx.SpawnNamed(nil, "x") },
	}
	for name, use := range banned {
		t.Run(name, func(t *testing.T) {
			actorstest.Bubble(t, func(e *actorstest.Env) {
				probe := e.Probe("probe")
				pid := spawn(e, "sinner", func(ctx actor.Context) {
					if _, ok := ctx.Message().(*ask); ok {
						use(ctx)
					}
				})
				probe.Request(pid, &ask{})
				failed := actorstest.Expect[*actors.Failed](probe)
				fault, ok := errors.AsType[actors.Fault](failed)
				if !ok || fault.Class != actors.ClassMisuse || !strings.Contains(fault.Error(), name) {
					e.Errorf("got %v, want a misuse fault naming %s", failed, name)
				}
			})
		})
	}
}

// A clock set by one incarnation must not ring for the next, nor for a namesake.
func TestP6_TimersRingForTheirIncarnationOnly(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		var born, rang int
		service(e, "clock", func() actor.Actor {
			born++
			return actor.ReceiveFunc(func(ctx actor.Context) {
				switch m := ctx.Message().(type) {
				case *actor.Started:
					actors.After(ctx, time.Minute, &ask{born})
				case *ask:
					if m.n != 2 {
						e.Errorf("incarnation %d heard the clock of %d", born, m.n)
					}
					rang++
				case *boom:
					panic(actors.Fault{Class: "test"})
				}
			})
		})
		actorstest.Settle()
		e.System.Send(e.PID("services/clock"), &boom{})
		time.Sleep(2 * time.Minute)
		actorstest.Settle()
		if born != 2 || rang != 1 {
			e.Errorf("born %d times and rang %d times, want 2 and 1", born, rang)
		}
	})
}

// What a pump of a former life has to say comes too late, even if it said it before the restart.
func TestP6_PumpsAreHeardByTheirIncarnationOnly(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		hold := make(chan struct{})
		born, heard := 0, 0
		service(e, "reader", func() actor.Actor {
			born++
			return actor.ReceiveFunc(func(ctx actor.Context) {
				switch ctx.Message().(type) {
				case *actor.Started:
					if born == 1 {
						actors.Go(ctx, "pump", func(context.Context) error { <-hold; return nil })
					}
				case *boom:
					panic(actors.Fault{Class: "test"})
				case *actors.PumpDone:
					heard++
				}
			})
		})
		actorstest.Settle()
		e.System.Send(e.PID("services/reader"), &boom{})
		actorstest.Settle()
		close(hold) // while the actor waits for its restart
		time.Sleep(time.Minute)
		actorstest.Settle()
		if born != 2 || heard != 0 {
			e.Errorf("born %d times, heard %d pumps, want 2 and none", born, heard)
		}
	})
}

// An actor that panicked in Stopping was restarted, and lived on.
func TestP7_APanicWhileEndingDoesNotBringItBack(t *testing.T) {
	for _, moment := range []any{&actor.Stopping{}, &actor.Stopped{}, &actor.Terminated{}} {
		t.Run(fmt.Sprintf("%T", moment), func(t *testing.T) {
			actorstest.Bubble(t, func(e *actorstest.Env) {
				probe := e.Probe("probe")
				var seen []string
				pid := spawn(e, "parent", func(ctx actor.Context) {
					if _, ok := ctx.Message().(*actor.Started); ok {
						mustSpawn(ctx, "clumsy", func(ctx actor.Context) {
							seen = append(seen, fmt.Sprintf("%T", ctx.Message()))
							if _, ok := ctx.Message().(*actor.Started); ok {
								mustSpawn(ctx, "grandchild", func(actor.Context) {})
							}
							if fmt.Sprintf("%T", ctx.Message()) == fmt.Sprintf("%T", moment) {
								panic("clumsy")
							}
						})
					}
				})
				actorstest.Settle()
				child := e.PID("parent/clumsy")
				probe.Watch(child)
				actorstest.Settle()
				e.System.Terminate(child)
				if got := actorstest.Expect[*actor.Terminated](probe); got.Who.Id != child.Id {
					e.Errorf("got the end of %s, want that of %s", got.Who.Id, child.Id)
				}
				want := []string{"*actor.Started", "*actor.Stopping", "*actor.Terminated", "*actor.Stopped"}
				if diff := cmp.Diff(want, seen); diff != "" {
					e.Errorf("life mismatch (-want +got):\n%s", diff)
				}
				if got := count(e, census.Failed, child.Id); got != 1 {
					e.Errorf("got %d failures recorded, want 1", got)
				}
				if diff := cmp.Diff([]string{"parent", "probe"}, e.Paths()); diff != "" {
					e.Errorf("left behind (-want +got):\n%s", diff)
				}
				_ = pid
			})
		})
	}
}

// A restart that arrived behind a stop turned the stop into a restart.
func TestP7_ARestartDoesNotOvertakeAStop(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		var born int
		pid := service(e, "phoenix", func() actor.Actor {
			born++
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*boom); ok {
					panic(actors.Fault{Class: "test"})
				}
			})
		})
		actorstest.Settle()
		e.System.Send(e.PID("services/phoenix"), &boom{})
		actorstest.Settle() // it waits for its restart now
		e.System.Terminate(pid)
		actorstest.Settle()
		if got := e.Paths(); len(got) != 0 {
			e.Errorf("still alive: %v", got)
		}
		time.Sleep(time.Hour)
		actorstest.Settle()
		if born != 1 {
			e.Errorf("born %d times, want once", born)
		}
	})
}

// The same, with the restart on its way when the stop begins.
func TestP7_ARestartBehindAStopIsDropped(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		hold := make(chan struct{})
		var seen []string
		service(e, "phoenix", recorder(&seen, func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started:
				actors.Go(ctx, "slow", func(ctx context.Context) error { <-ctx.Done(); time.Sleep(time.Second); return nil })
			case *actor.Stopping:
				<-hold
			case *boom:
				panic(actors.Fault{Class: "test"})
			}
		}))
		actorstest.Settle()
		e.System.Send(e.PID("services/phoenix"), &boom{})
		actorstest.Settle()
		e.System.Terminate(e.PID("services/phoenix"))
		time.Sleep(time.Second) // the restart comes due in Stopping
		close(hold)
		time.Sleep(time.Minute)
		actorstest.Settle()
		want := []string{"1 *actor.Started", "1 *actors_test.boom", "1 *actor.Stopping", "1 *actor.Stopped"}
		if diff := cmp.Diff(want, seen); diff != "" {
			e.Errorf("life mismatch (-want +got):\n%s", diff)
		}
	})
}

// Watching one's own child brought Terminated twice.
func TestP8_WatchedChildrenEndOnce(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		ends := 0
		spawn(e, "parent", func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started:
				child := mustSpawn(ctx, "child", func(actor.Context) {})
				ctx.Watch(child)
				ctx.Stop(child)
			case *actor.Terminated:
				ends++
			}
		})
		actorstest.Settle()
		if ends != 1 {
			e.Errorf("got Terminated %d times, want once", ends)
		}
	})
}

// The engine's exponential backoff was linear, without a cap, with a jitter of nanoseconds.
func TestP11_PausesDoubleUpToTheCap(t *testing.T) {
	b := actors.Backoff{Initial: 100 * time.Millisecond, Max: time.Second, Jitter: 0.5}
	var whole, half []time.Duration
	for n := 1.0; n <= 6; n++ {
		whole = append(whole, b.Pause(n, 0))
		half = append(half, b.Pause(n, 1))
	}
	ms := time.Millisecond
	if diff := cmp.Diff([]time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, time.Second, time.Second}, whole); diff != "" {
		t.Errorf("pauses mismatch (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]time.Duration{50 * ms, 100 * ms, 200 * ms, 400 * ms, 500 * ms, 500 * ms}, half); diff != "" {
		t.Errorf("shortest pauses mismatch (-want +got):\n%s", diff)
	}
	if got := b.Pause(5000, 0); got != time.Second {
		t.Errorf("Pause(5000) = %v, want the cap", got)
	}
}

// Restarts happen when the pauses say so, and jitter makes them differ.
func TestP11_RestartsWaitAndScatter(t *testing.T) {
	scattered := map[time.Duration]bool{}
	for range 8 {
		actorstest.Bubble(t, func(e *actorstest.Env) {
			var starts []time.Time
			service(e, "flaky", func() actor.Actor {
				return actor.ReceiveFunc(func(ctx actor.Context) {
					if _, ok := ctx.Message().(*actor.Started); ok {
						starts = append(starts, time.Now())
						if len(starts) < 4 {
							panic(actors.Fault{Class: "test"})
						}
					}
				})
			})
			time.Sleep(time.Hour)
			actorstest.Settle()
			if len(starts) != 4 {
				e.Fatalf("started %d times, want 4", len(starts))
			}
			for i, full := range []time.Duration{100, 200, 400} {
				full *= time.Millisecond
				if pause := starts[i+1].Sub(starts[i]); pause > full || pause < full/2 {
					e.Errorf("pause %d was %v, want between %v and %v", i+1, pause, full/2, full)
				}
			}
			scattered[starts[3].Sub(starts[0])] = true
		})
	}
	if len(scattered) < 2 {
		t.Error("eight runs paused alike: no jitter")
	}
}

// The engine's budget of 0 meant "stop at once", and its memory of failures was never trimmed.
func TestP12_TheBudgetIsFiniteAndFades(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		alive := func() bool { return slices.Contains(e.Paths(), "services/flaky") }
		pid := e.PID("services/flaky")
		service(e, "flaky", func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*boom); ok {
					panic(actors.Fault{Class: "test"})
				}
			})
		})
		actorstest.Settle()
		for range 20 { // forgiven for ever, as long as they are rare
			e.System.Send(pid, &boom{})
			time.Sleep(10 * time.Minute)
			actorstest.Settle()
		}
		if !alive() {
			e.Fatal("stopped over failures that should be forgotten")
		}
		for range 6 { // five at a time are forgiven
			e.System.Send(pid, &boom{})
			time.Sleep(3 * time.Second)
			actorstest.Settle()
		}
		if alive() {
			e.Error("still restarted after six failures in a row")
		}
	})
}

// A name used to be free before its owner had ended; a namesake was then never stopped with its parent.
func TestP14_NamesAreTakenUntilTerminatedIsHandled(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		var paths []string
		pid := spawn(e, "parent", func(ctx actor.Context) {
			spawnOne := func() {
				paths = append(paths, mustSpawn(ctx, "child", func(actor.Context) {}).Id)
			}
			switch ctx.Message().(type) {
			case *actor.Started:
				spawnOne()
			case *wait:
				ctx.Stop(e.PID("parent/child"))
				<-ctx.Message().(*wait).until // meanwhile the child ends
				spawnOne()
			case *actor.Terminated:
				spawnOne()
			}
		})
		hold := make(chan struct{})
		e.System.Send(pid, &wait{hold})
		actorstest.Settle()
		close(hold)
		actorstest.Settle()
		if diff := cmp.Diff([]string{"parent/child", "parent/child~2", "parent/child"}, paths); diff != "" {
			e.Errorf("paths mismatch (-want +got):\n%s", diff)
		}
		e.System.Terminate(pid)
		actorstest.Settle()
		if got := e.Paths(); len(got) != 0 {
			e.Errorf("left behind: %v", got)
		}
	})
}

// A nil in a mailbox made it spin for ever; a batch was delivered twice (P16). Both now hurt where they are sent.
func TestP15_P16_NilAndBatchesPanicInTheSender(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		probe := e.Probe("probe")
		sends := map[string]func(){
			"Send nil":       func() { e.System.Send(probe.PID(), nil) },
			"SendAs nil":     func() { e.System.SendAs(probe.PID(), nil, nil) },
			"Request nil":    func() { _, _ = e.System.Request(e.Context(), probe.PID(), nil) },
			"Send batch":     func() { e.System.Send(probe.PID(), batch{}) },
			"envelope batch": func() { e.System.SendAs(probe.PID(), batch{}, nil) },
		}
		for name, send := range sends {
			fault, ok := caught(send).(actors.Fault)
			if !ok || fault.Class != actors.ClassMisuse {
				e.Errorf("%s: got %v, want a misuse fault", name, fault)
			}
		}
		sinner := spawn(e, "sinner", func(ctx actor.Context) {
			if m, ok := ctx.Message().(*ask); ok {
				switch m.n {
				case 0:
					ctx.Send(probe.PID(), nil)
				case 1:
					ctx.Respond(nil)
				}
			}
		})
		probe.Request(sinner, &ask{0})
		if failed := actorstest.Expect[*actors.Failed](probe); !strings.Contains(failed.Error(), "nil is no message") {
			e.Errorf("got %v", failed)
		}
		probe.ExpectNone()
	})
}

type batch struct{}

func (batch) GetMessages() []any { return []any{1, 2} }

// A nil PID was a crash in whoever sent, outside of any supervision.
func TestNobodyIsADeadLetter(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		probe := e.Probe("probe")
		probe.Request(nil, &ask{})
		if failed := actorstest.Expect[*actors.Failed](probe); !errors.Is(failed, actors.ErrStopped) {
			e.Errorf("got %v, want ErrStopped", failed)
		}
		e.System.Send(nil, &ask{})
		e.System.Terminate(nil)
		answered := 0
		spawn(e, "asker", func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started:
				ctx.Send(nil, &ask{})
				ctx.Request(nil, &ask{})
				ctx.Respond(&ask{}) // nobody has asked
			case *actors.Failed:
				answered++
			}
		})
		actorstest.Settle()
		if answered != 1 || e.System.Failure() != nil {
			e.Errorf("answered %d times, failure %v", answered, e.System.Failure())
		}
	})
}
