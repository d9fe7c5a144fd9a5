package treetest

import (
	"context"
	"net"
	"sync"

	"spindle/transports"
)

// Bare gives a shell that runs nothing: every command line ends at once, with itself as its output.
func (d *Dialer) Bare(context.Context, transports.Spawner) (transports.Shell, error) {
	d.BareDials.Add(1)
	if d.Err != nil && d.Err != NoPython {
		return nil, d.Err
	}
	return &shell{label: d.Label, lost: make(chan struct{})}, nil
}

// Tunnel returns Through.
func (d *Dialer) Tunnel() bool { return d.Through }

// NoPython is the error of a Dialer whose account can be reached, and has no Python.
var NoPython error = &transports.ConnectError{Text: "No usable Python was found on the target.", Err: transports.ErrNoPython}

type shell struct {
	label string
	lost  chan struct{}
	once  sync.Once
}

func (s *shell) About() transports.About {
	return transports.About{How: "bare", Why: "test", Host: "host"}
}
func (s *shell) Lost() <-chan struct{} { return s.lost }

func (s *shell) Close() error {
	s.once.Do(func() { close(s.lost) })
	return nil
}

func (s *shell) Spawn(context.Context, transports.Command) (transports.Link, error) {
	return nil, &transports.ConnectError{Text: "nothing can be started by way of " + s.label}
}

func (s *shell) Run(_ context.Context, l transports.Line) (transports.Link, error) {
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		_, _ = far.Write([]byte(l.Text))
		_ = far.Close()
		close(done)
	}()
	return &spoken{link{Conn: near, done: done}}, nil
}

// spoken is a link whose program says one thing and ends.
type spoken struct{ link }

func (*spoken) CloseWrite() error { return nil }

func (l *spoken) Write(b []byte) (int, error) { return len(b), nil }

func (l *spoken) Close() error {
	err := l.Conn.Close()
	<-l.done
	return err
}
