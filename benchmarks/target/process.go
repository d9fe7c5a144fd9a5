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

// serveVariable asks a program that calls ServeIfAsked to be a target. It holds the Options as JSON.
const serveVariable = "SPINDLE_BENCHMARK_TARGET"

// startLimit bounds the time until a target in another process listens.
const startLimit = 30 * time.Second

// Process is a target in a process of its own, so that what runs on the target is not counted among what the controller started.
type Process struct {
	Facts
	cmd      *exec.Cmd
	lifeline io.Closer
	closed   bool
}

// announcement is the one line that a target process prints.
type announcement struct {
	Facts
	Error string `json:"error,omitempty"`
}

// Spawn starts this same program again as a target. It ends by Close, and also when this process dies in whatever way.
func Spawn(ctx context.Context, options Options) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's own file: %w", err)
	}
	wish, err := json.Marshal(options)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serveVariable+"="+string(wish))
	cmd.Stderr = os.Stderr
	// Ctrl-C on the terminal must reach the program first, which then ends its targets in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a target: %w", err)
	}
	p := &Process{cmd: cmd, lifeline: lifeline}

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
		p.Close()
		return nil, fmt.Errorf("start a target: %w", errors.Join(err, context.Cause(ctx)))
	}
	p.Facts = said.Facts
	return p, nil
}

// PID is the target's process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Close ends the target and waits for its process. A second Close does nothing.
func (p *Process) Close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	p.lifeline.Close()
	timer := time.AfterFunc(10*time.Second, func() { p.cmd.Process.Kill() })
	defer timer.Stop()
	return p.cmd.Wait()
}

// ServeIfAsked turns this process into a target if Spawn started it, and returns at once if not. Call it first in main.
func ServeIfAsked() {
	wish := os.Getenv(serveVariable)
	if wish == "" {
		return
	}
	os.Unsetenv(serveVariable)
	if err := serve(wish); err != nil {
		json.NewEncoder(os.Stdout).Encode(announcement{Error: err.Error()})
		os.Exit(1)
	}
	os.Exit(0)
}

func serve(wish string) error {
	var options Options
	if err := json.Unmarshal([]byte(wish), &options); err != nil {
		return err
	}
	adoptOrphans()
	t, err := Start(options)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(announcement{Facts: t.Facts}); err != nil {
		return errors.Join(err, t.Close())
	}
	// The other end is held open by whoever spawned us, and by nobody else.
	io.Copy(io.Discard, os.Stdin)
	return t.Close()
}
