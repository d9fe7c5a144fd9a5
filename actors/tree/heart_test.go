package tree

import (
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"spindle/actors/actorstest"
	"spindle/actors/tree/treetest"
	"spindle/transports"
	"spindle/transports/wire"
)

// A round trip is never less than nothing, whatever the wall clock does and whatever an agent answers.
func TestRoundTripsAreMeasuredByWhatWasAsked(t *testing.T) {
	b := newBench(t, Heartbeat{})
	hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
		fr, err := wire.NewReader(f.Conn).Next()
		ping, ok := fr.Header.(wire.Ping)
		if err != nil || !ok || ping.Stamp < 0 || time.Duration(ping.Stamp) > time.Hour {
			t.Errorf("got %+v, %v, want a PING whose stamp counts from the start", fr, err)
		}
		for _, stamp := range []int64{ping.Stamp + int64(time.Hour), -1, ping.Stamp, ping.Stamp} {
			f.Send(0, wire.Ping{Reply: true, Stamp: stamp}, nil)
		}
		treetest.UntilGone(f)
	})
	for range 2 {
		b.say(hop.Interpreter, &measureTrip{})
		if m := expect[*tripMeasured](b); m.trip <= 0 || m.trip > time.Minute {
			t.Errorf("a round trip of %v", m.trip)
		}
	}
}

// The longest that may be set is a duration still, also some times over.
func TestSilencesThatAreAsGoodAsNever(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		beat Heartbeat
		want time.Duration
	}{
		{Heartbeat{Interval: day, Misses: 10}, 10 * day},
		{Heartbeat{Interval: day, Misses: 86400}, silenceMost},
		{Heartbeat{Interval: 30 * time.Second, Misses: 86400}, 30 * day},
	} {
		if got := tt.beat.Silence(); got != tt.want || 4*got < got {
			t.Errorf("%+v: %v, want %v", tt.beat, got, tt.want)
		}
	}
}

func TestUnansweredQuestionsAreForgotten(t *testing.T) {
	var h heart
	first := h.ask(0).Header.(wire.Ping).Stamp
	for range 10 * questionsMost {
		h.ask(0)
	}
	if len(h.asked) != questionsMost || h.answered(first) || h.least != 0 {
		t.Errorf("%d are kept, and the least trip is %v", len(h.asked), h.least)
	}
	time.Sleep(time.Millisecond)
	if last := h.asked[questionsMost-1].stamp; !h.answered(last) || h.least < time.Millisecond || len(h.asked) != 0 {
		t.Errorf("the least trip is %v, and %d are kept", h.least, len(h.asked))
	}
}

// What a slow line has yet to carry may take it longer than a link may be silent: it is waited for, at 2 KiB a second, and not without end.
func TestASlowLineIsWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		bytes int
		quiet time.Duration // how long nothing that was sent arrives; 0: for ever
		lost  time.Duration // when the link is given up; 0: never
	}{
		"little":                   {100, 0, 40 * time.Second},
		"64 KiB":                   {64 << 10, 0, 70 * time.Second},
		"64 KiB, within 60 s":      {64 << 10, 60 * time.Second, 0},
		"a mebibyte":               {1 << 20, 0, 130 * time.Second},
		"a mebibyte, within 110 s": {1 << 20, 110 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			actorstest.Bubble(t, func(e *actorstest.Env) {
				var wg sync.WaitGroup
				dialer := &treetest.Dialer{T: e.T, Label: "ssh:web1", Joined: &wg, Play: func(f *treetest.FarEnd) {
					f.Next() // the call
					if c.quiet == 0 {
						treetest.Mute(f)
						return
					}
					time.Sleep(c.quiet)
					treetest.UntilGone(f)
				}}
				root := e.Spawn(Spec(&Config{Logger: zap.NewNop(), Program: func(Boot) transports.Program { return transports.Program{} }}))
				probe := e.Probe("client")
				probe.Request(root, &OpenHop{Hop: &Hop{Key: "k", Dialer: dialer}, Report: probe.PID()})
				hop := actorstest.Expect[*HopReady](probe)
				probe.Request(hop.Interpreter, &Invoke{Key: 1, Call: wire.Call{Op: "exec"}, Body: make([]byte, c.bytes)})
				if c.lost == 0 {
					time.Sleep(5 * time.Minute)
					probe.ExpectNone()
				} else {
					time.Sleep(c.lost - time.Second)
					probe.ExpectNone()
					time.Sleep(2 * time.Second)
					if d := actorstest.Expect[*Done](probe); d.Result.Status != wire.StatusUnreachable || !strings.Contains(d.Result.Text, "no sign of life") {
						e.Errorf("%+v", d.Result)
					}
				}
			})
		})
	}
}
