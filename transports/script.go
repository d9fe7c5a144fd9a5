package transports

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Script is what a program may ask and complain about before the agent comes up. Patterns are looked for on the link's
// Side (stderr or the terminal), or on stdout if there is no Side because all streams are one terminal.
type Script struct {
	// Lead, if set, is written to stdin at once, with a newline behind it, ahead of everything else: what a program reads that
	// stands in front of the one that is to be started. It must have no newline in it.
	Lead Secret
	// Prompts are tried in order.
	Prompts []Prompt
	// Failures are tried in order, ahead of Prompts for a line that has ended.
	Failures []Failure
	// Class is that of every error of this conversation.
	Class Class
	// Tell hands what was said before the agent came up to Booted.Said: the user has asked for it.
	Tell bool
	// Waits has a command line without an agent be sent only when the shell that runs it was heard, which takes a round trip:
	// what starts it may lose what a program has said that ended soon.
	Waits bool
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
	// Explain, if not nil, has the last word on the error of a start or a conversation that failed.
	Explain func(error) error
}

// Dial carries the plan out.
func (pl Plan) Dial(ctx context.Context, via Spawner, p Program) (*Booted, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, pl.Script.timeout(), errDeadline)
	defer cancel()
	link, mode, err := pl.spawn(ctx, via)
	if err != nil {
		return nil, pl.explained(pl.Script.spawnFailed(ctx, err))
	}
	c := newConversation(link, pl.Script, p)
	c.typeIn = pl.typesIn(mode)
	b, err := c.converse(ctx)
	if err != nil {
		return nil, pl.explained(pl.startFailedFar(err))
	}
	b.How, b.Why = pl.How, pl.Why
	return b, nil
}

func (pl Plan) explained(err error) error {
	if pl.Explain == nil {
		return err
	}
	return pl.Explain(err)
}

// spawn starts the program with the streams that come nearest to those that the plan is made for.
func (pl Plan) spawn(ctx context.Context, via Spawner) (link Link, mode Mode, err error) {
	c := pl.Command
	for _, c.Mode = range pl.modes() {
		if link, err = via.Spawn(ctx, c); !errors.Is(err, errors.ErrUnsupported) {
			break
		}
	}
	return link, c.Mode, err
}

// modes are the kinds of streams that will do, the best first. An SSH session has no terminal beside its streams, and a
// container's may have none at all.
func (pl Plan) modes() []Mode {
	switch {
	case pl.Command.Mode != ControlTTY:
		return []Mode{pl.Command.Mode}
	case pl.answers():
		return []Mode{ControlTTY, FullTTY, Pipes}
	}
	return []Mode{ControlTTY, Pipes, FullTTY}
}

// typesIn says whether answers have to be typed into stdin, since there is no terminal that they would be read from.
func (pl Plan) typesIn(mode Mode) bool {
	return pl.Command.Mode != Pipes && mode == Pipes && pl.answers()
}

// answers says whether there is a password that may have to be typed.
func (pl Plan) answers() bool {
	return slices.ContainsFunc(pl.Script.Prompts, func(p Prompt) bool { return p.Answer.IsSet() && !p.Public })
}

// startFailedFar gives the error of a spawner that learns of a missing program, or a missing terminal, by its exit alone the
// same text as that of others.
func (pl Plan) startFailedFar(err error) error {
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 127 || exit.Text == "" {
		return err
	}
	if strings.HasPrefix(exit.Text, textPTY) {
		return &ConnectError{Class: pl.Script.Class, Text: exit.Text + advicePTY, Err: err}
	}
	start := StartError(pl.Command.Argv, errors.New(exit.Text))
	start.Class, start.Err = pl.Script.Class, err
	return start
}
