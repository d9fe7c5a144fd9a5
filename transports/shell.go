package transports

import (
	"context"
	"fmt"
	"io"
	"strings"

	"al.essio.dev/pkg/shellescape"
)

// Shell runs command lines in an account without an agent: what is left where there is no Python. As a Spawner it is also
// a way to hops behind that account.
type Shell interface {
	Spawner
	// Run starts a command line and returns when all prompts on the way to it are over: what the link carries from then on
	// is the command's own. ctx covers that time only. Where the way has but one terminal, the link has no Side, and
	// errors are in its output. The error is a *[ConnectError] if the way does not lead there any more.
	Run(ctx context.Context, l Line) (Link, error)
	// About says what is known of the way.
	About() About
	// Lost is closed when the way is no more; nil where each command is a way of its own.
	Lost() <-chan struct{}
	// Close ends the way, with all that runs on it. It returns when that is gone.
	Close() error
}

// About is what a [Shell] says of itself.
type About struct {
	// How and Why are those of [Booted].
	How, Why string
	// Host is what the machine calls itself; empty if it does not say.
	Host string
}

// Line is a command line for a [Shell].
type Line struct {
	// Text is what the shell is given, as with -c.
	Text string
	// Env is set for it, "NAME=value"; a NAME alone is unset.
	Env []string
	// Dir is the working directory, Umask (octal) the mask for new files; empty for what the shell starts with.
	Dir, Umask string
	// Joined sends errors where the output goes, in their order, where the way knows how to.
	Joined bool
	// Input says how many bytes of input will be written. Where input can be ended by [Link.CloseWrite], -1 stands for any
	// number; a terminal has no such end, so there the number must be known.
	Input int64
}

// Script is the line as one text for a POSIX shell.
func (l Line) Script() string {
	var b strings.Builder
	if l.Joined {
		b.WriteString("exec 2>&1\n")
	}
	for _, pair := range l.Env {
		if name, _, set := strings.Cut(pair, "="); set {
			fmt.Fprintf(&b, "export %s=%s\n", name, shellescape.Quote(pair[len(name)+1:]))
		} else {
			fmt.Fprintf(&b, "unset %s\n", name)
		}
	}
	if l.Umask != "" {
		fmt.Fprintf(&b, "umask %s\n", shellescape.Quote(l.Umask))
	}
	if l.Dir != "" {
		fmt.Fprintf(&b, "cd %s || exit\n", shellescape.Quote(l.Dir))
	}
	return b.String() + l.Text
}

// Plain says whether nothing but Text has to be done, which any shell can do.
func (l Line) Plain() bool { return len(l.Env) == 0 && l.Dir == "" && l.Umask == "" && !l.Joined }

// AskHost has a shell's account tell the name of its machine, which also proves that it can run anything. No name is no
// error, since not every machine that runs commands knows this one.
func AskHost(ctx context.Context, s Shell) (string, error) {
	link, err := s.Run(ctx, Line{Text: "uname -n"})
	if err != nil {
		return "", err
	}
	defer link.Close()
	defer context.AfterFunc(ctx, func() { _ = link.Close() })()
	out, err := io.ReadAll(io.LimitReader(link, 4<<10))
	if ctx.Err() != nil {
		return "", Script{}.outOfTime(ctx)
	}
	if err == nil {
		_, err = link.Wait(ctx)
	}
	if err != nil {
		return "", &ConnectError{Class: Unreachable, Text: osText(err), Err: err}
	}
	name := strings.TrimSpace(string(out))
	if len(name) > 255 || strings.ContainsFunc(name, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return "", nil
	}
	return name, nil
}

// Bare is a Dialer with a way of its own to do without an agent.
type Bare interface {
	Dialer
	// Bare opens a [Shell] in the account, and has proved that it can run commands when it returns. Errors are as those of
	// Dial.
	Bare(ctx context.Context, via Spawner) (Shell, error)
}

// Planned is a Dialer whose every dial is a [Plan]. It can do without an agent with no further doing of its own; see
// [OpenBare].
type Planned interface {
	Dialer
	// Plan returns the plan for a program that is to be started in the account. Finding out what the plan depends on may
	// take programs started by way of via. Errors are as those of Dial.
	Plan(ctx context.Context, via Spawner, program []string) (Plan, error)
}

// Tunneler is a Dialer whose bare connection can carry those of others: [Bare] returns a Shell by way of which it, and
// others like it, connect without starting a program on that machine.
type Tunneler interface {
	Bare
	// Tunnel says whether the settings ask for it.
	Tunnel() bool
}

// OpenBare opens a way without an agent to the account of d, if d is [Bare] or [Planned].
func OpenBare(ctx context.Context, d Dialer, via Spawner) (Shell, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.Timeout(), errDeadline)
	defer cancel()
	switch d := d.(type) {
	case Bare:
		return d.Bare(ctx, via)
	case Planned:
		return OpenPlanned(ctx, d, via)
	}
	return nil, &ConnectError{Class: Unreachable, Text: d.Name() + " cannot be used without Python on the target."}
}
