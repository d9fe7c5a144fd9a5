package transports

import (
	"context"
	"io"

	"spindle/transports/wire"
)

// trail is a frame that is written behind the flight: on a slow line that may take longer than a dial is given, and the agent has
// answered meanwhile. How long it may take then is for whoever looks after the link.
type trail struct {
	frame wire.Frame
	size  int64         // of its body
	over  chan struct{} // closed when it has been written, or the link has ended
	err   error         // set once over is closed
}

// write writes it. It returns at the latest when the link is closed.
func (t *trail) write(w io.Writer) {
	defer close(t.over)
	frame := t.frame
	t.frame = wire.Frame{} // the link may live long
	head, err := wire.AppendHead(nil, frame)
	if err == nil {
		_, err = w.Write(head)
	}
	if err == nil {
		_, err = w.Write(frame.Body) // not copied: many links may be sent the same
	}
	t.err = err
}

// wait waits until it has been written.
func (t *trail) wait() error {
	<-t.over
	return t.err
}

// follow finds out whether something is to be behind the flight, which has to be known before HELLO has come; nil if not.
func (c *conversation) follow() *trail {
	select {
	case <-c.marker: // it is an agent that is going to read it
	case <-c.heard:
		return nil
	}
	select {
	case frame := <-c.behind:
		return &trail{frame: frame, size: int64(len(frame.Body)), over: make(chan struct{})}
	case <-c.heard:
		return nil
	}
}

// trailing is the link for whoever writes next: nothing overtakes what is on its way. The error is that of what is not any more.
func (c *conversation) trailing() (Link, error) {
	if c.trail == nil {
		return c.link, nil
	}
	select {
	case <-c.trail.over:
		return c.link, c.trail.err
	default:
	}
	l := &trailingLink{Link: c.link, trail: c.trail}
	if s, ok := c.link.(Splicer); ok {
		return &trailingSplicer{trailingLink: l, splicer: s}, nil
	}
	return l, nil
}

// trailingLink is a link that something is still being written to. Closing it ends that.
type trailingLink struct {
	Link
	trail *trail
}

var (
	_ Packer   = (*trailingLink)(nil)
	_ Splitter = (*trailingLink)(nil)
	_ Splicer  = (*trailingSplicer)(nil)
)

func (l *trailingLink) Write(p []byte) (int, error) {
	if err := l.trail.wait(); err != nil {
		return 0, err
	}
	return l.Link.Write(p)
}

func (l *trailingLink) CloseWrite() error {
	if err := l.trail.wait(); err != nil {
		return err
	}
	return l.Link.CloseWrite()
}

// Packs is that of the link.
func (l *trailingLink) Packs() bool {
	p, ok := l.Link.(Packer)
	return ok && p.Packs()
}

// Splits is that of the link.
func (l *trailingLink) Splits() bool {
	s, ok := l.Link.(Splitter)
	return ok && s.Splits()
}

// Byway is that of the link. Nothing on it belongs behind what is on its way.
func (l *trailingLink) Byway(ctx context.Context, path string) (io.WriteCloser, error) {
	return l.Link.(Splitter).Byway(ctx, path) // nobody asks where Splits says no
}

// trailingSplicer is a trailingLink whose far side holds content. It is a type of its own since a link is a Splicer by its type.
type trailingSplicer struct {
	*trailingLink
	splicer Splicer
}

// Splice waits as Write does.
func (l *trailingSplicer) Splice(b wire.Blob, content []byte, form int) error {
	if err := l.trail.wait(); err != nil {
		return err
	}
	return l.splicer.Splice(b, content, form)
}
