package env

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

//go:embed init.sh
var initScript string

// Machine is one set of namespaces over one root file system.
type Machine struct {
	Name string

	lab     *Lab
	layer   *layer
	dir     string // scratch: upper, work, point
	pid     int    // process 1 of the machine, as this process sees it
	nsid    string // its process namespace, as /proc names it
	cgroups *cgroups.Groups
	cmd     *exec.Cmd
	log     *tail
	once    sync.Once
	dead    chan struct{} // closed when process 1 has ended

	mu      sync.Mutex
	settled map[int]bool // processes that belong to the machine itself, as its daemons do
}

// machineCount keeps the directories of machines of one name apart.
var machineCount atomic.Int64

// machineSpec is what a machine is made of.
type machineSpec struct {
	name    string
	layer   *layer
	inner   *layer // what containers on the machine are made of, where it runs engines
	systemd bool   // it has control groups as systemd wants them
	ownNet  bool
	prepare func(upper string) error // writes into the upper layer before the machine starts
	plug    func(pid int) error      // connects the network
	argv    []string                 // process 1
	up      string                   // what process 1 prints on standard error when it is ready, or ""
}

// start brings a machine up and waits until it is ready.
func (l *Lab) start(t testing.TB, s machineSpec) *Machine {
	t.Helper()
	dir := filepath.Join(l.dir, fmt.Sprintf("%s.%d", s.name, machineCount.Add(1)))
	upper := filepath.Join(dir, "upper")
	err := os.MkdirAll(upper, 0o755)
	if err == nil && s.prepare != nil {
		err = s.prepare(upper)
	}
	var m *Machine
	if err == nil {
		m, err = l.boot(s, dir)
	}
	if errors.Is(err, errNoCgroups) {
		Unavailable(t, err.Error())
	}
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s printed:\n%s", s.name, m.log.last(15))
		}
	})
	return m
}

// cgroupPrefix begins the names of the control groups of all machines.
const cgroupPrefix = "spindle-tests."

// errNoCgroups is what a machine for engines cannot do without.
var errNoCgroups = errors.New("engines need control groups")

// boot starts a machine over what is in a directory: a new one, or one that has been up before.
func (l *Lab) boot(s machineSpec, dir string) (*Machine, error) {
	m := &Machine{Name: s.name, lab: l, layer: s.layer, dir: dir, dead: make(chan struct{}), log: &tail{}}
	upper, work, point := filepath.Join(m.dir, "upper"), filepath.Join(m.dir, "work"), filepath.Join(m.dir, "root")
	for _, d := range []string{upper, work, point} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	flags := uintptr(unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID)
	argv := append([]string{"/bin/sh", "-c", initScript, "init"}, s.argv...)
	env := []string{"NAME=" + s.name, "LOWER=" + s.layer.lower(), "UPPER=" + upper, "WORK=" + work, "POINT=" + point, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	if s.inner != nil || s.systemd {
		var err error
		if m.cgroups, err = cgroups.New(cgroupPrefix, filepath.Base(m.dir), s.systemd); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoCgroups, err)
		}
		env = append(env, "CGROUPS="+m.cgroups.Mount)
		if s.inner != nil {
			env = append(env, "INNER="+s.inner.lower())
		}
		argv = m.cgroups.Enter(append([]string{"unshare", "--cgroup", "--"}, argv...)...)
	}
	if s.ownNet {
		flags |= unix.CLONE_NEWNET
	} else {
		argv = append([]string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", l.pid)}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL, Setsid: true}
	cmd.Env = append(os.Environ(), env...)
	plugged, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// A pipe of our own: Wait must not depend on whoever inherits standard error on the machine.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w.Close()
	m.cmd, m.pid = cmd, cmd.Process.Pid
	l.mu.Lock()
	l.machines = append(l.machines, m)
	l.mu.Unlock()
	ready := make(chan struct{})
	go m.follow(r, s.up, ready)
	go func() { _ = cmd.Wait(); close(m.dead) }()
	if s.plug != nil {
		if err := s.plug(m.pid); err != nil {
			return nil, err
		}
	}
	fmt.Fprintln(plugged, "plugged")
	plugged.Close()
	select {
	case <-ready:
	case <-m.dead:
		return nil, fmt.Errorf("it ended while starting:\n%s", m.log)
	case <-time.After(stepLimit * Patience()):
		return nil, fmt.Errorf("it was not ready after %v:\n%s", stepLimit*Patience(), m.log)
	}
	if m.nsid, err = os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", m.pid)); err != nil {
		return nil, err
	}
	return m, nil
}

