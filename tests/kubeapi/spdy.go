package main

import (
	"bufio"
	"log"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/moby/spdystream"
)

const (
	versionHeader = "X-Stream-Protocol-Version"
	spdyProtocol  = "v4.channel.k8s.io"
)

// readAhead is a connection of which the HTTP server has read more than its request.
type readAhead struct {
	net.Conn
	r *bufio.Reader
}

func (c readAhead) Read(b []byte) (int, error) { return c.r.Read(b) }

// overSPDY is what kubectl has always spoken: kubectl opens a stream for each of stdin, stdout, stderr, and one for how it ended.
func overSPDY(w http.ResponseWriter, r *http.Request, want, argv, env []string) {
	if !slices.Contains(r.Header.Values(versionHeader), spdyProtocol) {
		fail(w, http.StatusForbidden, "Forbidden", "no common version of the protocol")
		return
	}
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "SPDY/3.1")
	w.Header().Set(versionHeader, spdyProtocol)
	w.WriteHeader(http.StatusSwitchingProtocols)
	raw, ahead, err := http.NewResponseController(w).Hijack()
	if err != nil {
		log.Print(err)
		return
	}
	conn, err := spdystream.NewConnection(readAhead{raw, ahead.Reader}, true)
	if err != nil {
		log.Print(err)
		raw.Close()
		return
	}
	defer conn.Close()
	opened := make(chan *spdystream.Stream)
	go conn.Serve(func(s *spdystream.Stream) {
		_ = s.SendReply(http.Header{}, false)
		select {
		case opened <- s:
		case <-conn.CloseChan():
		}
	})
	by := map[string]*spdystream.Stream{}
	for late := time.After(30 * time.Second); len(by) < len(want); {
		select {
		case s := <-opened:
			by[s.Headers().Get("streamType")] = s
		case <-conn.CloseChan():
			return
		case <-late:
			log.Print("kubectl does not open its streams")
			return
		}
	}
	var s streams
	if in := by["stdin"]; in != nil {
		s.stdin = in
	}
	if out := by["stdout"]; out != nil {
		s.stdout = out
	}
	if errs := by["stderr"]; errs != nil {
		s.stderr = errs
	}
	status := run(argv, env, s)
	for _, name := range []string{"stdout", "stderr"} {
		if s := by[name]; s != nil {
			_ = s.Close()
		}
	}
	_, _ = by["error"].Write(status)
	_ = by["error"].Close()
	select {
	case <-conn.CloseChan():
	case <-time.After(2 * time.Second):
	}
}
