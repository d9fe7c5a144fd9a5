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
)

// startLimit bounds the time until a child has announced itself.
const startLimit = 30 * time.Second

// child is this same program, started again as something else. It ends by Close, and also when this process dies in whatever way.
type child struct {
	cmd      *exec.Cmd
	lifeline io.Closer
	closed   bool
}

// announcement is the one line that a child prints.
type announcement struct {
	Facts
	Error string `json:"error,omitempty"`
}

// startChild starts this program with a wish in a variable, and waits for what it announces. what is its name in errors.
func startChild(ctx context.Context, what, variable string, wish any, attributes *syscall.SysProcAttr) (*child, Facts, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, Facts{}, fmt.Errorf("find this program's own file: %w", err)
	}
	text, err := json.Marshal(wish)
	if err != nil {
		return nil, Facts{}, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), variable+"="+string(text))
	cmd.Stderr = os.Stderr
	// Ctrl-C on the terminal must reach the program first, which then ends its children in order.
	attributes.Setsid = true
	cmd.SysProcAttr = attributes
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return nil, Facts{}, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, Facts{}, err
	}
	if err := cmd.Start(); err != nil {
		return nil, Facts{}, fmt.Errorf("start a %s: %w", what, err)
	}
	c := &child{cmd: cmd, lifeline: lifeline}

	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer stop()
	var said announcement
	err = json.NewDecoder(out).Decode(&said)
	if err == nil && said.Error != "" {
		err = errors.New(said.Error)
	}
	if err != nil {
		c.Close()
		return nil, Facts{}, fmt.Errorf("start a %s: %w", what, errors.Join(err, context.Cause(ctx)))
	}
	return c, said.Facts, nil
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
