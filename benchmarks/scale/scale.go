package scale

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"spindle/ansiblebridge"
)

// clockTick is what /proc counts CPU time in.
const clockTick = time.Second / 100

// Lab is a multiplexer in front of a stand-in for any number of hosts. Nothing is shared with other labs.
type Lab struct {
	// Started is how long it took from starting the program until its socket was ready.
	Started time.Duration
	// Heartbeat is how often agents are asked whether they live, in seconds; the default is the product's own. Set it before the first Connect.
	Heartbeat int

	port    int
	config  string
	key     string
	standIn *program
	mux     *program
	client  *client

	mu       sync.Mutex
	contexts []string
	hosts    int
}

// New starts both programs; binary is spindle's. What they need on disk goes into a private directory in dir.
func New(binary, dir string) (*Lab, error) {
	dir, err := os.MkdirTemp(dir, "")
	if err != nil {
		return nil, err
	}
	l := &Lab{config: filepath.Join(dir, "ssh_config"), key: filepath.Join(dir, "id")}
	// Nobody's own settings count here.
	config := "Host *\n  UserKnownHostsFile " + filepath.Join(dir, "known_hosts") + "\n  GlobalKnownHostsFile none\n  IdentityAgent none\n"
	if err := os.WriteFile(l.config, []byte(config), 0o600); err != nil {
		return nil, err
	}
	if l.standIn, l.port, err = startStandIn(dir); err != nil {
		return nil, err
	}
	var socket string
	if l.mux, socket, l.Started, err = startMultiplexer(binary, dir); err != nil {
		return nil, errors.Join(err, l.standIn.close())
	}
	if l.client, err = newClient(socket); err != nil {
		return nil, errors.Join(err, l.mux.close(), l.standIn.close())
	}
	return l, nil
}

// Close ends both programs.
func (l *Lab) Close() error {
	l.client.close()
	return errors.Join(l.mux.close(), l.standIn.close())
}

// hops is the way to one host.
func (l *Lab) hops(n int) any {
	type object = map[string]any
	return []object{{
		"method": "ssh", "python": []string{"/usr/bin/python3"}, "remote_tmp": "~/.ansible/tmp", "system_tmpdirs": []string{"/var/tmp", "/tmp"},
		"heartbeat": object{"seconds": l.Heartbeat},
		"kwargs": object{
			"hostname": fmt.Sprintf("127.%d.%d.%d", 1+n/62500, n/250%250, 1+n%250), "port": l.port, "username": "standin", "password": nil,
			"identity_file": l.key, "identities_only": true, "check_host_keys": "enforce", "compression": true, "connect_timeout": 600,
			"keepalive_interval": 30, "keepalive_count": 10, "ssh_args": []string{"-F", l.config}, "ssh_debug_level": 0, "ssh_path": "ssh",
		},
	}}
}

// Crowd is how it went when many connected at once.
type Crowd struct {
	Hosts int
	// First and Last are how long it took until the first host had answered a call, and until all had.
	First, Last time.Duration
	// CPU is what the multiplexer used, and what it started.
	CPU time.Duration
}

// Connect opens count more hosts, all at once, and makes a call on each.
func (l *Lab) Connect(ctx context.Context, count int) (Crowd, error) {
	from := l.hosts
	l.hosts += count
	var first atomic.Int64
	cpu, began := l.cpu(), time.Now()
	err := together(count, func(n int) error {
		out, err := l.client.call(ctx, "connect", "", map[string]any{"hops": l.hops(from + n), "holder": from + n + 1})
		if err != nil {
			return err
		}
		var reply struct{ Context, How, Why string }
		if err := json.Unmarshal(out, &reply); err != nil {
			return err
		}
		if reply.How != "native" {
			return fmt.Errorf("connected by way of %s (%s), want native", reply.How, reply.Why)
		}
		if err := l.task(ctx, reply.Context); err != nil {
			return err
		}
		first.CompareAndSwap(0, int64(time.Since(began)))
		l.mu.Lock()
		defer l.mu.Unlock()
		l.contexts = append(l.contexts, reply.Context)
		return nil
	})
	return Crowd{Hosts: count, First: time.Duration(first.Load()), Last: time.Since(began), CPU: l.cpu() - cpu}, err
}

