package env

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Process is one process of a machine, seen from outside.
type Process struct {
	PID    int // as this process sees it: what Kill takes
	Inner  int // as the machine sees it
	Parent int // as this process sees it; 0 is process 1 of the machine
	UID    int
	State  string // R, S, D, Z...
	Name   string // the kernel's short name
	Args   []string
	Exe    string // the program, by the path it has on its machine
}

// String shows a process as ps would.
func (p Process) String() string {
	return fmt.Sprintf("%d (%d under %d) uid %d %s [%s] %s", p.PID, p.Inner, p.Parent, p.UID, p.State, p.Name, strings.Join(p.Args, " "))
}

// Matches says whether the command line holds a text.
func (p Process) Matches(text string) bool { return strings.Contains(strings.Join(p.Args, " "), text) }

// Runs says whether the program's file has a name that begins so, as "python".
func (p Process) Runs(name string) bool { return strings.HasPrefix(filepath.Base(p.Exe), name) }

// Kill ends a process without warning. A process that is gone already is no error.
func (p Process) Kill() error {
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("kill %d: %w", p.PID, err)
	}
	return nil
}

// reaperSleep is what process 1 of a controller waits in; it belongs to it.
const reaperSleep = "sleep 2147483647"

// Processes lists what runs on the machine, oldest first, without its process 1 and without the dead that nobody has collected.
func (m *Machine) Processes() []Process {
	entries, _ := filepath.Glob("/proc/[0-9]*")
	var out []Process
	for _, dir := range entries {
		if ns, err := os.Readlink(dir + "/ns/pid"); err != nil || ns != m.nsid {
			continue
		}
		if p, ok := readProcess(dir); ok && p.PID != m.pid && p.State != "Z" && p.State != "X" && !p.Matches(reaperSleep) {
			if p.Parent == m.pid {
				p.Parent = 0
			}
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Process) int { return a.Inner - b.Inner })
	return out
}

// readProcess reads one directory of /proc. The process may end meanwhile: then there is none.
func readProcess(dir string) (Process, bool) {
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return Process{}, false
	}
	var p Process
	p.PID, _ = strconv.Atoi(filepath.Base(dir))
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		f := strings.Fields(value)
		if len(f) == 0 {
			continue
		}
		switch key {
		case "Name":
			p.Name = f[0]
		case "State":
			p.State = f[0]
		case "PPid":
			p.Parent, _ = strconv.Atoi(f[0])
		case "Uid":
			p.UID, _ = strconv.Atoi(f[0])
		case "NSpid":
			p.Inner, _ = strconv.Atoi(f[len(f)-1])
		}
	}
	if b, err := os.ReadFile(dir + "/cmdline"); err == nil && len(b) > 0 {
		p.Args = strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
	}
	p.Exe, _ = os.Readlink(dir + "/exe")
	return p, true
}

// Waiting says what a process is doing, for those that should have ended: where in the kernel it waits, and what it has open.
func (p Process) Waiting() string {
	dir := fmt.Sprintf("/proc/%d", p.PID)
	var where []string
	threads, _ := filepath.Glob(dir + "/task/*/wchan")
	for _, thread := range threads {
		b, _ := os.ReadFile(thread)
		where = append(where, string(b))
	}
	var open []string
	fds, _ := filepath.Glob(dir + "/fd/*")
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && !strings.HasPrefix(to, "/dev/null") {
			open = append(open, filepath.Base(fd)+"="+to)
		}
	}
	return fmt.Sprintf("its threads wait in %s, with %s", strings.Join(where, " and "), strings.Join(open, " "))
}

// Poll asks until the answer is "", or the limit has passed; it returns the last answer. It is how a test waits for something that no
// event announces: the end of a process on another machine, a file that goes away.
func Poll(limit time.Duration, ask func() string) string {
	deadline := time.Now().Add(limit)
	for {
		answer := ask()
		if answer == "" || time.Now().After(deadline) {
			return answer
		}
		time.Sleep(25 * time.Millisecond)
	}
}

// Quiet waits until nothing runs on the machine but process 1 and its engines' daemons, and reports what still does when the limit has passed.
func (m *Machine) Quiet(limit time.Duration) string {
	return Poll(limit*Patience(), func() string {
		var b strings.Builder
		for _, p := range m.Processes() {
			if !m.belongs(p) {
				fmt.Fprintf(&b, "%s: still running: %v: %s\n", m.Name, p, p.Waiting())
			}
		}
		return b.String()
	})
}

// Settle takes everything that runs now for the machine's own: Quiet says nothing of it.
func (m *Machine) Settle() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settled = map[int]bool{}
	for _, p := range m.Processes() {
		m.settled[p.PID] = true
	}
}

func (m *Machine) belongs(p Process) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settled[p.PID]
}

// WaitProcess waits until a process of the machine satisfies a condition and returns it.
func (m *Machine) WaitProcess(t testing.TB, limit time.Duration, what string, is func(Process) bool) Process {
	t.Helper()
	var found Process
	if late := Poll(limit, func() string {
		for _, p := range m.Processes() {
			if is(p) {
				found = p
				return ""
			}
		}
		return "none"
	}); late != "" {
		t.Fatalf("%s: no %s within %v; running: %v", m.Name, what, limit, m.Processes())
	}
	return found
}
