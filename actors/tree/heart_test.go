package tree

import (
	"testing"
	"time"

	"spindle/actors/tree/treetest"
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

func TestUnansweredQuestionsAreForgotten(t *testing.T) {
	var h heart
	first := h.ask().Header.(wire.Ping).Stamp
	for range 10 * stampsMost {
		h.ask()
	}
	if len(h.stamps) != stampsMost || h.answered(first) || h.least != 0 {
		t.Errorf("%d are kept, and the least trip is %v", len(h.stamps), h.least)
	}
	time.Sleep(time.Millisecond)
	if last := h.stamps[stampsMost-1]; !h.answered(last) || h.least < time.Millisecond || len(h.stamps) != 0 {
		t.Errorf("the least trip is %v, and %d are kept", h.least, len(h.stamps))
	}
}