// follow keeps the last of what process 1 prints, and reports the line that says it is ready.
func (m *Machine) follow(r io.ReadCloser, up string, ready chan<- struct{}) {
	defer r.Close()
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		m.log.add(line)
		if ready != nil && up != "" && strings.Contains(line, up) {
			close(ready)
			ready = nil
		}
		if err != nil {
			return
		}
	}
}

// stop ends a machine at once, as a power cut would.
func (m *Machine) stop() {
	m.once.Do(func() {
		if m.cmd == nil || m.cmd.Process == nil {
			return
		}
		_ = syscall.Kill(m.pid, syscall.SIGKILL)
		select {
		case <-m.dead:
		case <-time.After(stepLimit):
		}
		if m.cgroups != nil {
			m.lab.leftover(m.cgroups.Remove())
		}
	})
}

// Crash ends the machine at once, as a power cut would: no process on it can say good bye.
func (m *Machine) Crash() { m.stop() }

// Log returns the last lines that process 1 of the machine printed: for a host, what its sshd logged.
func (m *Machine) Log() string { return m.log.String() }

// Root returns the path under which the machine's own "/" is visible to this process, every file system mounted there included.
func (m *Machine) Root() string { return fmt.Sprintf("/proc/%d/root", m.pid) }

// Command prepares a program to run on the machine. User "" is root. Dir "" is the user's home. The program gets a plain login environment and
// env on top, and when ctx ends, its whole process group is killed.
func (m *Machine) Command(ctx context.Context, user, dir string, env []string, argv ...string) (*exec.Cmd, error) {
	u, err := m.lookup(user)
	if err != nil {
		return nil, err
	}
	if dir == "" {
		dir = u.home
	}
	args := []string{
		"-t", strconv.Itoa(m.pid), "-m", "-u", "-i", "-n", "-p", "-r", "--wd=" + m.Root() + dir, "-S", u.uid, "-G", u.gid, "--",
		"/usr/bin/env", "-i", "HOME=" + u.home, "USER=" + u.name, "LOGNAME=" + u.name, "SHELL=/bin/bash", "LANG=C.UTF-8", "TERM=dumb",
		"PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
	}
	args = append(append([]string{"nsenter"}, args...), append(env, argv...)...)
	if m.cgroups != nil {
		args = append([]string{"nsenter", "-C"}, args[1:]...)
		if !m.cgroups.Managed {
			args = m.cgroups.Enter(args...)
		}
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	return cmd, nil
}

// Output is what a program on a machine left behind.
type Output struct {
	Code           int
	Stdout, Stderr string
}

// Exec runs a program on the machine as root, to its end.
func (m *Machine) Exec(t testing.TB, argv ...string) Output {
	t.Helper()
	return m.ExecAs(t, "", argv...)
}

// ExecAs runs a program on the machine as some user, to its end.
func (m *Machine) ExecAs(t testing.TB, user string, argv ...string) Output {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stepLimit)
	defer cancel()
	cmd, err := m.Command(ctx, user, "", nil, argv...)
	if err != nil {
		t.Fatalf("%s: %v", m.Name, err)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("%s: %q: %v", m.Name, argv, err)
	}
	return Output{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// MustExec is Exec of a program that has to succeed; it returns its output.
func (m *Machine) MustExec(t testing.TB, argv ...string) string {
	t.Helper()
	o := m.Exec(t, argv...)
	if o.Code != 0 {
		t.Fatalf("%s: %q ended with %d: %s%s", m.Name, argv, o.Code, o.Stdout, o.Stderr)
	}
	return o.Stdout
}

type account struct{ name, uid, gid, home string }

// lookup reads an account from the machine's own passwd.
func (m *Machine) lookup(user string) (account, error) {
	if user == "" {
		user = "root"
	}
	b, err := os.ReadFile(m.Root() + "/etc/passwd")
	if err != nil {
		return account{}, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == 7 && f[0] == user {
			return account{f[0], f[2], f[3], f[5]}, nil
		}
	}
	return account{}, fmt.Errorf("no user %s on %s", user, m.Name)
}

// tail keeps the last part of a log.
type tail struct {
	mu sync.Mutex
	b  []byte
}

// Write makes a tail the output of a program.
func (t *tail) Write(b []byte) (int, error) {
	t.add(string(b))
	return len(b), nil
}

func (t *tail) add(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, s...)
	if len(t.b) > 64<<10 {
		t.b = t.b[len(t.b)-32<<10:]
	}
}

// last returns the last lines.
func (t *tail) last(n int) string {
	lines := strings.Split(strings.TrimSpace(t.String()), "\n")
	// There are no login records on these machines, and sshd misses them at every logout.
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "syslogin_") })
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
