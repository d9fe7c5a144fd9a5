package becometest

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"

	"spindle/transports"
	"spindle/transports/local"
)

// As starts programs as another user, and keeps what is typed on their terminals.
type As struct {
	User string
	// Group is the user's; of the same name if empty.
	Group string
	// Pipes starts them without a terminal, whatever was asked for.
	Pipes bool
	// Env is added to their environment.
	Env []string
	// Within, if not nil, is a command that runs what comes behind it, as root: in another root directory, or in
	// namespaces of its own.
	Within []string

	mu    sync.Mutex
	typed []string
	argv  []string
}

// Spawn starts c.
func (a *As) Spawn(ctx context.Context, c transports.Command) (transports.Link, error) {
	a.mu.Lock()
	a.argv = c.Argv
	a.mu.Unlock()
	argv := slices.Concat(a.Within, []string{"setpriv", "--reuid", a.User, "--regid", cmp.Or(a.Group, a.User), "--init-groups", "--reset-env", "--"})
	if a.Env != nil {
		argv = append(append(argv, "env"), a.Env...)
	}
	c.Argv = append(argv, c.Argv...)
	if a.Pipes {
		c.Mode = transports.Pipes
	}
	l, err := (&local.Spawner{}).Spawn(ctx, c)
	if err != nil {
		return nil, err
	}
	return link{l, a}, nil
}

// Typed returns what was typed on terminals, piece by piece.
func (a *As) Typed() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.typed)
}

// Argv returns the last command that was to be started.
func (a *As) Argv() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.argv
}

func (a *As) keep(p []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.typed = append(a.typed, string(p))
}

type link struct {
	transports.Link
	a *As
}

func (l link) Side() transports.Side {
	if s := l.Link.Side(); s != nil {
		return side{s, l.a}
	}
	return nil
}

// Write keeps lines of text: on a terminal for everything, the agent and its frames pass here as well.
func (l link) Write(p []byte) (int, error) {
	if l.Link.Side() == nil && bytes.HasSuffix(p, []byte("\n")) && !bytes.ContainsFunc(p[:len(p)-1], func(r rune) bool { return r < ' ' }) {
		l.a.keep(p)
	}
	return l.Link.Write(p)
}

type side struct {
	transports.Side
	a *As
}

func (s side) Write(p []byte) (int, error) {
	n, err := s.Side.Write(p)
	if err == nil {
		s.a.keep(p)
	}
	return n, err
}
