package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"spindle/transports"
)

// DefaultGrace is the time between TERM and KILL. An agent ends the tasks that it runs, and cleans up, in less.
const DefaultGrace = 4 * time.Second

// DefaultHangup is the time between the loss of a terminal for everything and TERM. It is enough for an agent that has nothing
// to do. util-linux's su waits two seconds when it gets TERM, and not at all when what it has started ends by itself.
const DefaultHangup = 500 * time.Millisecond

// Spawner starts programs on this machine. They inherit this process's environment and directory. The zero value is
// ready for use.
//
// All programs are started from one thread, which lives as long as any of them, because the kernel ties their death
// signal to it. So a caller may lock its goroutine to a thread and end that, without ending programs.
type Spawner struct {
	// Grace is how long a program may take to end after TERM; DefaultGrace if zero.
	Grace time.Duration
	// Hangup is how long one whose terminal was for everything (FullTTY) may take to end after losing that, ahead of TERM;
	// DefaultHangup if zero.
	Hangup time.Duration
}

var _ transports.Spawner = (*Spawner)(nil)

// Spawn starts c.
func (sp *Spawner) Spawn(ctx context.Context, c transports.Command) (transports.Link, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(c.Argv) == 0 {
		return nil, transports.StartError(c.Argv, errors.New("no program named"))
	}
	if c.Dir != "" {
		if err := isDir(c.Dir); err != nil {
			return nil, transports.StartError(c.Argv, err)
		}
	}
	if err := transports.Room(); err != nil {
		return nil, err
	}
	s, err := openStreams(c.Mode)
	if err != nil {
		var ce *transports.ConnectError
		if errors.As(err, &ce) {
			return nil, ce
		}
		return nil, transports.StartError(c.Argv, err)
	}
	p, err := start(c, s, s.closeSlave)
	s.closeChild()
	if err != nil {
		s.closeSlave()
		s.close()
		return nil, transports.StartError(c.Argv, err)
	}
	grace := sp.Grace
	if grace <= 0 {
		grace = DefaultGrace
	}
	l := &link{s: s, p: p, grace: grace}
	if c.Mode == transports.FullTTY {
		if l.hangup = sp.Hangup; l.hangup <= 0 {
			l.hangup = DefaultHangup
		}
	}
	return l, nil
}

// isDir tells a missing directory from a missing program: both are the same error of fork and exec.
func isDir(dir string) error {
	fi, err := os.Stat(dir)
	if err == nil && !fi.IsDir() {
		err = &os.PathError{Op: "chdir", Path: dir, Err: errors.New("not a directory")}
	}
	if err != nil {
		return fmt.Errorf("working directory: %v", err) // %v: not to be taken for the program's own errno
	}
	return nil
}

// link is a running program.
type link struct {
	s             *streams
	p             *process
	grace, hangup time.Duration
	once          sync.Once
	err           error // of Close
}

func (l *link) Read(b []byte) (int, error)  { return read(l.s.out, b) }
func (l *link) Write(b []byte) (int, error) { return l.s.in.Write(b) }

func (l *link) CloseWrite() error {
	if l.s.side == nil {
		return fmt.Errorf("end of input on a terminal: %w", errors.ErrUnsupported)
	}
	if err := l.s.in.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

func (l *link) Side() transports.Side {
	if l.s.side == nil {
		return nil
	}
	return side{l.s}
}

func (l *link) Wait(ctx context.Context) (transports.Exit, error) {
	select {
	case <-l.p.gone:
		return l.p.exit, nil
	default:
	}
	select {
	case <-l.p.gone:
		return l.p.exit, nil
	case <-ctx.Done():
		return transports.Exit{}, ctx.Err()
	}
}

func (l *link) Close() error {
	l.once.Do(func() {
		l.p.doom() // a leader may end because its terminal does
		l.s.close()
		if !l.p.endsIn(l.hangup) {
			l.err = l.p.end(l.grace)
		}
	})
	return l.err
}
