package census_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"spindle/actors/census"
)

func paths(c *census.Census) []string {
	var paths []string
	for _, n := range c.Snapshot() {
		paths = append(paths, n.Path)
	}
	return paths
}

func TestSnapshotPutsParentsBeforeChildren(t *testing.T) {
	want := []string{"bridge", "bridge/session", "bridge-old", "tree", "tree/a", "tree/a/b", "tree/a/b/c", "tree/a~2", "tree/b"}
	c := census.New()
	for _, i := range rand.Perm(len(want)) {
		c.Add(want[i], "test")
	}
	if diff := cmp.Diff(want, paths(c)); diff != "" {
		t.Errorf("order mismatch (-want +got):\n%s", diff)
	}
}

func TestNamesakesAreApart(t *testing.T) {
	c := census.New()
	first, second := c.Add("a", "old"), c.Add("a", "new")
	if c.Len() != 2 {
		t.Fatalf("%d alive, want 2", c.Len())
	}
	c.Remove(first, "")
	c.Remove(first, "")
	if nodes := c.Snapshot(); c.Len() != 1 || len(nodes) != 1 || nodes[0].Kind != "new" {
		t.Errorf("got %+v, want the new one alone", nodes)
	}
	c.Remove(second, "")
	if c.Len() != 0 {
		t.Errorf("%d alive, want none", c.Len())
	}
}

func TestNodeShowsFactsOverSeam(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := census.New()
		e := c.Add("tree/web1", "hop")
		check := func(want census.Node) {
			t.Helper()
			want.Path, want.Kind, want.Born = "tree/web1", "hop", time.Now().Truncate(time.Hour)
			got := c.Snapshot()[0]
			got.Born = want.Born
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("node mismatch (-want +got):\n%s", diff)
			}
		}
		check(census.Node{State: "starting"})
		e.SetPhase(census.Running)
		e.Describe(census.Facts{State: "dialing", Extra: map[string]string{"via": "bastion"}})
		e.Queue()
		e.Queue()
		e.Unqueue()
		e.Handled()
		e.Begin(&time.Time{})
		e.Fail("link lost")
		time.Sleep(3 * time.Second)
		check(census.Node{
			State: "dialing", Queued: 1, Handled: 1, LastMessage: "*time.Time", LastError: "link lost",
			Busy: 3 * time.Second, Extra: map[string]string{"via": "bastion"},
		})
		e.End()
		e.Restarted()
		e.Describe(census.Facts{State: "ready", LastError: "refused", Bytes: census.Bytes{In: 3, Out: 4}})
		check(census.Node{
			State: "ready", Queued: 1, Handled: 1, Restarts: 1, LastMessage: "*time.Time", LastError: "refused",
			BytesIn: 3, BytesOut: 4,
		})
		e.SetPhase(census.Stopping)
		if got := c.Snapshot()[0].State; got != "stopping" {
			t.Errorf("state of a stopping actor = %q", got)
		}
	})
}

func TestSnapshotIsACopy(t *testing.T) {
	c := census.New()
	c.Add("a", "test").Describe(census.Facts{Extra: map[string]string{"k": "v"}})
	c.Snapshot()[0].Extra["k"] = "changed"
	if got := c.Snapshot()[0].Extra["k"]; got != "v" {
		t.Errorf("a reader changed the census: %q", got)
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := census.New()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Wait(ctx); err != nil {
			t.Errorf("nobody alive: %v", err)
		}
		var entries []*census.Entry
		for i := range 10 {
			entries = append(entries, c.Add(fmt.Sprint("actor", i), "test"))
		}
		go func() {
			time.Sleep(time.Second)
			for _, e := range entries[1:] {
				c.Remove(e, "")
			}
		}()
		err := c.Wait(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 still alive: actor0 (starting)") {
			t.Errorf("Wait = %v, want a timeout that names actor0", err)
		}
		go func() {
			time.Sleep(time.Second)
			c.Remove(entries[0], "")
		}()
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := c.Wait(ctx); err != nil || time.Since(start) != time.Second {
			t.Errorf("Wait = %v after %v, want nil after 1s", err, time.Since(start))
		}
	})
}

