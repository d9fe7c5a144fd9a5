package ansiblebridge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"spindle/actors"
	"spindle/actors/tree"
	"spindle/actors/tree/treetest"
	"spindle/services/blobs"
	"spindle/services/connections"
	"spindle/services/transfers"
	"spindle/transports"
	"spindle/transports/local"
	"spindle/transports/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mux is a whole multiplexer on a real socket, whose far ends are the test's.
type mux struct {
	t      *testing.T
	sys    *actors.System
	socket string
	cfg    *Config
	wg     sync.WaitGroup
	play   func(*treetest.FarEnd)
}

func newMux(t *testing.T, play func(*treetest.FarEnd)) *mux {
	m := &mux{t: t, socket: filepath.Join(t.TempDir(), "run", "mux.sock"), play: play}
	m.sys = actors.NewSystem(actors.Options{Logger: zap.NewNop(), Name: "test"})
	spawn := func(s actors.Spec) *actor.PID {
		pid, err := m.sys.SpawnRoot(s)
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
	l, err := Listen(m.socket)
	if err != nil {
		t.Fatal(err)
	}
	b, tr := spawn(blobs.Spec()), spawn(transfers.Spec(transfers.Budget))
	root := spawn(tree.Spec(&tree.Config{
		Logger: zap.NewNop(), Blobs: b, Transfers: tr, Local: &local.Spawner{}, Program: func(tree.Boot) transports.Program { return transports.Program{} },
	}))
	conns := spawn(connections.Spec(&connections.Config{
		Logger: zap.NewNop(), Tree: root,
		Factories: map[string]transports.Factory{"ssh": func(kwargs json.RawMessage) (transports.Dialer, error) {
			d := &treetest.Dialer{T: t, Label: "ssh:web1", Play: m.play, Joined: &m.wg}
			if strings.Contains(string(kwargs), "refuse") {
				d.Err = &transports.ConnectError{Class: transports.BecomeFailed, Text: "sudo password is incorrect"}
			}
			if strings.Contains(string(kwargs), "wait") {
				d.Gate = make(chan struct{})
			}
			return d, nil
		}, "local": local.Factory},
	}))
	m.cfg = &Config{Logger: zap.NewNop(), Listener: l, Connections: conns, Blobs: b, Tree: root, Census: m.sys.Census(), Version: "test"}
	spawn(Spec(m.cfg))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := m.sys.Stop(ctx); err != nil {
			t.Error(err)
		}
		m.wg.Wait()
		if _, err := os.Stat(m.socket); !os.IsNotExist(err) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
	return m
}

// worker is a client as the plugins are.
type worker struct {
	t    *testing.T
	conn *net.UnixConn
	in   *wire.Reader
}

func (m *mux) dial() *worker {
	m.t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: m.socket, Net: "unix"})
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &worker{t: m.t, conn: conn, in: wire.NewReader(conn)}
}

func (m *mux) worker() *worker {
	w := m.dial()
	w.send(0, wire.Hello{Proto: wire.Proto, Role: "worker", PID: 1}, nil)
	if f := w.next(); f.Header.Kind() != wire.KindReady {
		m.t.Fatalf("got %+v", f)
	}
	return w
}

