package bootstrap

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"spindle/transports/wire"
)

// patience bounds everything that a test waits for. Nothing should come near it.
const patience = 60 * time.Second

// target is a Python to run the agent with.
type target struct {
	name   string
	root   string // a Debian root to chroot into; empty for this machine
	python string
	wrap   []string // what the shell's command line is given to
	skip   string   // why it cannot be used
}

// rootsDir is where the Debian roots are.
func rootsDir() string {
	if dir := os.Getenv("SPINDLE_TEST_ROOTS"); dir != "" {
		return dir
	}
	return "/var/cache/spindle-tests/roots"
}

// targets returns every Python that the agent is to be tested with: this machine's own, those of the Debian roots, and
// any that SPINDLE_TEST_PYTHONS lists, as paths with colons between. A missing root is a loud skip.
func targets() []target {
	list := []target{{name: "host", python: "/usr/bin/python3"}}
	for _, r := range []struct{ suite, name, python string }{
		{"bullseye", "2.7", "python2.7"},
		{"bullseye", "3.9", "python3"},
		{"trixie", "3.13", "python3"},
		{"sid", "3.14", "python3"},
	} {
		tg := target{name: r.name, root: filepath.Join(rootsDir(), r.suite), python: "/usr/bin/" + r.python}
		if _, err := os.Stat(filepath.Join(tg.root, tg.python)); err != nil {
			tg.skip = fmt.Sprintf("no Python %s: %v (SPINDLE_TEST_ROOTS names the directory of the Debian roots)", r.name, err)
		} else if os.Geteuid() != 0 {
			tg.skip = "chroot needs root"
		}
		list = append(list, tg)
	}
	for _, python := range filepath.SplitList(os.Getenv("SPINDLE_TEST_PYTHONS")) {
		list = append(list, target{name: python, python: python})
	}
	return list
}

// each runs a test with every Python, side by side: each has a root of its own.
func each(t *testing.T, test func(t *testing.T, tg target)) {
	for _, tg := range targets() {
		t.Run(tg.name, func(t *testing.T) {
			if testing.Short() && tg.name != "host" && tg.name != "2.7" {
				t.Skip("short")
			}
			if tg.skip != "" {
				t.Skip(tg.skip)
			}
			t.Parallel()
			test(t, tg)
		})
	}
}

// remote is an agent under test, and the controller's side of its link.
type remote struct {
	t     *testing.T
	tg    target
	nonce string
	dir   string // a private directory, as the target sees it
	local string // the same, as the test sees it
	cmd   *exec.Cmd
	stdin io.WriteCloser
	facts map[string]any
	pid   int // of the agent, not of its warden
	// version is Python's.
	version string
	tap     *tap

	write  sync.Mutex
	mu     sync.Mutex
	change *sync.Cond
	queues map[uint32][]wire.Frame
	ended  error // why no more frames come
	lastID uint32
	closed bool
	blobs  map[wire.Digest]bool // which the agent has
}

