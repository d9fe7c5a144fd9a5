package run

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Result is one run of one engine.
type Result struct {
	Engine   string
	PID      int           // of the command
	Wall     time.Duration // from start to end of the command, not counting daemons that linger
	CPU      time.Duration // user and system, of everything that was started on the controller
	Output   string        // stdout and stderr, as they came
	FellBack string        // why this run was not the engine's own work, if so
	Err      error         // why the command did not succeed
}

// grace is how long a command has to end by itself once it was asked to.
const grace = 10 * time.Second

// Run runs a command of Ansible's ("ansible-playbook" or "ansible") under the engine, from cold, and waits for all that it started.
func (l *Lab) Run(ctx context.Context, e Engine, command string, args ...string) Result {
	result := Result{Engine: e.Name}
	config, err := l.configure(e)
	if err == nil {
		err = l.clear()
	}
	if err != nil {
		result.Err = err
		return result
	}
	AdoptOrphans()

	// A file, not a pipe: a daemon that keeps it open must not keep the clock running.
	output, err := os.CreateTemp(l.Dir, "output-")
	if err != nil {
		result.Err = err
		return result
	}
	defer os.Remove(output.Name())
	defer output.Close()

	argv := append(append(slices.Clone(l.Enter), command), args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = l.Dir
	cmd.Env = l.environment(e, config)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// The whole group, as Ctrl-C would: ansible-playbook cleans up after itself.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = grace

	before := children()
	started := time.Now()
	unwatch := l.watch(ctx)
	err = cmd.Run()
	result.Wall = time.Since(started)
	unwatch() // what it started is not the engine's
	if cmd.ProcessState != nil {
		result.PID = cmd.ProcessState.Pid()
		result.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	text, readErr := os.ReadFile(output.Name())
	result.Output = string(text)
	if e.Name == "spindle" {
		result.FellBack = l.fellBack(result.Output)
	}
	result.CPU += endOrphans(before, e.Patience)
	switch {
	case ctx.Err() != nil:
		result.Err = context.Cause(ctx)
	case err != nil:
		result.Err = fmt.Errorf("%s %s: %w\n%s", command, strings.Join(args, " "), err, complaints(result.Output))
	case readErr != nil:
		result.Err = readErr
	}
	return result
}

// Says returns the first line that a command prints, or its name. It is run in the lab, because even `ansible --version` makes a directory
// in the user's home.
func (l *Lab) Says(ctx context.Context, command string, args ...string) string {
	config, err := l.configure(Stock())
	if err != nil {
		return command
	}
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Dir = l.Dir
	cmd.Env = l.environment(Stock(), config)
	cmd.WaitDelay = grace
	out, err := cmd.Output()
	if err != nil {
		return command
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}

// watch runs Watch, if there is one, until the returned function is called, which waits for it.
func (l *Lab) watch(ctx context.Context) func() {
	if l.Watch == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Watch(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

var warning = regexp.MustCompile(`(?i)\[WARNING\][^\n]*spindle[^\n]*`)

// fellBack looks for traces of stock connections: an SSH master's socket, or Spindle's own word.
func (l *Lab) fellBack(output string) string {
	if found := warning.FindString(output); found != "" {
		return found
	}
	if sockets, _ := os.ReadDir(l.control); len(sockets) != 0 {
		return "an SSH master of Ansible's own was started"
	}
	return ""
}

var fatal = regexp.MustCompile(`(?m)^(fatal|failed|ERROR!|\S+ \| (UNREACHABLE|FAILED))[^\n]*$`)

// complaints are the first few words of failure in an output, or its end if there are none.
func complaints(output string) string {
	if found := fatal.FindAllString(output, 5); len(found) != 0 {
		return strings.Join(found, "\n")
	}
	return tail(output, 30)
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
