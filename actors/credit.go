package actors

import (
	"errors"
	"fmt"
)

// ErrCredit says that a peer broke the rules of credit: it sent more than was granted, or granted more than can be.
var ErrCredit = errors.New("credit exceeded")

// MaxCredit bounds what can be open at a time. A peer that grants more is not counting.
const MaxCredit = 1 << 40

// Credit is the sender's side of a flow: how many bytes may still be sent (G4). It is plain data; the zero value may
// send nothing.
type Credit struct {
	open int64
	sent int64
}

// NewCredit starts with what both sides know to be open.
func NewCredit(initial int) Credit { return Credit{open: int64(max(initial, 0))} }

// Open is how many bytes may be sent now.
func (c *Credit) Open() int { return int(c.open) }

// Sent is how many bytes were sent so far.
func (c *Credit) Sent() int64 { return c.sent }

// Spend takes n bytes for sending. It reports false, and takes nothing, if that is more than is open.
func (c *Credit) Spend(n int) bool {
	if n < 0 || int64(n) > c.open {
		return false
	}
	c.open -= int64(n)
	c.sent += int64(n)
	return true
}

// Grant adds what the receiver has granted. A grant that is not positive, or beyond all reason, is a protocol error.
func (c *Credit) Grant(n int) error {
	if n <= 0 || int64(n) > MaxCredit-c.open {
		return fmt.Errorf("grant of %d with %d open: %w", n, c.open, ErrCredit)
	}
	c.open += int64(n)
	return nil
}

// Allowance is the receiver's side of a flow: how much the sender may still send, how much is held here, and when to
// grant more. Granted but not yet received, plus received but not yet passed on, never exceeds the window (G4); what is
// due is granted half a window at a time, so a sender gets on for certain only if it sends at most half a window at once.
// It is plain data; the zero value allows nothing.
type Allowance struct {
	window   int64 // the most that may be open and held together
	open     int64 // granted, not yet received
	held     int64 // received, not yet passed on
	received int64 // in all
}

// NewAllowance starts with what both sides know to be open.
func NewAllowance(initial int) Allowance {
	n := int64(max(initial, 0))
	return Allowance{window: n, open: n}
}

// Window is the most that may be open and held together.
func (a *Allowance) Window() int { return int(a.window) }

// Open is how much the sender may still send.
func (a *Allowance) Open() int { return int(a.open) }

// Held is how much was received and not yet passed on.
func (a *Allowance) Held() int { return int(a.held) }

// Received is how much was received in all.
func (a *Allowance) Received() int64 { return a.received }

// Receive counts n bytes in. More than was granted is a protocol error, and counts nothing.
func (a *Allowance) Receive(n int) error {
	if n < 0 || int64(n) > a.open {
		return fmt.Errorf("%d bytes with %d open: %w", n, a.open, ErrCredit)
	}
	a.open -= int64(n)
	a.held += int64(n)
	a.received += int64(n)
	return nil
}

// Pass counts n bytes as passed on, and returns what to grant the sender now: 0 while less than half a window is due.
func (a *Allowance) Pass(n int) (grant int) {
	a.held -= min(max(int64(n), 0), a.held)
	return a.due(a.window / 2)
}

// Resize changes the window and returns what to grant at once. A smaller window takes nothing back: nothing is granted
// until the rest has drained.
func (a *Allowance) Resize(window int) (grant int) {
	a.window = int64(max(window, 0))
	return a.due(1)
}

// due grants what is missing to the window, if that is at least least.
func (a *Allowance) due(least int64) int {
	missing := a.window - a.open - a.held
	if missing < max(least, 1) {
		return 0
	}
	a.open += missing
	return int(missing)
}