// boot starts an agent the way a transport does, and waits for its HELLO. At the end of the test the link is closed, and
// nothing may be left of it.
func boot(t *testing.T, tg target, change ...func(*Options)) *remote {
	t.Helper()
	r := &remote{t: t, tg: tg, nonce: nonce(), queues: map[uint32][]wire.Frame{}, blobs: map[wire.Digest]bool{}}
	r.change = sync.NewCond(&r.mu)
	r.dir = "/tmp/spindle-test-" + r.nonce
	r.local = filepath.Join("/", tg.root, r.dir)
	if err := os.Mkdir(r.local, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(r.local) })

	o := Options{
		Candidates: []string{tg.python}, Nonce: r.nonce, Title: "mitogen:test@" + r.nonce + ":1",
		TmpCandidates: []string{r.dir + "/base/tmp"}, Env: map[string]string{"SPINDLE_TEST": r.nonce},
	}
	for _, c := range change {
		c(&o)
	}
	argv := Argv(o)
	if tg.root != "" {
		argv = append([]string{"chroot", tg.root}, argv...)
	}
	argv = append(append([]string{}, tg.wrap...), argv...)
	r.cmd = exec.Command(argv[0], argv[1:]...)
	r.cmd.Stderr = testWriter{t}
	var stdout io.ReadCloser
	var err error
	if r.stdin, err = r.cmd.StdinPipe(); err == nil {
		if stdout, err = r.cmd.StdoutPipe(); err == nil {
			err = r.cmd.Start()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.end)
	if _, err := r.stdin.Write(Flight(o)); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(stdout)
	line, err := br.ReadString('\n')
	if want := "SPINDLE1 " + r.nonce + "\n"; err != nil || line != want {
		t.Fatalf("marker = %q, %v, want %q", line, err, want)
	}
	r.tap = &tap{from: br}
	go r.read(wire.NewUnpacker(wire.NewReader(r.tap)))
	hello := r.next(0)
	if h, ok := hello.Header.(wire.Hello); !ok || h.Role != "agent" || h.Proto != wire.Proto {
		t.Fatalf("first frame is %#v, want HELLO of an agent", hello.Header)
	}
	r.pid, r.version = hello.Header.(wire.Hello).PID, hello.Header.(wire.Hello).Version
	if err := json.Unmarshal(hello.Body, &r.facts); err != nil {
		t.Fatalf("facts %s: %v", hello.Body, err)
	}
	return r
}

func nonce() string {
	b := make([]byte, 8)
	rand.Read(b)
	return hex.EncodeToString(b)
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("stderr: %s", p)
	return len(p), nil
}

func (r *remote) read(frames *wire.Unpacker) {
	for {
		f, err := frames.Next()
		r.mu.Lock()
		if err != nil {
			r.ended = err
		} else {
			r.queues[f.ID] = append(r.queues[f.ID], f)
		}
		r.change.Broadcast()
		r.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// next returns the next frame of an id. A test that waits in vain fails.
func (r *remote) next(id uint32) wire.Frame {
	r.t.Helper()
	f, err := r.await(id)
	if err != nil {
		r.t.Fatalf("waiting for a frame of %d: %v", id, err)
	}
	return f
}

func (r *remote) await(id uint32) (wire.Frame, error) {
	late := false
	timer := time.AfterFunc(patience, func() {
		r.mu.Lock()
		late = true
		r.change.Broadcast()
		r.mu.Unlock()
	})
	defer timer.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queues[id]) == 0 {
		if r.ended != nil {
			return wire.Frame{}, r.ended
		}
		if late {
			return wire.Frame{}, errors.New("nothing came")
		}
		r.change.Wait()
	}
	f := r.queues[id][0]
	r.queues[id] = r.queues[id][1:]
	return f, nil
}

// unread gives a frame back, for the next call of next.
func (r *remote) unread(id uint32, f wire.Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queues[id] = append([]wire.Frame{f}, r.queues[id]...)
}

// over says whether the link has ended.
func (r *remote) over() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended != nil
}

func (r *remote) send(id uint32, h wire.Header, body ...byte) {
	r.t.Helper()
	if err := r.trySend(id, h, body); err != nil {
		r.t.Fatalf("send %v: %v", h.Kind(), err)
	}
}

func (r *remote) trySend(id uint32, h wire.Header, body []byte) error {
	b, err := wire.Append(nil, wire.Frame{ID: id, Header: h, Body: body})
	if err != nil {
		return err
	}
	r.write.Lock()
	defer r.write.Unlock()
	_, err = r.stdin.Write(b)
	return err
}

func (r *remote) newID() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastID++
	return r.lastID
}

// meta is the JSON of a call.
type meta map[string]any

// result is how a call ended, with all of its output.
type result struct {
	wire.Result
	Out, Err string
}

// begin sends a CALL and returns its id.
func (r *remote) begin(op string, m meta, input []byte, change ...func(*wire.Call)) uint32 {
	r.t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		r.t.Fatal(err)
	}
	h := wire.Call{Op: op, MetaLen: len(b)}
	for _, c := range change {
		c(&h)
	}
	id := r.newID()
	r.send(id, h, append(b, input...)...)
	return id
}

