package ansiblebridge

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/actors/tree/treetest"
	"spindle/transports/wire"
)

// unixPair is a socket's two ends.
func unixPair(t *testing.T) (near, far *net.UnixConn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = c.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

// Interpreters live long, and workers come and go: nothing of a session may stay with one that goes on.
func TestSessionsThatHaveEndedAreForgotten(t *testing.T) {
	// The engine's set of watchers keeps a PID in each slot that it has freed and not used again: as many as there were at the same time.
	const sessions, slots = 16, 4
	m := newMux(t, echo)
	keeper := m.worker()
	keeper.connect()
	var left []weak.Pointer[session]
	for i := range sessions {
		near, far := unixPair(t)
		spec := sessionSpec(m.cfg, fmt.Sprintf("leak%d", i), near)
		made := make(chan weak.Pointer[session], 1)
		_, err := m.sys.SpawnRoot(actors.Spec{Kind: spec.Kind, Name: spec.Name, New: func() actor.Actor {
			s := spec.New()
			made <- weak.Make(s.(*session))
			return s
		}})
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, <-made)
		far.SetDeadline(time.Now().Add(20 * time.Second))
		w := &worker{t: t, conn: far, in: wire.NewReader(far)}
		w.send(0, wire.Hello{Proto: wire.Proto, Role: "worker", PID: 1}, nil)
		w.next()
		if r, _ := w.call(2, wire.Call{Op: "exec", Context: w.connect()}, "{}", nil); r.Status != wire.StatusOK {
			t.Fatalf("%+v", r)
		}
		far.Close()
	}
	alive := sessions
	for deadline := time.Now().Add(10 * time.Second); alive > slots && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		runtime.GC()
		alive = 0
		for _, p := range left {
			if p.Value() != nil {
				alive++
			}
		}
	}
	if alive > slots {
		t.Errorf("%d of %d sessions that have ended are still held", alive, sessions)
	}
	if r, _ := keeper.call(3, wire.Call{Op: "exec", Context: keeper.connect()}, "{}", nil); r.Status != wire.StatusOK {
		t.Errorf("%+v", r)
	}
}

// A text that no header has room for is cut, and the session goes on.
func TestLongTextsAreCut(t *testing.T) {
	reason := "first" + strings.Repeat("x", wire.MaxHeader-100) + "last"
	m := newMux(t, func(f *treetest.FarEnd) {
		f.Next()
		f.Send(0, wire.Bye{Reason: reason}, nil) // behind which the call's answer says more than the agent did
	})
	w := m.worker()
	r, _ := w.call(2, wire.Call{Op: "exec", Context: w.connect()}, "{}", nil)
	if r.Status != wire.StatusUnreachable || len(r.Text) > wire.MaxText || !strings.Contains(r.Text, "first") || !strings.HasSuffix(r.Text, "last") {
		t.Errorf("status %v, %d bytes of text", r.Status, len(r.Text))
	}
	// As is what is made of one that the client has sent itself.
	meta := `{"hops":[{"method":"` + strings.Repeat("pigeon", wire.MaxHeader/6) + `"}]}`
	if r, _ := w.call(3, wire.Call{Op: "connect"}, meta, nil); r.Status != wire.StatusFault || len(r.Text) > wire.MaxText {
		t.Errorf("status %v, %d bytes of text", r.Status, len(r.Text))
	}
}
