package transports

import (
	"context"
	"errors"
	"regexp"
	"time"
)

// Script is what a program may ask and complain about before the agent comes up. Patterns are looked for on the link's
// Side (stderr or the terminal), or on stdout if there is no Side because all streams are one terminal.
type Script struct {
	// Prompts are tried in order.
	Prompts []Prompt
	// Failures are tried in order, ahead of Prompts for a line that has ended.
	Failures []Failure
	// Class is that of every error of this conversation.
	Class Class
	// Timeout bounds the conversation, together with ctx's own deadline; DefaultTimeout if zero.
	Timeout time.Duration
}

// DefaultTimeout holds for dials that set no other.
const DefaultTimeout = 30 * time.Second

// Prompt is one question that a program may ask. It stands in a line that has not ended: the program waits behind it.
type Prompt struct {
	// Name is what Failures know it by.
	Name string
	// Pattern is matched against the end of the unfinished line (its last 1024 bytes). Unless, if not nil, is a reason
	// not to answer yet, or not at all.
	Pattern, Unless *regexp.Regexp
	// Answer is typed, with a newline behind it.
	Answer Secret
	// Public says that Answer is none to be hidden, such as "yes".
	Public bool
	// Required is the error's text if there is no Answer.
	Required string
	// Again is the error's text if the question comes a second time.
	Again string
	// Anywhere looks for it on stdout too.
	Anywhere bool
}

// Failure is a line that says that nothing will come of it.
type Failure struct {
	// Pattern is matched against each whole line, without its end.
	Pattern *regexp.Regexp
	// Partial matches Pattern against unfinished lines too (their last 1024 bytes).
	Partial bool
	// Text is the error's text; the line itself if empty.
	Text string
	// Explain, if not nil, gives the text in place of Text. It is told the line and which prompts have been answered.
	// An empty text means that this line is no failure after all.
	Explain func(line string, answered func(prompt string) bool) string
	// Anywhere looks for it on stdout too.
	Anywhere bool
}

// Plan is a dial that consists of starting one program and conversing with it, as nearly all are.
type Plan struct {
	// Command is what to start; the program to be booted is in its Argv already.
	Command Command
	// Script is how to converse with it. Its Timeout covers the start as well.
	Script Script
	// How and Why go to Booted.
	How, Why string
}

// Dial carries the plan out.
func (pl Plan) Dial(ctx context.Context, via Spawner, p Program) (*Booted, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, pl.Script.timeout(), errDeadline)
	defer cancel()
	link, err := via.Spawn(ctx, pl.Command)
	if err != nil {
		return nil, pl.Script.spawnFailed(ctx, err)
	}
	b, err := Converse(ctx, link, pl.Script, p)
	if err != nil {
		return nil, pl.startFailedFar(err)
	}
	b.How, b.Why = pl.How, pl.Why
	return b, nil
}

// startFailedFar gives the error of a spawner that learns of a missing program by its exit alone the same text as that of
// others.
func (pl Plan) startFailedFar(err error) error {
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 127 || exit.Text == "" {
		return err
	}
	start := StartError(pl.Command.Argv, errors.New(exit.Text))
	start.Class = pl.Script.Class
	return start
}
