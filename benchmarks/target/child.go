package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"spindle/tests/cgroups"
)

// startLimit bounds the time until a child has announced itself.
const startLimit = 30 * time.Second

// child is this same program, started again as something else. It ends by Close, and also when this process dies in whatever way.
type child struct {
	cmd      *exec.Cmd
	lifeline io.Closer
	closed   bool
}

// childSpec says what a child is to be.
type childSpec struct {
	what       string // its name in errors
	variable   string // holds the wish, and asks for it
	wish       any
	attributes *syscall.SysProcAttr
	enter      func(argv ...string) []string // what starts the program instead, if anything does
	longer     time.Duration                 // that it may take beyond the usual to announce itself
}

// announcement is the one line that a child prints.
type announcement struct {
	Facts
	Groups *cgroups.Groups `json:"groups,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// startChild starts this program with a wish in a variable, and waits for what it announces.
func startChild(ctx context.Context, spec childSpec) (*child, announcement, error) {
	var said announcement
	self, err := os.Executable()
	if err != nil {
		return nil, said, fmt.Errorf("find this program's own file: %w", err)
	}
	text, err := json.Marshal(spec.wish)
	if err != nil {
		return nil, said, err
	}
	argv := []string{self}
	if spec.enter != nil {
		argv = spec.enter(self)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), spec.variable+"="+string(text))
	cmd.Stderr = os.Stderr
	// Ctrl-C on the terminal must reach the program first, which then ends its children in order.
	spec.attributes.Setsid = true
	cmd.SysProcAttr = spec.attributes
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return nil, said, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, said, err
	}
	if err := cmd.Start(); err != nil {
		return nil, said, fmt.Errorf("start a %s: %w", spec.what, err)
	}
	c := &child{cmd: cmd, lifeline: lifeline}

	ctx, cancel := context.WithTimeout(ctx, startLimit+spec.longer)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer stop()
	err = json.NewDecoder(out).Decode(&said)
	if err == nil && said.Error != "" {
		err = errors.New(said.Error)
	}
	if err != nil {
		c.Close()
		return nil, said, fmt.Errorf("start a %s: %w", spec.what, errors.Join(err, context.Cause(ctx)))
	}
	return c, said, nil
}

// PID is its process.
func (c *child) PID() int { return c.cmd.Process.Pid }

// Close ends it and waits for its process. A second Close does nothing.
func (c *child) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	c.lifeline.Close()
	timer := time.AfterFunc(10*time.Second, func() { c.cmd.Process.Kill() })
	defer timer.Stop()
	return c.cmd.Wait()
}