func (l *Lab) task(ctx context.Context, where string) error {
	out, err := l.client.call(ctx, "exec", where, map[string]any{"argv": []string{"true"}})
	if err == nil && string(out) != standInSays {
		err = fmt.Errorf("the stand-in said %q", out)
	}
	return err
}

// Tasks is what calls cost on so many hosts at once.
type Tasks struct {
	Hosts, Calls int
	Wall, CPU    time.Duration
}

// Each is what one call takes.
func (t Tasks) Each() time.Duration { return t.CPU / time.Duration(max(1, t.Calls)) }

// Work makes calls one after the other on each of the first hosts, on all of them at once.
func (l *Lab) Work(ctx context.Context, hosts, calls int) (Tasks, error) {
	cpu, began := l.cpu(), time.Now()
	err := together(hosts, func(n int) error {
		for range calls {
			if err := l.task(ctx, l.contexts[n]); err != nil {
				return err
			}
		}
		return nil
	})
	return Tasks{Hosts: hosts, Calls: hosts * calls, Wall: time.Since(began), CPU: l.cpu() - cpu}, err
}

// Idle is what the multiplexer takes while nothing happens.
type Idle struct {
	ansiblebridge.Stats
	// Resident is what the system has given the process.
	Resident uint64
}

// Goroutines do not come and go any more when their number has been the same for so long. With thousands of heartbeats that is never so, and they
// are few then.
const (
	settled     = time.Second
	settleLimit = 10 * time.Second
)

// Idle asks for it, when what was only needed for work is gone and garbage has been removed.
func (l *Lab) Idle(ctx context.Context) (Idle, error) {
	var idle Idle
	began := time.Now()
	poll := time.NewTicker(settled / 20)
	defer poll.Stop()
	for last, since := -1, began; time.Since(since) < settled && time.Since(began) < settleLimit; {
		if err := l.stats(ctx, false, &idle.Stats); err != nil {
			return idle, err
		}
		if idle.Goroutines != last {
			last, since = idle.Goroutines, time.Now()
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return idle, ctx.Err()
		}
	}
	// Twice: what a collection frees in pools goes with the next one.
	for range 2 {
		if err := l.stats(ctx, true, &idle.Stats); err != nil {
			return idle, err
		}
	}
	var err error
	idle.Resident, err = l.resident()
	return idle, err
}

func (l *Lab) stats(ctx context.Context, collect bool, into *ansiblebridge.Stats) error {
	out, err := l.client.call(ctx, "stats", "", map[string]any{"collect": collect})
	if err != nil {
		return err
	}
	return json.Unmarshal(out, into)
}

// Profile is one of Go's own, of the multiplexer.
func (l *Lab) Profile(ctx context.Context, name string) ([]byte, error) {
	return l.client.call(ctx, "stats", "", map[string]any{"profile": name})
}

func (l *Lab) resident() (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", l.mux.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, fmt.Errorf("statm says %q", b)
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize()), err
}

// cpu is what the multiplexer has used so far, with what it has started and waited for. It is 0 where there is no telling.
func (l *Lab) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.mux.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name may have blanks
	fields := strings.Fields(rest)
	var ticks int64
	for _, i := range []int{11, 12, 13, 14} { // utime, stime, cutime, cstime
		if i < len(fields) {
			n, _ := strconv.ParseInt(fields[i], 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * clockTick
}

// together does something count times at once and returns the first error.
func together(count int, do func(n int) error) error {
	var all sync.WaitGroup
	failed := make(chan error, count)
	for n := range count {
		all.Go(func() {
			if err := do(n); err != nil {
				failed <- fmt.Errorf("host %d: %w", n, err)
			}
		})
	}
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}
