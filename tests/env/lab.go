package env

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"spindle/tests/cgroups"

	"golang.org/x/sys/unix"
)

// stepLimit bounds every single step of building or looking at a machine.
const stepLimit = 30 * time.Second

// ControllerAddr is the address of the switch itself, and so of every controller on it.
const ControllerAddr = "10.99.0.1"

// BlackholeAddr is an address on the switch's network that swallows packets: a connection to it gets no answer at all.
const BlackholeAddr = "10.99.66.6"

// RefusedAddr is an address of the switch on which nothing listens: a connection to it is refused at once.
const RefusedAddr = "10.99.0.2"

// Lab is a private switch with the machines plugged into it, and more switches behind it where a test wants them.
type Lab struct {
	dir string // scratch space of this lab, on a memory file system
	pid int    // the process that keeps the namespace of the first switch alive

	mu       sync.Mutex
	machines []*Machine
	segments []*Segment
	left     []error // what could not be cleaned away
}

var (
	labCount  atomic.Int64
	sweepOnce sync.Once
)

// Scratch returns the directory in which this process keeps everything of its machines. It lies on another file system than "/", since
// an overlay cannot have its upper layer inside its own lower one.
func scratch() string {
	base := os.Getenv("SPINDLE_TEST_SCRATCH")
	if base == "" {
		base = "/dev/shm/spindle-tests"
	}
	return filepath.Join(base, strconv.Itoa(os.Getpid()))
}

// missing says why no lab can be built here, or "" when one can.
func missing() string {
	if runtime.GOOS != "linux" {
		return "namespaces need Linux"
	}
	if os.Geteuid() != 0 {
		return "namespaces need root"
	}
	for _, tool := range []string{"ip", "nsenter", "unshare", "sshd", "ssh-keygen", "sudo", "useradd", "chpasswd"} {
		if _, err := lookTool(tool); err != nil {
			return fmt.Sprintf("the program %s is missing", tool)
		}
	}
	return ""
}

func lookTool(name string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	for _, d := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		p := filepath.Join(d, name)
		if s, err := os.Stat(p); err == nil && s.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", exec.ErrNotFound
}

// Unavailable ends a test that cannot run here: it skips it loudly, or fails it where everything has to be there.
func Unavailable(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("SPINDLE_TEST_REQUIRE") != "" {
		t.Fatalf("this test must run here, but: %s", why)
	}
	t.Skipf("NOT TESTED: %s", why)
}

// New builds an empty switch and takes it down with the test.
func New(t testing.TB) *Lab {
	t.Helper()
	if why := missing(); why != "" {
		Unavailable(t, why)
	}
	sweepOnce.Do(func() {
		sweep(filepath.Dir(scratch()))
		cgroups.Sweep(cgroupPrefix)
	})
	l := &Lab{dir: filepath.Join(scratch(), fmt.Sprintf("lab%d", labCount.Add(1)))}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		t.Fatalf("scratch directory: %v", err)
	}
	t.Cleanup(func() { l.close(t) })
	front := l.newSwitch(t, "10.99", 16)
	l.pid = front.pid
	steps := []string{
		"addr add " + ControllerAddr + "/16 dev br0",
		"addr add " + RefusedAddr + "/16 dev br0",
		// A neighbour that does not exist: packets leave and nothing ever comes back.
		"neigh add " + BlackholeAddr + " lladdr 02:00:00:00:66:06 nud permanent dev br0",
	}
	for _, s := range steps {
		if err := front.ip(strings.Fields(s)...); err != nil {
			t.Fatalf("switch: %v", err)
		}
	}
	return l
}

// ipIn runs ip(8) in the network namespace of a process.
func ipIn(pid int, args ...string) error {
	_, err := run(append([]string{"nsenter", "-t", strconv.Itoa(pid), "-n", "ip"}, args...)...)
	return err
}

// run runs a program of this machine to its end and returns what it printed.
func run(argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), stepLimit)
	defer cancel()
	path, err := lookTool(argv[0])
	if err != nil {
		return "", fmt.Errorf("%s: %w", argv[0], err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, path, argv[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(out.String()))
	}
	return out.String(), nil
}

// Listen opens a listening socket on the switch, as a controller would. The address may have port 0.
func (l *Lab) Listen(addr string) (net.Listener, error) {
	return inNetwork(l.pid, func() (net.Listener, error) { return net.Listen("tcp", addr) })
}

// Dial connects from the switch to a machine on it.
func (l *Lab) Dial(ctx context.Context, addr string) (net.Conn, error) {
	return inNetwork(l.pid, func() (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	})
}

// inNetwork calls f with the calling thread in the network namespace of a process. A socket stays in the namespace that
// it was made in, so its use afterwards needs nothing special.
func inNetwork[T any](pid int, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() { done <- r }()
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			r.err = err
			return
		}
		defer home.Close()
		there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err != nil {
			r.err = err
			return
		}
		defer there.Close()
		if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
			r.err = fmt.Errorf("enter network of process %d: %w", pid, err)
			return
		}
		r.v, r.err = f()
		// A thread that cannot come home stays locked, and ends with its goroutine.
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err == nil {
			runtime.UnlockOSThread()
		}
	}()
	r := <-done
	return r.v, r.err
}

// leftover notes what could not be cleaned away, for the end of the test.
func (l *Lab) leftover(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = append(l.left, err)
}

func (l *Lab) close(t testing.TB) {
	l.mu.Lock()
	machines, segments := l.machines, l.segments
	l.mu.Unlock()
	for _, m := range machines {
		m.stop()
	}
	if err := errors.Join(l.left...); err != nil {
		t.Errorf("left behind: %v", err)
	}
	for _, s := range segments {
		_ = syscall.Kill(s.pid, syscall.SIGKILL)
	}
	if t.Failed() && os.Getenv("SPINDLE_TEST_KEEP") != "" {
		t.Logf("kept: %s", l.dir)
		return
	}
	if err := removeAll(l.dir); err != nil {
		t.Logf("scratch directory: %v", err)
	}
	// The prepared layers stay until the process ends: other tests of this binary use them.
}

// removeAll removes a directory that a dying mount namespace may still hold for a moment.
func removeAll(dir string) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := os.RemoveAll(dir)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		runtime.Gosched()
		time.Sleep(20 * time.Millisecond)
	}
}

// sweep removes the scratch directories of test binaries that were killed before they could. Their processes and
// namespaces are gone already: the kernel ended them with their parent.
func sweep(base string) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			_ = os.RemoveAll(filepath.Join(base, e.Name()))
		}
	}
}

// Cleanup removes what this process still has on disk. Call it at the end of TestMain.
func Cleanup() { _ = removeAll(scratch()) }

// Main is the body of a TestMain: it runs the tests and removes what they shared. What the tests start has the signals of a login, also where
// the tests themselves were started with nohup, or as a job in the background.
func Main(m *testing.M) int {
	defer Cleanup()
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s) // a program that is started does not inherit a handler
		}
	}
	return m.Run()
}
