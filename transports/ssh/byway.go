package ssh

import (
	"context"
	"io"
	"sync"

	gossh "golang.org/x/crypto/ssh"

	"spindle/transports"
)

var _ transports.Splitter = (*session)(nil)

// Splits says whether the connection is one over TCP from here. What runs through another connection, or through a program, has that one's
// window around its own.
func (s *session) Splits() bool { return s.client.direct }

// Byway opens a channel to a socket on the far side. It is no session: it starts nothing there, asks for no login, and servers that allow one
// session for each connection allow it. Some allow no forwarding, and refuse.
func (s *session) Byway(ctx context.Context, path string) (io.WriteCloser, error) {
	request := struct {
		Path     string
		Reserved string
		Number   uint32
	}{Path: path}
	channel, requests, err := s.client.open(ctx, "direct-streamlocal@openssh.com", gossh.Marshal(request))
	if err != nil {
		return nil, err
	}
	go gossh.DiscardRequests(requests)
	return &byway{channel: channel, cut: make(chan struct{})}, nil
}

// byway is one such channel. The library's calls return only when the far side agrees, so it is cut on this side.
type byway struct {
	channel gossh.Channel
	cut     chan struct{}
	once    sync.Once
}

// Write does not copy p. When it returns because of Close, p may still be read.
func (b *byway) Write(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	go func() {
		n, err := b.channel.Write(p)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return r.n, r.err
	case <-b.cut:
		return 0, io.ErrClosedPipe
	}
}

// Close does not wait for the far side, nor for room in the network.
func (b *byway) Close() error {
	b.once.Do(func() {
		close(b.cut)
		go func() { _ = b.channel.Close() }()
	})
	return nil
}
