package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"spindle/actors/census"
	"spindle/transports/wire"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"spindle": main})
}

// TestScripts runs the program as a user would. Each file in testdata/script says what it proves.
//
// Beside testscript's own commands there are:
//
//	mux SOCKET MANNER [CENSUS]   a stand-in for a multiplexer listens; MANNER is polite, long, mute, rude or newer
//	stale SOCKET                 a socket that nobody listens on any more
//	awaitfile FILE               wait until a file is there
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// Sockets have short names only.
			dir, err := os.MkdirTemp("", "spindle-test-")
			if err != nil {
				return err
			}
			env.Defer(func() { os.RemoveAll(dir) })
			env.Setenv("RUN", dir)
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "data"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mux": startMux, "stale": makeStale, "awaitfile": awaitFile,
		},
	})
}

func listen(ts *testscript.TestScript, path string) *net.UnixListener {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: ts.MkAbs(path), Net: "unix"})
	ts.Check(err)
	return listener
}

func makeStale(ts *testscript.TestScript, _ bool, args []string) {
	listener := listen(ts, args[0])
	listener.SetUnlinkOnClose(false)
	ts.Check(listener.Close())
}

func awaitFile(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(20 * time.Second); ; {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s did not appear", args[0])
		}
		<-time.After(time.Millisecond)
	}
}

func startMux(ts *testscript.TestScript, _ bool, args []string) {
	manner := args[1]
	answer := []byte("[]")
	switch {
	case len(args) > 2:
		answer = []byte(ts.ReadFile(args[2]))
	case manner == "long":
		answer = longCensus()
	}
	listener := listen(ts, args[0])
	var all sync.WaitGroup
	ts.Defer(func() {
		listener.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(30 * time.Second))
				serveClient(conn, manner, answer)
			})
		}
	})
}

// longCensus is longer than one frame, and than the first window.
func longCensus() []byte {
	nodes := make([]census.Node, 4000)
	for i := range nodes {
		nodes[i] = census.Node{Path: fmt.Sprintf("tree/ssh:deploy@host-%04d", i), Kind: "hop", State: "ready"}
	}
	text, err := json.Marshal(nodes)
	if err != nil {
		panic(err)
	}
	return text
}

// serveClient keeps the server's side of the protocol, written independently of the real one.
func serveClient(conn net.Conn, manner string, answer []byte) {
	send := func(id uint32, header wire.Header, body []byte) bool {
		frame, err := wire.Append(nil, wire.Frame{ID: id, Header: header, Body: body})
		if err != nil {
			panic(err)
		}
		_, err = conn.Write(frame)
		return err == nil
	}
	frames := wire.NewReader(conn)
	hello, err := frames.Next()
	if h, ok := hello.Header.(wire.Hello); err != nil || !ok || h.Role != "cli" {
		send(0, wire.Bye{Reason: "no HELLO of the command line came first"}, nil)
		return
	}
	switch manner {
	case "mute":
		for { // reads, and never says a word
			if _, err := frames.Next(); err != nil {
				return
			}
		}
	case "rude":
		send(0, wire.Bye{Reason: "go away"}, nil)
		return
	case "newer":
		send(0, wire.Ready{Proto: wire.Proto + 1, PID: 77, Version: "9.9.9"}, []byte("{}"))
		return
	}
	send(0, wire.Ready{Proto: wire.Proto, PID: 77, Version: "0.0.7"}, []byte("{}"))
	call, err := frames.Next()
	h, ok := call.Header.(wire.Call)
	if err != nil || !ok || h.Op != "tree" || h.Timeout <= 0 {
		send(call.ID, wire.Result{Status: wire.StatusError, Text: "no call for the tree, with a deadline"}, nil)
		return
	}
	for credit := wire.WindowInitial; len(answer) > wire.InlineMax; {
		n := min(len(answer), wire.ChunkMax, credit)
		if n > 0 {
			if !send(call.ID, wire.Data{Channel: 1}, answer[:n]) {
				return
			}
			answer, credit = answer[n:], credit-n
			continue
		}
		frame, err := frames.Next()
		if err != nil {
			return
		}
		if c, ok := frame.Header.(wire.Credit); ok && frame.ID == call.ID {
			credit += c.Bytes
		}
	}
	send(call.ID, wire.Result{OutLen: len(answer)}, answer)
	for { // until the client has what it wants
		if _, err := frames.Next(); err != nil {
			return
		}
	}
}

func TestHelpNamesTheTwoLines(t *testing.T) {
	for _, line := range []string{"strategy_plugins = ", "strategy = mitogen_linear"} {
		if !strings.Contains(about, line) {
			t.Errorf("--help does not show %q", line)
		}
	}
}
