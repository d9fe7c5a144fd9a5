package local_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"spindle/transports"
	"spindle/transports/local"
	"spindle/transports/transporttest"
)

func TestMain(m *testing.M) {
	if os.Getenv("SPINDLE_TEST_PARENT") != "" {
		parent()
	}
	goleak.VerifyTestMain(m)
}

func TestSpawner(t *testing.T) {
	transporttest.Run(t, transporttest.Config{
		New:   func(*testing.T) transports.Spawner { return &local.Spawner{Grace: 200 * time.Millisecond} },
		Alive: transporttest.AliveHere,
	})
}

func spawn(t *testing.T, m transports.Mode, script string) transports.Link {
	t.Helper()
	l, err := (&local.Spawner{}).Spawn(t.Context(), transports.Command{Argv: []string{"/bin/sh", "-c", script}, Mode: m})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func line(t *testing.T, r io.Reader) string {
	t.Helper()
	s, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("%q, %v", s, err)
	}
	return strings.TrimSpace(s)
}

func number(t *testing.T, r io.Reader) int {
	t.Helper()
	n, err := strconv.Atoi(line(t, r))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// until waits for cond, which no event announces.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("in vain: %s", what)
		}
	}
}

// Each program leads its own session, so that nothing typed at Ansible's terminal reaches it.
func TestOwnSession(t *testing.T) {
	for _, m := range []transports.Mode{transports.Pipes, transports.ControlTTY, transports.FullTTY} {
		l := spawn(t, m, "echo $$; read x")
		pid := number(t, l)
		sid, err := unix.Getsid(pid)
		pgid, err2 := unix.Getpgid(pid)
		if err := errors.Join(err, err2); err != nil || sid != pid || pgid != pid {
			t.Errorf("%v: pid %d, session %d, group %d, %v", m, pid, sid, pgid, err)
		}
	}
}

// What ends is reaped, though nobody asks.
func TestReapsUnasked(t *testing.T) {
	l := spawn(t, transports.Pipes, "echo $$")
	pid := number(t, l)
	until(t, "the zombie goes", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
		return errors.Is(err, os.ErrNotExist)
	})
}

// A daemon that a program left behind outlives Close; that of a program which is ended does not (transporttest).
func TestDaemonIsLeftAlone(t *testing.T) {
	l := spawn(t, transports.Pipes, "sleep 1000 </dev/null >/dev/null 2>&1 & echo $!")
	pid := number(t, l)
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	if _, err := l.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if !transporttest.AliveHere(pid) {
		t.Error("the daemon is gone")
	}
}

func TestDescriptorsAreClosed(t *testing.T) {
	open := func() int {
		d, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(d)
	}
	round := func() {
		for _, m := range []transports.Mode{transports.Pipes, transports.ControlTTY, transports.FullTTY} {
			l := spawn(t, m, "read x")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			for _, c := range []transports.Command{
				{Argv: []string{"/nonexistent"}, Mode: m}, {Argv: []string{"true"}, Dir: "/nonexistent", Mode: m}, {Mode: m},
			} {
				if l, err := (&local.Spawner{}).Spawn(t.Context(), c); err == nil {
					t.Fatalf("Spawn(%+v) = %v", c, l)
				}
			}
		}
	}
	round() // the poller's own
	before := open()
	for range 5 {
		round()
	}
	if after := open(); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// The program has descriptors 0 to 2, those that this process was given by its parent to be inherited, and no other:
// none of ours, and none of programs beside it.
func TestNoDescriptorIsInherited(t *testing.T) {
	spawn(t, transports.ControlTTY, "read x")
	want := map[string]bool{"0": true, "1": true, "2": true}
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range d {
		fd, _ := strconv.Atoi(e.Name())
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			want[e.Name()] = true
		}
	}
	for _, m := range []transports.Mode{transports.Pipes, transports.ControlTTY, transports.FullTTY} {
		l, err := (&local.Spawner{}).Spawn(t.Context(), transports.Command{Argv: []string{"ls", "/proc/self/fd"}, Mode: m})
		if err != nil {
			t.Fatal(err)
		}
		out, err := io.ReadAll(l)
		if err := errors.Join(err, l.Close()); err != nil {
			t.Fatal(err)
		}
		var more []string
		for fd := range strings.FieldsSeq(string(out)) {
			if !want[fd] {
				more = append(more, fd)
			}
		}
		if len(more) > 1 { // one is the directory that ls reads
			t.Errorf("%v: descriptors %q, %q too many", m, strings.Fields(string(out)), more)
		}
	}
}

// The kernel ties the death signal to the thread that started a program. That a caller's thread ends must not end it.
func TestCallersThreadMayEnd(t *testing.T) {
	tids := make(chan int)
	links := make(chan transports.Link)
	done := make(chan struct{})
	defer close(done)
	var caller func()
	caller = func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			// The first thread of all cannot end. It is kept busy while another takes its place.
			go caller()
			<-done
			runtime.UnlockOSThread()
			return
		}
		tids <- unix.Gettid()
		l, err := (&local.Spawner{}).Spawn(t.Context(), transports.Command{Argv: []string{"cat"}})
		if err != nil {
			t.Error(err)
		}
		links <- l
	}
	go caller()
	tid, l := <-tids, <-links
	defer func() { _ = l.Close() }()
	until(t, "the thread ends", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid))
		return err != nil
	})
	_, _ = io.WriteString(l, "still there\n")
	if got := line(t, l); got != "still there" {
		t.Errorf("cat said %q", got)
	}
}

