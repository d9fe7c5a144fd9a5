package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// serveVariable asks a program that calls ServeIfAsked to be a target. It holds the Options as JSON.
const serveVariable = "SPINDLE_BENCHMARK_TARGET"

// Process is a target in a process of its own, so that what runs on the target is not counted among what the controller started.
type Process struct {
	Facts
	*child
	keeper *child // of the control groups of a machine with containers
}

// Spawn starts this same program again as a target.
func Spawn(ctx context.Context, options Options) (*Process, error) {
	attributes := &syscall.SysProcAttr{}
	if options.Root != "" {
		// The kernel ends everything on a machine with its process 1, and that with this program.
		attributes.Pdeathsig = syscall.SIGKILL
		attributes.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC
	}
	p := &Process{}
	spec := childSpec{what: "target", variable: serveVariable, attributes: attributes}
	var err error
	if options.Containers != 0 {
		if p.keeper, options.Groups, err = startKeeper(ctx); err != nil {
			return nil, err
		}
		// The groups that it begins in are the top of what it sees of them.
		spec.enter = func(argv ...string) []string {
			return options.Groups.Enter(append([]string{"unshare", "--cgroup", "--"}, argv...)...)
		}
		spec.longer = time.Duration(options.Containers) * containerLimit
	}
	spec.wish = options
	var said announcement
	if p.child, said, err = startChild(ctx, spec); err != nil {
		return nil, errors.Join(err, p.closeKeeper())
	}
	p.Facts = said.Facts
	return p, nil
}

// Close ends the target and all that is on it.
func (p *Process) Close() error { return errors.Join(p.child.Close(), p.closeKeeper()) }

func (p *Process) closeKeeper() error {
	if p.keeper == nil {
		return nil
	}
	return p.keeper.Close()
}

// Helper is the process that looks after what the kernel does not remove with the target, or 0.
func (p *Process) Helper() int {
	if p.keeper == nil {
		return 0
	}
	return p.keeper.PID()
}

// Path is the path on this machine of a file on the target.
func (p *Process) Path(name string) string {
	if p.Playground == "" {
		return name
	}
	return fmt.Sprintf("/proc/%d/root%s", p.PID(), name)
}

// ServeIfAsked turns this process into a target if Spawn started it, into a line if SpawnLine did, or into what looks after a target, and returns at
// once if not. Call it first in main.
func ServeIfAsked() {
	act, wish := serve, os.Getenv(serveVariable)
	if line := os.Getenv(lineVariable); line != "" {
		act, wish = serveLine, line
	}
	if groups := os.Getenv(groupsVariable); groups != "" {
		act, wish = keepGroups, groups
	}
	if wish == "" {
		return
	}
	os.Unsetenv(serveVariable)
	os.Unsetenv(lineVariable)
	os.Unsetenv(groupsVariable)
	if err := act(wish); err != nil {
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