func (w *worker) send(id uint32, h wire.Header, body []byte) {
	w.t.Helper()
	b, err := wire.Append(nil, wire.Frame{ID: id, Header: h, Body: body})
	if err == nil {
		_, err = w.conn.Write(b)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *worker) next() wire.Frame {
	w.t.Helper()
	f, err := w.in.Next()
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

func (w *worker) call(id uint32, h wire.Call, meta string, input []byte) (wire.Result, []byte) {
	w.t.Helper()
	h.MetaLen = len(meta)
	w.send(id, h, append([]byte(meta), input...))
	f := w.next()
	r, ok := f.Header.(wire.Result)
	if !ok || f.ID != id {
		w.t.Fatalf("got %+v for %d", f, id)
	}
	return r, f.Body
}

func (w *worker) connect() string {
	w.t.Helper()
	r, body := w.call(1, wire.Call{Op: "connect"}, `{"hops":[{"method":"ssh","kwargs":{}}]}`, nil)
	var got struct{ Context string }
	if err := json.Unmarshal(body, &got); err != nil || r.Status != wire.StatusOK || got.Context == "" {
		w.t.Fatalf("%+v %s %v", r, body, err)
	}
	return got.Context
}

func echo(f *treetest.FarEnd) {
	for {
		fr := f.Next()
		switch h := fr.Header.(type) {
		case wire.Call:
			f.Send(fr.ID, wire.Result{OutLen: len(fr.Body)}, fr.Body)
		case wire.Bye:
			return
		case wire.Blob:
		default:
			f.T.Errorf("far end got %+v", h)
		}
	}
}

func TestWorkerCallsAnAgent(t *testing.T) {
	m := newMux(t, echo)
	w := m.worker()
	ctx := w.connect()
	r, body := w.call(2, wire.Call{Op: "exec", Context: ctx}, "{}", []byte("hello"))
	if r.Status != wire.StatusOK || string(body) != "{}hello" {
		t.Errorf("%+v %q", r, body)
	}
}

func TestClosureIsAskedForOnceAndUploaded(t *testing.T) {
	m := newMux(t, echo)
	w := m.worker()
	ctx := w.connect()
	content := []byte("print(1)")
	digest, closure := wire.Sum(content), wire.Sum([]byte("{}"))
	call := wire.Call{Op: "module", Context: ctx, Closure: closure, HasClosure: true}
	if r, _ := w.call(2, call, "", nil); r.Status != wire.StatusUnknownClosure {
		t.Fatalf("%+v", r)
	}
	for i, meta := range []string{`{"python2":2}`, `{"python2":-1}`, `{"python2":`} {
		if r, _ := w.call(uint32(10+i), wire.Call{Op: "closure", Closure: closure, HasClosure: true}, meta, digest[:]); r.Status != wire.StatusError {
			t.Errorf("%s: %+v", meta, r)
		}
	}
	r, missing := w.call(3, wire.Call{Op: "closure", Closure: closure, HasClosure: true}, "{}", digest[:])
	if r.Status != wire.StatusOK || !bytes.Equal(missing, digest[:]) {
		t.Fatalf("%+v %x", r, missing)
	}
	w.send(0, wire.Blob{Digest: digest, Size: len(content)}, content)
	if r, _ := w.call(5, wire.Call{Op: "expect", Closure: closure, HasClosure: true}, "", nil); r.Status != wire.StatusOK {
		t.Errorf("%+v", r)
	}
	if r, body := w.call(4, call, "", []byte("args")); r.Status != wire.StatusOK || string(body) != "args" {
		t.Errorf("%+v %q", r, body)
	}
}

func TestFailuresAreTold(t *testing.T) {
	m := newMux(t, echo)
	w := m.worker()
	cases := []struct {
		name   string
		call   wire.Call
		meta   string
		status wire.Status
		text   string
	}{
		{"refused hop", wire.Call{Op: "connect"}, `{"hops":[{"method":"ssh","kwargs":"refuse"}]}`, wire.StatusFailed, "sudo password is incorrect"},
		{"unknown method", wire.Call{Op: "connect"}, `{"hops":[{"method":"pigeon"}]}`, wire.StatusFault, "pigeon"},
		{"bad meta", wire.Call{Op: "connect"}, `{"hops":`, wire.StatusError, "bad meta"},
		{"unknown context", wire.Call{Op: "exec", Context: "none"}, "", wire.StatusStale, "Mitogen was disconnected"},
		{"put to unknown context", wire.Call{Op: "put", Context: "none"}, "{}", wire.StatusStale, "Mitogen was disconnected"},
		{"expect without a closure", wire.Call{Op: "expect"}, "", wire.StatusError, "expect"},
		{"closure without digests", wire.Call{Op: "closure"}, "", wire.StatusError, "closure"},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if r, _ := w.call(uint32(10+i), c.call, c.meta, nil); r.Status != c.status || !strings.Contains(r.Text, c.text) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// What a service does not answer is answered, and nothing else is: what was sent to an interpreter that has just ended comes back as well.
func TestWhatFailsEndsItsOwnCallsOnly(t *testing.T) {
	m := newMux(t, echo)
	w := m.worker()
	session := ""
	for _, n := range m.sys.Census().Snapshot() {
		if n.Kind == "session" {
			session = n.Path
		}
	}
	w.send(1, wire.Call{Op: "connect", MetaLen: 43}, []byte(`{"hops":[{"method":"ssh","kwargs":"wait"}]}`))
	w.send(2, wire.Call{Op: "tree"}, nil)
	for id := uint32(2); id < 4; id++ {
		if f := w.next(); f.ID != id {
			t.Fatalf("a failure of somebody else ended call %d: %+v", f.ID, f.Header)
		}
		for _, path := range []string{"tree/ssh:web1/python3", m.cfg.Blobs.Id} {
			m.sys.Send(actor.NewPID("nonhost", session), &actors.Failed{Path: path, Err: actors.ErrStopped})
		}
		w.send(id+1, wire.Call{Op: "tree"}, nil)
	}
	if f := w.next(); f.ID != 4 {
		t.Fatalf("got %+v", f)
	}
	m.sys.Send(actor.NewPID("nonhost", session), &actors.Failed{Path: m.cfg.Connections.Id, Err: actors.ErrStopped})
	if f := w.next(); f.ID != 1 || f.Header.(wire.Result).Status != wire.StatusFault {
		t.Errorf("got %+v", f)
	}
}

func TestTreeIsAnsweredWhateverItsSize(t *testing.T) {
	m := newMux(t, echo)
	w := m.worker()
	w.connect()
	r, body := w.call(2, wire.Call{Op: "tree"}, "", nil)
	var nodes []struct{ Path, Kind string }
	if err := json.Unmarshal(body, &nodes); err != nil || r.Status != wire.StatusOK {
		t.Fatalf("%+v %v", r, err)
	}
	kinds := map[string]string{}
	for _, n := range nodes {
		kinds[n.Path] = n.Kind
	}
	if diff := cmp.Diff("interpreter", kinds["tree/ssh:web1/python3"]); diff != "" {
		t.Errorf("(-want +got):\n%s\n%v", diff, kinds)
	}
}

// What a worker leaves open is cancelled when its socket closes, and only that.
func TestDyingWorkerCancelsItsCallsOnly(t *testing.T) {
	seen := make(chan wire.Frame, 10)
	m := newMux(t, func(f *treetest.FarEnd) {
		for {
			fr := f.Next()
			if _, bye := fr.Header.(wire.Bye); bye {
				return
			}
			seen <- fr
		}
	})
	dying, other := m.worker(), m.worker()
	ctx := dying.connect()
	other.connect()
	dying.send(5, wire.Call{Op: "exec", Context: ctx}, nil)
	mine := (<-seen).ID
	other.send(5, wire.Call{Op: "exec", Context: ctx}, nil)
	<-seen
	dying.send(6, wire.Call{Op: "files", Context: ctx, Flags: wire.FlagNoReply}, nil)
	<-seen
	dying.conn.Close()
	if f := <-seen; f.ID != mine || f.Header.Kind() != wire.KindCancel {
		t.Errorf("agent got %+v, want a CANCEL of %d", f, mine)
	}
	select {
	case f := <-seen:
		t.Errorf("agent got %+v as well", f)
	case <-time.After(50 * time.Millisecond):
	}
}

func TestBrokenClientsEndTheirOwnSessionOnly(t *testing.T) {
	m := newMux(t, echo)
	good := m.worker()
	ctx := good.connect()
	cases := map[string]func(w *worker){
		"garbage":           func(w *worker) { w.conn.Write([]byte("GET / HTTP/1.0\r\n\r\nand so on and so on")) },
		"call before hello": func(w *worker) { w.send(1, wire.Call{Op: "tree"}, nil) },
		"other protocol":    func(w *worker) { w.send(0, wire.Hello{Proto: 99, Role: "worker"}, nil) },
		"data without credit": func(w *worker) {
			w.send(0, wire.Hello{Proto: wire.Proto, Role: "worker"}, nil)
			w.send(3, wire.Call{Op: "connect", Flags: wire.FlagMore}, nil)
			w.send(4, wire.Call{Op: "closure"}, nil)
			w.send(0, wire.Call{Op: "tree"}, nil)
		},
	}
	for name, play := range cases {
		t.Run(name, func(t *testing.T) {
			w := m.dial()
			play(w)
			for {
				f, err := w.in.Next()
				if err != nil {
					t.Error("closed without a word")
					break
				}
				if b, bye := f.Header.(wire.Bye); bye {
					if b.Reason == "" {
						t.Error("BYE without a reason")
					}
					break
				}
			}
		})
	}
	if r, _ := good.call(9, wire.Call{Op: "exec", Context: ctx}, "", nil); r.Status != wire.StatusOK {
		t.Errorf("%+v", r)
	}
}

func TestListenRefusesAnOpenDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen(filepath.Join(dir, "s")); err == nil {
		l.Close()
		t.Error("a directory that others may enter was taken")
	} else if !strings.Contains(err.Error(), "0700") {
		t.Errorf("text %q does not say what to do", err)
	}
}

// Paths that are no UTF-8 reach the disk, and the agent, as the worker means them.
func TestTransfersOfNamesThatAreNoText(t *testing.T) {
	sum := sha256.Sum256([]byte("content"))
	var metas []string
	w := newMux(t, func(f *treetest.FarEnd) {
		for {
			fr := f.Next()
			switch h := fr.Header.(type) {
			case wire.Call:
				metas = append(metas, string(fr.Body))
				if h.Op == "get" {
					out := append([]byte(`{"size":7,"mode":420}`+"\ncontent"), sum[:]...)
					f.Send(fr.ID, wire.Result{OutLen: len(out)}, out)
				}
			case wire.EOF:
				f.Send(fr.ID, wire.Result{}, nil)
			case wire.Bye:
				return
			}
		}
	}).worker()
	ctx, dir := w.connect(), t.TempDir()
	for i, c := range []struct{ op, from, to string }{{"get", `/far/\udce9`, dir + `/\udce9`}, {"put", dir + `/\udce9`, `/far/\udce9`}} {
		r, _ := w.call(uint32(2+i), wire.Call{Op: c.op, Context: ctx}, fmt.Sprintf(`{"src":"%s","dest":"%s","mode":384}`, c.from, c.to), nil)
		if r != (wire.Result{}) {
			t.Errorf("%s: %+v", c.op, r)
		}
	}
	if got, err := os.ReadFile(dir + "/\xe9"); string(got) != "content" {
		t.Errorf("%q, %v", got, err)
	}
	want := []string{`{"path":"/far/\udce9"}`, `{"dest":"/far/\udce9","size":7,"mode":384,"mtime":null,"atime":null}`}
	if !slices.Equal(metas, want) {
		t.Errorf("the agent was told %q, want %q", metas, want)
	}
}

// An account without an agent, from the first word to the last.
func TestBareContext(t *testing.T) {
	w := newMux(t, treetest.UntilGone).worker()
	r, body := w.call(1, wire.Call{Op: "connect"}, `{"hops": [{"method": "local", "kwargs": {}}], "bare": true}`, nil)
	if r.Status != wire.StatusOK {
		t.Fatalf("%+v", r)
	}
	var reply struct {
		Context, How string
		Hello        struct{ Bare bool }
		Login        struct {
			Context string
			Hello   struct{ Bare bool }
		}
	}
	if err := json.Unmarshal(body, &reply); err != nil || !reply.Hello.Bare || !reply.Login.Hello.Bare || reply.How != "local" || reply.Context == "" {
		t.Fatalf("%s %v", body, err)
	}
	r, body = w.call(2, wire.Call{Op: "exec", Context: reply.Context}, `{"command": "cat; echo err >&2; exit 3"}`, []byte("in"))
	if r != (wire.Result{RC: 3, OutLen: 2, ErrLen: 4}) || string(body) != "inerr\n" {
		t.Errorf("%+v %q", r, body)
	}
	dir := t.TempDir()
	src, there, back := filepath.Join(dir, "src"), filepath.Join(dir, "there"), filepath.Join(dir, "back")
	if err := os.WriteFile(src, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct{ op, from, to string }{{"put", src, there}, {"get", there, back}} {
		meta, _ := json.Marshal(map[string]any{"src": c.from, "dest": c.to, "mode": 0o640})
		if r, _ := w.call(uint32(3+i), wire.Call{Op: c.op, Context: reply.Context}, string(meta), nil); r != (wire.Result{}) {
			t.Errorf("%s: %+v", c.op, r)
		}
	}
	if got, err := os.ReadFile(back); string(got) != "content" {
		t.Errorf("%q %v", got, err)
	}
	r, _ = w.call(5, wire.Call{Op: "files", Context: reply.Context}, `{"ops": []}`, nil)
	if r.Status != wire.StatusError || r.Text != "operation 'files' needs Python on the target, and this connection does without" {
		t.Errorf("%+v", r)
	}
	if r, _ = w.call(6, wire.Call{Op: "reset", Context: reply.Context}, "", nil); r.Status != wire.StatusOK {
		t.Errorf("%+v", r)
	}
	if r, _ = w.call(7, wire.Call{Op: "exec", Context: reply.Context}, `{"command": "true"}`, nil); r.Status != wire.StatusStale {
		t.Errorf("after a reset: %+v", r)
	}
	w.send(8, wire.Call{Op: "files", Context: reply.Context, Flags: wire.FlagNoReply}, nil)
}
