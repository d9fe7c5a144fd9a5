package target

import (
	"testing"
	"time"
)

func TestADelayAloneLimitsNothing(t *testing.T) {
	p := pacer{delay: 185 * time.Millisecond}
	now := time.Unix(1000, 0)
	for n := range 100_000 {
		if due, ok := p.due(now, 1514); !ok || due.Sub(now) != 185*time.Millisecond {
			t.Fatalf("frame %d: due after %v, %v", n, due.Sub(now), ok)
		}
	}
}

func TestARateSpacesFramesAndLosesWhatIsTooMuch(t *testing.T) {
	p := pacer{delay: 10 * time.Millisecond, rate: 100_000}
	now := time.Unix(1000, 0)
	first, _ := p.due(now, 1000)
	second, _ := p.due(now, 1000)
	if first.Sub(now) != 20*time.Millisecond || second.Sub(first) != 10*time.Millisecond {
		t.Errorf("due after %v and %v", first.Sub(now), second.Sub(now))
	}
	sent := 2
	for {
		if _, ok := p.due(now, 1000); !ok {
			break
		}
		sent++
	}
	if want := int(backlog/(10*time.Millisecond)) + 1; sent != want {
		t.Errorf("%d frames were taken at once, want %d", sent, want)
	}
	if _, ok := p.due(now.Add(20*time.Millisecond), 1000); !ok {
		t.Error("a frame was lost though there was room again")
	}
}
