package main

import (
	"io"
	"log"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// The first byte of a message says which stream it is of.
const (
	channelStdin  = 0
	channelStdout = 1
	channelStderr = 2
	channelError  = 3
	channelClose  = 255
)

// overWebSocket is what newer versions of kubectl try first: all streams are messages on one connection.
func overWebSocket(w http.ResponseWriter, r *http.Request, want, argv, env []string) {
	up := websocket.Upgrader{Subprotocols: []string{"v5.channel.k8s.io"}, CheckOrigin: func(*http.Request) bool { return true }}
	if !slices.Contains(websocket.Subprotocols(r), up.Subprotocols[0]) {
		fail(w, http.StatusForbidden, "Forbidden", "no common version of the protocol")
		return
	}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		log.Print(err)
		return
	}
	defer conn.Close()
	var mu sync.Mutex // one message at a time
	var s streams
	in, feed := io.Pipe()
	for _, name := range want {
		switch name {
		case "stdin":
			s.stdin = in
		case "stdout":
			s.stdout = channel{conn, &mu, channelStdout}
		case "stderr":
			s.stderr = channel{conn, &mu, channelStderr}
		}
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		defer feed.Close()
		for {
			_, b, err := conn.ReadMessage()
			switch {
			case err != nil:
				return
			case len(b) == 2 && b[0] == channelClose && b[1] == channelStdin:
				feed.Close()
			case len(b) > 1 && b[0] == channelStdin:
				_, _ = feed.Write(b[1:])
			}
		}
	}()
	status := run(argv, env, s)
	in.Close()
	_, _ = channel{conn, &mu, channelError}.Write(status)
	mu.Lock()
	_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
	mu.Unlock()
	select {
	case <-gone:
	case <-time.After(2 * time.Second):
	}
}

// channel is one direction of a stream.
type channel struct {
	conn *websocket.Conn
	mu   *sync.Mutex
	id   byte
}

func (c channel) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.conn.WriteMessage(websocket.BinaryMessage, append([]byte{c.id}, b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}
