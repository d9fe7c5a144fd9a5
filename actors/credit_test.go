package actors_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"spindle/actors"
)

// Guarantee G4: a sender and a receiver with bytes and grants on the way between them, in any order of events. Nothing
// is sent without credit, nothing beyond the window is ever under way or held, and whoever can send gets to.
func TestG4_NoByteWithoutCredit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		initial := rapid.IntRange(1, 64).Draw(t, "initial")
		sender, receiver := actors.NewCredit(initial), actors.NewAllowance(initial)
		largest := initial // the largest window so far
		var chunks, grants []int
		flying := func() (n int) {
			for _, c := range chunks {
				n += c
			}
			return n
		}
		returning := func() (n int) {
			for _, g := range grants {
				n += g
			}
			return n
		}
		grant := func(n int) {
			if n > 0 {
				grants = append(grants, n)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				n := rapid.IntRange(0, 100).Draw(t, "n")
				before := sender.Open()
				if ok := sender.Spend(n); ok != (n <= before) {
					t.Fatalf("Spend(%d) with %d open = %v", n, before, ok)
				} else if ok {
					chunks = append(chunks, n)
				}
			},
			"deliver": func(t *rapid.T) {
				if len(chunks) == 0 {
					t.Skip("nothing under way")
				}
				if err := receiver.Receive(chunks[0]); err != nil {
					t.Fatal(err)
				}
				chunks = chunks[1:]
			},
			"pass": func(t *rapid.T) {
				grant(receiver.Pass(rapid.IntRange(0, receiver.Held()).Draw(t, "n")))
			},
			"return": func(t *rapid.T) {
				if len(grants) == 0 {
					t.Skip("no grant under way")
				}
				if err := sender.Grant(grants[0]); err != nil {
					t.Fatal(err)
				}
				grants = grants[1:]
			},
			"resize": func(t *rapid.T) {
				window := rapid.IntRange(1, 256).Draw(t, "window")
				largest = max(largest, window)
				grant(receiver.Resize(window))
			},
			"cheat": func(t *rapid.T) {
				n := receiver.Open() + rapid.IntRange(1, 100).Draw(t, "excess")
				if err := receiver.Receive(n); !errors.Is(err, actors.ErrCredit) {
					t.Fatalf("Receive(%d) = %v, want ErrCredit", n, err)
				}
			},
			"": func(t *rapid.T) {
				if sender.Open() < 0 || receiver.Open() < 0 || receiver.Held() < 0 {
					t.Fatalf("negative: %+v %+v", sender, receiver)
				}
				if sum := sender.Open() + flying() + returning(); sum != receiver.Open() {
					t.Fatalf("sender, wire and grants add up to %d, receiver has %d open", sum, receiver.Open())
				}
				if sum := receiver.Open() + receiver.Held(); sum > largest {
					t.Fatalf("%d bytes open or held, the window was never above %d", sum, largest)
				}
				// Once all is delivered, passed on and returned, at least half the window is open again.
				idle := len(chunks) == 0 && len(grants) == 0 && receiver.Held() == 0
				if idle && 2*sender.Open() < receiver.Window() {
					t.Fatalf("stuck: %d open of a window of %d", sender.Open(), receiver.Window())
				}
			},
		})
	})
}

func TestG4_UnreasonableGrantsAreRefused(t *testing.T) {
	for _, n := range []int{0, -1, actors.MaxCredit, 1 << 62} {
		c := actors.NewCredit(10)
		if err := c.Grant(n); !errors.Is(err, actors.ErrCredit) {
			t.Errorf("Grant(%d) = %v, want ErrCredit", n, err)
		}
		if c.Open() != 10 {
			t.Errorf("Grant(%d) left %d open, want 10", n, c.Open())
		}
	}
	c := actors.NewCredit(-5)
	if c.Open() != 0 || c.Spend(-1) || c.Spend(1) || !c.Spend(0) {
		t.Error("a credit of less than nothing can be spent")
	}
}