func TestEvents(t *testing.T) {
	c := census.New()
	if got := c.Events(0); got != nil {
		t.Errorf("an empty census has events: %v", got)
	}
	e := c.Add("a", "test")
	c.Record(census.Failed, "a", "test", "defect")
	c.Remove(e, "over")
	var got []string
	for _, event := range c.Events(0) {
		got = append(got, fmt.Sprintf("%d %s %s %s", event.Seq, event.Type, event.Path, event.Text))
	}
	if diff := cmp.Diff([]string{"1 spawned a ", "2 failed a defect", "3 stopped a over"}, got); diff != "" {
		t.Errorf("events mismatch (-want +got):\n%s", diff)
	}
	if got := c.Events(2); len(got) != 1 || got[0].Seq != 3 {
		t.Errorf("Events(2) = %v, want the third alone", got)
	}
	for _, after := range []uint64{3, 4, 1 << 63} {
		if got := c.Events(after); got != nil {
			t.Errorf("Events(%d) = %v, want none", after, got)
		}
	}
}

func TestTheRingKeepsTheLatest(t *testing.T) {
	c := census.New()
	const n = census.RingSize*2 + 100
	for i := range n {
		c.Record(census.Failed, fmt.Sprint(i+1), "", "")
	}
	events := c.Events(0)
	if len(events) != census.RingSize {
		t.Fatalf("%d kept, want %d", len(events), census.RingSize)
	}
	for i, e := range events {
		if want := uint64(n - census.RingSize + i + 1); e.Seq != want || e.Path != fmt.Sprint(want) {
			t.Fatalf("event %d is number %d of %s, want %d", i, e.Seq, e.Path, want)
		}
	}
}

func TestNextEventsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := census.New()
		got := make(chan census.Event)
		for range 3 {
			go func() {
				events, err := c.NextEvents(t.Context(), 0)
				if err != nil {
					t.Error(err)
				}
				got <- events[0]
			}()
		}
		synctest.Wait()
		c.Record(census.Lost, "a", "pump", "")
		for range 3 {
			if e := <-got; e.Type != census.Lost {
				t.Errorf("got %v, want lost", e)
			}
		}
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(cause) })
		if _, err := c.NextEvents(ctx, 1); !errors.Is(err, cause) {
			t.Errorf("got %v, want the cause", err)
		}
	})
}

// What "spindle tree --json" prints is an interface.
func TestJSON(t *testing.T) {
	born := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	got, err := json.Marshal(census.Node{
		Path: "tree/web1", Kind: "hop", State: "ready", Queued: 1, Handled: 2, Restarts: 3, LastMessage: "*x.Y",
		LastError: "e", Busy: 4, BytesIn: 5, BytesOut: 6, Born: born, Extra: map[string]string{"k": "v"},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"path":"tree/web1","kind":"hop","state":"ready","queued":1,"handled":2,"restarts":3,"last_message":"*x.Y",` +
		`"last_error":"e","busy":4,"bytes_in":5,"bytes_out":6,"born":"2026-01-02T03:04:05Z","extra":{"k":"v"}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("node mismatch (-want +got):\n%s", diff)
	}
	event := census.Event{Seq: 1, At: born, Type: census.DeadLetter, Path: "a", Kind: "k", Text: "*x.Y"}
	got, err = json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	const wantEvent = `{"seq":1,"at":"2026-01-02T03:04:05Z","type":"dead_letter","path":"a","kind":"k","text":"*x.Y"}`
	if diff := cmp.Diff(wantEvent, string(got)); diff != "" {
		t.Errorf("event mismatch (-want +got):\n%s", diff)
	}
	var back census.Event
	if err := json.Unmarshal(got, &back); err != nil || back != event {
		t.Errorf("Unmarshal = %+v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"type":"nonsense"}`), &back); err == nil {
		t.Error("nonsense is an event type")
	}
}

// Written and read from many goroutines at once; the race detector is the judge.
func TestConcurrentUse(t *testing.T) {
	c := census.New()
	var writers, readers sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				c.Snapshot()
				c.Events(0)
			}
		})
	}
	for w := range 4 {
		writers.Go(func() {
			for i := range 200 {
				e := c.Add(fmt.Sprintf("w%d/%d", w, i), "test")
				e.SetPhase(census.Running)
				e.Queue()
				e.Begin(i)
				e.Describe(census.Facts{State: "busy", Extra: map[string]string{"i": fmt.Sprint(i)}})
				e.Fail("x")
				e.End()
				e.Unqueue()
				c.Remove(e, "")
			}
		})
	}
	writers.Wait()
	cancel()
	readers.Wait()
	if got := paths(c); got != nil {
		t.Errorf("left behind: %v", got)
	}
}
