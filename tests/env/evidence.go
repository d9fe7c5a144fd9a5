package env

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stackSignal makes a Python that has loaded the record callback write the stacks of its threads to its memory file of this name.
const (
	stackSignal = syscall.SIGUSR2
	stackFile   = "memfd:spindle-test-stacks"
)

// evidence is what a run that hangs is doing: its processes, where in the kernel each of their threads waits, the stacks of ansible-playbook and its
// workers, and the multiplexer's goroutines. That ends the multiplexer, so the run's process group is stopped before: what it would make of that is not
// how it hung.
func (c *Controller) evidence(group int) string {
	var b strings.Builder
	processes := c.Processes()
	depth := map[int]int{}
	for _, p := range processes {
		depth[p.PID] = 1
		if d, known := depth[p.Parent]; known {
			depth[p.PID] = d + 1
		}
		fmt.Fprintf(&b, "%s%v\n", strings.Repeat("  ", depth[p.PID]), p)
		b.WriteString(p.threads(strings.Repeat("  ", depth[p.PID]+2)))
	}
	b.WriteString(stacks(processes))
	_ = syscall.Kill(-group, syscall.SIGSTOP)
	for _, p := range processes {
		if p.Runs("spindle") && p.Matches(" serve ") {
			fmt.Fprintf(&b, "--- goroutines of %d\n%s\n", p.PID, p.goroutines())
		}
	}
	for _, m := range c.lab.others(c.Machine) {
		for _, p := range m.Processes() {
			if !m.belongs(p) {
				fmt.Fprintf(&b, "%s: %v\n", m.Name, p)
			}
		}
	}
	return b.String()
}

// others are the machines beside one.
func (l *Lab) others(but *Machine) (others []*Machine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.machines {
		if m != but {
			others = append(others, m)
		}
	}
	return others
}

// threads says of each thread of a process in which state it is, and where in the kernel.
func (p Process) threads(indent string) string {
	var b strings.Builder
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", p.PID))
	for _, task := range tasks {
		t, _ := readProcess(task)
		stack := strings.Join(strings.Fields(strings.ReplaceAll(slurp(task+"/stack"), "[<0>] ", "")), " < ")
		fmt.Fprintf(&b, "%s%s %s %s: %s\n", indent, filepath.Base(task), t.State, slurp(task+"/wchan"), stack)
	}
	return b.String()
}

// catches says whether a process has a handler for a signal.
func (p Process) catches(s syscall.Signal) bool {
	_, after, _ := strings.Cut(slurp(fmt.Sprintf("/proc/%d/status", p.PID)), "SigCgt:")
	mask, _, _ := strings.Cut(strings.TrimSpace(after), "\n")
	caught, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
	return err == nil && caught&(1<<(uint(s)-1)) != 0
}

// open finds an open file of a process by the beginning of its name.
func (p Process) open(name string) string {
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.PID))
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "/"+name) {
			return fd
		}
	}
	return ""
}

// stacks has the Pythons that can say where they are say it, one after the other.
func stacks(processes []Process) string {
	var b strings.Builder
	for _, p := range processes {
		file := p.open(stackFile)
		if file == "" || !p.catches(stackSignal) {
			continue
		}
		before := slurp(file)
		if err := syscall.Kill(p.PID, stackSignal); err != nil {
			continue
		}
		said := before
		Poll(time.Second, func() string { // a write for each line or so: until it says no more
			was := said
			if said = slurp(file); said == before || said != was {
				return "it is not done"
			}
			return ""
		})
		fmt.Fprintf(&b, "--- Python stacks of %d\n%s\n", p.PID, strings.TrimPrefix(said, before))
	}
	return b.String()
}

// goroutinesMost bounds what is shown of a multiplexer.
const goroutinesMost = 256 << 10

// goroutines ends a Go program with a dump of its goroutines, and reads it from where the program's errors go, if that is a file.
func (p Process) goroutines() string {
	errs, err := os.Open(fmt.Sprintf("/proc/%d/fd/2", p.PID))
	if err != nil {
		return err.Error()
	}
	defer errs.Close()
	info, err := errs.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "they are not written to a file"
	}
	if err := syscall.Kill(p.PID, syscall.SIGQUIT); err != nil {
		return err.Error()
	}
	Poll(5*time.Second, func() string {
		if now, alive := readProcess(fmt.Sprintf("/proc/%d", p.PID)); alive && now.State != "Z" {
			return "it has not ended"
		}
		return ""
	})
	text := make([]byte, goroutinesMost)
	n, _ := errs.ReadAt(text, 0)
	return string(text[:n])
}
