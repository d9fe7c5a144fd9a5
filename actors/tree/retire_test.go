package tree

import (
	"errors"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"spindle/actors"
	"spindle/actors/tree/treetest"
	"spindle/transports/wire"
)

// closureBench is a hop whose blobs service says nothing: the test does, in its place, and is told what it is asked.
func closureBench(t *testing.T, far func(*treetest.FarEnd)) (*bench, *HopReady, chan any) {
	b := newBench(t, Heartbeat{})
	asked := make(chan any, 10)
	blobs, err := b.sys.SpawnRoot(actors.Spec{Kind: "service", Name: "blobs", New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *Fetch, *Load:
				asked <- m
			}
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	root, err := b.sys.SpawnRoot(actors.Spec{Kind: "tree", Name: "silent", New: Spec(&Config{
		Logger: zap.NewNop(), Program: b.program, Blobs: blobs, Transfers: b.service,
	}).New})
	if err != nil {
		t.Fatal(err)
	}
	return b, b.open(root, "ssh:web1", far), asked
}

func askedFor[T any](t *testing.T, asked chan any) T {
	t.Helper()
	select {
	case m := <-asked:
		if got, ok := m.(T); ok {
			return got
		}
		t.Fatalf("asked for %T", m)
	case <-time.After(10 * time.Second):
		t.Fatal("asked for nothing")
	}
	panic("unreachable")
}

// An interpreter that retires while content is on its way goes when that has come, or will not.
func TestRetiringBehindAFetch(t *testing.T) {
	content := []byte("content")
	closure, digest := wire.Sum([]byte("closure")), wire.Sum(content)
	call := &Invoke{Key: 1, Call: wire.Call{Op: "module", Closure: closure, HasClosure: true}}
	cases := []struct {
		name    string
		abort   bool
		answers []any
		status  wire.Status
	}{
		{"unknown", false, []any{&Unknown{Closure: closure}}, wire.StatusUnknownClosure},
		{"failed", false, []any{&actors.Failed{Path: "blobs", Err: errors.New("no")}}, wire.StatusFault},
		{"nothing lacks", true, []any{&Fetched{Closure: closure}}, wire.StatusCancelled},
		{"loaded", true, []any{
			&Fetched{Closure: closure, Blobs: []BlobSize{{Digest: digest, Size: len(content)}}},
			&Loaded{Closure: closure, Blobs: []*Blob{{Digest: digest, Size: len(content), Content: content}}},
		}, wire.StatusCancelled},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, hop, asked := closureBench(t, treetest.UntilGone)
			b.sys.Send(b.client, &watch{hop.Hop})
			b.say(hop.Interpreter, call)
			askedFor[*Fetch](t, asked)
			done := func() {
				if d := expect[*Done](b); d.Result.Status != c.status {
					t.Errorf("%+v", d.Result)
				}
			}
			if c.abort {
				b.say(hop.Interpreter, &Abort{Key: 1, Reason: "enough"})
				done()
			}
			b.sys.Send(hop.Interpreter, &Retire{})
			for i, m := range c.answers {
				if i > 0 {
					askedFor[*Load](t, asked)
				}
				b.sys.Send(hop.Interpreter, m)
			}
			if !c.abort {
				done()
			}
			expect[*actor.Terminated](b)
		})
	}
}

// What is on its way for a call that has been given up is not asked for again.
func TestAFetchThatNobodyWaitsForIsNotRepeated(t *testing.T) {
	b, hop, asked := closureBench(t, treetest.UntilGone)
	closure := wire.Sum([]byte("closure"))
	for key := range uint32(2) {
		b.say(hop.Interpreter, &Invoke{Key: key, Call: wire.Call{Op: "module", Closure: closure, HasClosure: true}})
		b.say(hop.Interpreter, &Abort{Key: key, Reason: "enough"})
		expect[*Done](b)
	}
	askedFor[*Fetch](t, asked)
	b.sys.Send(b.client, &watch{hop.Hop})
	b.sys.Send(hop.Interpreter, &Retire{})
	b.sys.Send(hop.Interpreter, &Fetched{Closure: closure})
	expect[*actor.Terminated](b)
	if len(asked) > 0 {
		t.Errorf("asked for %T as well", <-asked)
	}
}

// An agent has its whole grace, however long those below it took of theirs.
func TestEachHalfOfADrainHasItsGrace(t *testing.T) {
	b := newBench(t, Heartbeat{})
	below, said := make(chan struct{}), make(chan string, 1)
	login := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
		<-below
		time.Sleep(drainGrace / 3)
		bye, _ := f.Next().Header.(wire.Bye)
		said <- bye.Reason
	})
	b.open(login.Interpreter, "sudo:root", func(f *treetest.FarEnd) {
		time.Sleep(drainGrace * 3 / 4) // its link ends when it reads its BYE
		f.Next()
		close(below)
	})
	b.sys.Send(b.client, &watch{login.Hop})
	b.sys.Send(b.tree, &Drain{Reason: "test"})
	expect[*actor.Terminated](b)
	if got := <-said; got != "drain" {
		t.Errorf("the agent's link ended ahead of its time: BYE with %q", got)
	}
}

// What a requester may send unasked of a call's input is not lost while the agent is given the closure.
func TestInputThatComesAheadOfAClosure(t *testing.T) {
	b, hop, asked := closureBench(t, func(f *treetest.FarEnd) {
		call := f.Next()
		var body []byte
		for in := f.Next(); ; in = f.Next() {
			if _, ended := in.Header.(wire.EOF); ended {
				break
			}
			body = append(body, in.Body...)
		}
		f.Send(call.ID, wire.Result{OutLen: len(body)}, body)
		treetest.UntilGone(f)
	})
	closure := wire.Sum([]byte("closure"))
	b.say(hop.Interpreter, &Invoke{Key: 1, Call: wire.Call{Op: "module", Closure: closure, HasClosure: true, Flags: wire.FlagMore}})
	askedFor[*Fetch](t, asked)
	for _, m := range []*Input{{Key: 1, Data: []byte("what is ")}, {Key: 1, Data: []byte("sent ahead")}, {Key: 1, EOF: true}} {
		b.say(hop.Interpreter, m)
	}
	other := wire.Sum([]byte("other"))
	b.say(hop.Interpreter, &Invoke{Key: 2, Call: wire.Call{Op: "module", Closure: other, HasClosure: true}})
	askedFor[*Fetch](t, asked) // so all that was said before has arrived
	b.sys.Send(hop.Interpreter, &Fetched{Closure: closure})
	if d := expect[*Done](b); d.Result.Status != wire.StatusOK || string(d.Body) != "what is sent ahead" {
		t.Errorf("%+v %q", d.Result, d.Body)
	}
}