// Guarantee: nothing of ours is left when we are killed, not even what neither reads nor writes.
func TestKilledParent(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []transports.Mode{transports.Pipes, transports.ControlTTY, transports.FullTTY} {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), fmt.Sprintf("SPINDLE_TEST_PARENT=%d", m))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pid := number(t, out)
		if !transporttest.AliveHere(pid) {
			t.Error("not even started")
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		until(t, "the program of a killed parent ends", func() bool { return !transporttest.AliveHere(pid) })
	}
}

// parent is the process that TestKilledParent kills. Its program is deaf to hangups.
func parent() {
	m, _ := strconv.Atoi(os.Getenv("SPINDLE_TEST_PARENT"))
	l, err := (&local.Spawner{}).Spawn(context.Background(), transports.Command{
		Argv: []string{"/bin/sh", "-c", "trap '' HUP; echo $$; exec sleep 1000"}, Mode: transports.Mode(m),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = io.Copy(os.Stdout, l)
}

func TestStartErrors(t *testing.T) {
	for _, tt := range []struct {
		c    transports.Command
		want string
	}{
		{transports.Command{}, "no program named. Command was: "},
		{transports.Command{Argv: []string{"/etc/passwd"}}, "[Errno 13] Permission denied: '/etc/passwd'. Command was: /etc/passwd"},
		{transports.Command{Argv: []string{"true"}, Dir: "/nonexistent"}, "working directory: stat /nonexistent: no such file or directory. Command was: true"},
		{transports.Command{Argv: []string{"true"}, Dir: "/etc/passwd"}, "working directory: chdir /etc/passwd: not a directory. Command was: true"},
	} {
		_, err := (&local.Spawner{}).Spawn(t.Context(), tt.c)
		var ce *transports.ConnectError
		if !errors.As(err, &ce) || ce.Text != "Child start failed: "+tt.want {
			t.Errorf("%+v: error = %v, want %q", tt.c, err, tt.want)
		}
	}
}

func TestFactory(t *testing.T) {
	for _, tt := range []struct {
		kwargs  string
		timeout time.Duration
	}{
		{`{"python_path": ["python3"]}`, transports.DefaultTimeout},
		{``, transports.DefaultTimeout},
		{`{"connect_timeout": 5}`, 5 * time.Second},
	} {
		d, err := local.Factory(json.RawMessage(tt.kwargs))
		if err != nil || d.Name() != "local" || d.Timeout() != tt.timeout {
			t.Errorf("%s: %v, %v", tt.kwargs, d, err)
		}
	}
	if _, err := local.Factory(json.RawMessage(`{"connect_timeout": []}`)); err == nil {
		t.Error("a wrong setting was taken")
	}
}

// A dial by this method, all the way to a program that ends too early.
func TestDial(t *testing.T) {
	d, err := local.Factory(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Dial(t.Context(), &local.Spawner{}, transports.Program{
		Argv: []string{"/bin/sh", "-c", "echo hello; echo 'no way' >&2; exit 3"}, Flight: make([]byte, 1<<20), Nonce: "n",
	})
	var exit *transports.ExitError
	if err == nil || !errors.As(err, &exit) || exit.Code != 3 {
		t.Fatalf("error = %v", err)
	}
	for _, part := range []string{transports.TextEOF, "hello", "no way"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error = %q, want %q in it", err, part)
		}
	}
}

// Who loses a terminal that is all there is ends by that, if it does, and gets no signal that would have it take its time.
func TestHangupComesBeforeTerm(t *testing.T) {
	file := filepath.Join(t.TempDir(), "signalled")
	sp := local.Spawner{Hangup: time.Minute}
	l, err := sp.Spawn(t.Context(), transports.Command{
		Mode: transports.FullTTY,
		Argv: []string{"/bin/sh", "-c", `trap '' HUP; trap 'echo TERM >"$1"' TERM; echo $$; read x; exit 3`, "sh", file},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	number(t, l)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	e, err := l.Wait(t.Context())
	if _, not := os.Stat(file); e.Code != 3 || err != nil || !os.IsNotExist(not) {
		t.Errorf("%+v, %v; %v", e, err, not)
	}
	deaf, err := (&local.Spawner{Hangup: time.Millisecond}).Spawn(t.Context(), transports.Command{
		Mode: transports.FullTTY, Argv: []string{"/bin/sh", "-c", "trap '' HUP; echo $$; exec sleep 1000"},
	})
	if err != nil {
		t.Fatal(err)
	}
	number(t, deaf)
	if err := deaf.Close(); err != nil {
		t.Error(err)
	}
	if e, err := deaf.Wait(t.Context()); e.Signal != "TERM" || err != nil {
		t.Errorf("%+v, %v", e, err)
	}
}
