package transports

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"al.essio.dev/pkg/shellescape"
)

// The marker lines of a command line: on stderr and then on stdout, each with a nonce behind it. What comes behind them is
// the command's.
const (
	bareSide = "SPINDLE3 "
	bareOut  = "SPINDLE2 "
)

// bareProgram is what stands in an agent's place. The command line comes on stdin, as the first line there, ahead of the
// command's own input: read takes no byte more. So nothing that a user wrote is in anybody's argv, or has to survive the
// quoting of all programs on the way; and no command is run that has not come whole.
func bareProgram(nonce string) []string {
	return []string{"/bin/sh", "-c", fmt.Sprintf(`echo "%s%s" >&2;echo "%s%s";IFS= read -r c&&eval "$c"`, bareSide, nonce, bareOut, nonce)}
}

// bareFlight is the first line of stdin.
func bareFlight(script string) []byte {
	script = "unset c\n" + script
	var b strings.Builder
	b.WriteString(`eval "$(printf %b '`)
	for _, c := range []byte(script) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == ' ', c == '_', c == '-', c == '.', c == '/':
			b.WriteByte(c)
		default: // digits too: one behind an octal number would become part of it
			fmt.Fprintf(&b, `\0%03o`, c)
		}
	}
	b.WriteString("')\"\n")
	return []byte(b.String())
}

// planShell is a [Shell] that carries out a plan for each command.
type planShell struct {
	dialer Planned
	via    Spawner
	mode   Mode // what the plan's program gets, found out when it was opened
	about  About
}

// OpenPlanned opens a way without an agent to the account of d: each command is a program of its own by way of via,
// with the conversation that its plan asks for.
func OpenPlanned(ctx context.Context, d Planned, via Spawner) (Shell, error) {
	plan, err := d.Plan(ctx, via, bareProgram("0"))
	if err != nil {
		return nil, err
	}
	s := &planShell{dialer: d, via: via, about: About{How: plan.How, Why: plan.Why}}
	for _, s.mode = range plan.modes() {
		if s.about.Host, err = AskHost(ctx, s); err == nil {
			return s, nil
		}
		if !errors.Is(err, errors.ErrUnsupported) && (plan.answers() || ctx.Err() != nil) {
			break // a password is for one attempt
		}
	}
	return nil, err
}

func (s *planShell) About() About          { return s.about }
func (s *planShell) Lost() <-chan struct{} { return nil }
func (s *planShell) Close() error          { return nil }

func (s *planShell) Run(ctx context.Context, l Line) (Link, error) {
	script := l.Script()
	switch {
	case s.mode == FullTTY && l.Input < 0:
		return nil, &ConnectError{
			Class: Unreachable, Err: errors.ErrUnsupported,
			Text: "input of unknown length cannot be sent to " + s.dialer.Name() + ", which is on a terminal",
		}
	case s.mode == FullTTY && l.Input > 0:
		script = fmt.Sprintf("head -c %d | {\n%s\n}", l.Input, script)
	case l.Input == 0:
		script = "exec </dev/null\n" + script
	}
	return s.run(ctx, script)
}

// Spawn starts a program. Its streams are those that this way has; another kind cannot be had.
func (s *planShell) Spawn(ctx context.Context, c Command) (Link, error) {
	if c.Mode != s.mode && (c.Mode != Pipes || s.mode != ControlTTY) {
		return nil, &ConnectError{
			Class: Unreachable, Err: errors.ErrUnsupported,
			Text: fmt.Sprintf("%s gives programs %s, and not %s", s.dialer.Name(), s.mode, c.Mode),
		}
	}
	l := Line{Text: "exec " + shellescape.QuoteCommand(c.Argv), Env: c.Env, Dir: c.Dir}
	return s.run(ctx, l.Script())
}

func (s *planShell) run(ctx context.Context, script string) (Link, error) {
	nonce := make([]byte, 12)
	rand.Read(nonce) // never fails (crypto/rand)
	name := hex.EncodeToString(nonce)
	plan, err := s.dialer.Plan(ctx, s.via, bareProgram(name))
	if err != nil {
		return nil, err
	}
	typeIn := plan.typesIn(s.mode)
	plan.Command.Mode = s.mode
	ctx, cancel := context.WithTimeoutCause(ctx, plan.Script.timeout(), errDeadline)
	defer cancel()
	link, err := s.via.Spawn(ctx, plan.Command)
	if err != nil {
		return nil, plan.explained(plan.Script.spawnFailed(ctx, err))
	}
	c := newConversation(link, plan.Script, Program{Flight: bareFlight(script), Nonce: name})
	c.bare, c.typeIn = true, typeIn
	b, err := c.converse(ctx)
	if err != nil {
		return nil, plan.explained(plan.startFailedFar(err))
	}
	return b.Link, nil
}

// atSideMarker looks for the marker that says that stderr is the command's own from here on.
func (c *conversation) atSideMarker(line []byte) bool {
	return c.nonce != "" && strings.HasSuffix(string(line), bareSide+c.nonce)
}

// finishBare waits for what is under way, and makes a link of what the markers have left over.
func (c *conversation) finishBare(ctx context.Context) (*Booted, error) {
	if err := c.written(ctx, "The command was not sent whole: "); err != nil {
		return nil, err
	}
	l := &bareLink{Link: c.link, out: &leftover{c.outRest, c.link}}
	switch side := c.link.Side(); {
	case side == nil:
	case c.merged: // errors are in the output; what the program itself says is read on, and nobody's business
		l.side = silence{side}
	default:
		select {
		case <-c.sideEnd:
		case <-ctx.Done():
			return nil, c.giveUp(ctx)
		}
		l.side = silence{side}
		if c.sideMarked {
			l.side = &leftoverSide{leftover{c.sideRest, side}, side}
		}
	}
	c.forget()
	return &Booted{Link: l}, nil
}

// bareLink is a link whose streams begin behind the markers.
type bareLink struct {
	Link
	out  io.Reader
	side Side
}

func (l *bareLink) Read(b []byte) (int, error) { return l.out.Read(b) }
func (l *bareLink) Side() Side {
	if l.side == nil { // and not a Side that is nil
		return nil
	}
	return l.side
}

// leftover reads what was read too much, and then on.
type leftover struct {
	rest []byte
	r    io.Reader
}

func (l *leftover) Read(b []byte) (int, error) {
	if len(l.rest) == 0 {
		return l.r.Read(b)
	}
	n := copy(b, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

type leftoverSide struct {
	leftover
	io.Writer
}

// silence is a side that has ended.
type silence struct{ io.Writer }

func (silence) Read([]byte) (int, error) { return 0, io.EOF }