// finish collects the output of a call, granting credit for all of it.
func (r *remote) finish(id uint32) result {
	r.t.Helper()
	var out, err bytes.Buffer
	for {
		f := r.next(id)
		switch h := f.Header.(type) {
		case wire.Data:
			map[int]*bytes.Buffer{1: &out, 2: &err}[h.Channel].Write(f.Body)
			r.send(id, wire.Credit{Channel: h.Channel, Bytes: len(f.Body)})
		case wire.Credit:
		case wire.Result:
			out.Write(f.Body[:h.OutLen])
			err.Write(f.Body[h.OutLen:])
			h.OutLen, h.ErrLen = 0, 0
			return result{h, out.String(), err.String()}
		default:
			r.t.Fatalf("%#v in a call", h)
		}
	}
}

// call does all of it.
func (r *remote) call(op string, m meta, input []byte, change ...func(*wire.Call)) result {
	r.t.Helper()
	return r.finish(r.begin(op, m, input, change...))
}

// shell runs a command line, which has to succeed, and returns its output.
func (r *remote) shell(command string) string {
	r.t.Helper()
	res := r.call("exec", meta{"argv": []string{"/bin/sh", "-c", command}}, nil)
	if res.Status != wire.StatusOK || res.RC != 0 {
		r.t.Fatalf("%s: %+v", command, res)
	}
	return res.Out
}

// end closes the link and waits until all is gone.
func (r *remote) end() {
	if r.closed {
		return
	}
	r.closed = true
	r.stdin.Close()
	done := make(chan error, 1)
	go func() { done <- r.cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(patience):
		r.t.Errorf("the agent does not end")
		r.cmd.Process.Kill()
	}
	r.gone()
}

// gone fails the test if anything of the agent is left.
func (r *remote) gone() {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	var left []string
	for {
		left = r.processes()
		if len(left) == 0 || time.Now().After(deadline) {
			break
		}
		time.Sleep(10 * time.Millisecond) // nobody tells when a process that is not ours has ended
	}
	for _, p := range left {
		r.t.Errorf("left running: %s", p)
	}
	filepath.WalkDir(r.local, func(path string, d os.DirEntry, err error) error {
		if name := filepath.Base(path); strings.HasPrefix(name, "ansible-spindle") || strings.HasPrefix(name, ".ansible_mitogen") || name == "base" {
			r.t.Errorf("left behind: %s", path)
		}
		return nil
	})
}

// processes lists what runs with the nonce in its command line or environment: everything that this agent has started.
func (r *remote) processes() []string {
	var found []string
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		line, _ := os.ReadFile(dir + "/cmdline")
		env, _ := os.ReadFile(dir + "/environ")
		if bytes.Contains(line, []byte(r.nonce)) || bytes.Contains(env, []byte(r.nonce)) {
			if pid, _ := strconv.Atoi(filepath.Base(dir)); pid != os.Getpid() {
				found = append(found, filepath.Base(dir)+" "+string(bytes.ReplaceAll(line, []byte{0}, []byte(" "))))
			}
		}
	}
	return found
}

// ping waits until the agent has seen all that was sent to it.
func (r *remote) ping() {
	r.t.Helper()
	r.send(0, wire.Ping{Stamp: 42})
	if f := r.next(0); f.Header != (wire.Ping{Reply: true, Stamp: 42}) {
		r.t.Fatalf("got %#v, want an answer to PING", f.Header)
	}
}

// pending returns how many frames of an id have come and were not taken.
func (r *remote) pending(id uint32) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queues[id])
}

// alone waits until nothing but the agent and its warden runs.
func (r *remote) alone() {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		switch left := r.processes(); {
		case len(left) <= 2:
			return
		case time.Now().After(deadline):
			r.t.Fatalf("still running: %q", left)
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
