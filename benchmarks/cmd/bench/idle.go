package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// idle is the memory of what a controller keeps for connected hosts, in bytes of proportional set size (each shared page divided among
// those that share it).
type idle struct {
	Multiplexer int64 `json:"multiplexer_pss"`
	Anonymous   int64 `json:"multiplexer_anonymous"` // resident, shared or not: it does not depend on how many forks happen to share it
	Clients     int64 `json:"ssh_clients_pss"`       // of OpenSSH, which a multiplexer may start for each host
}

// watcher waits until a playbook says that all its hosts are idle, looks, and lets it go on.
type watcher struct {
	engine string
	dir    string
	seen   idle
	err    error
}

func (w *watcher) watch(ctx context.Context) {
	w.err = errors.New("the playbook never said that its hosts are idle")
	for {
		if _, err := os.Stat(filepath.Join(w.dir, "ready")); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	// What the last task left in the air settles.
	select {
	case <-ctx.Done():
		return
	case <-time.After(500 * time.Millisecond):
	}
	w.seen, w.err = w.look()
	if err := os.WriteFile(filepath.Join(w.dir, "go"), nil, 0o600); err != nil {
		w.err = err
	}
}

// process is what /proc says of one.
type process struct {
	pid, parent int
	started     int64 // in the kernel's ticks
	name        string
	command     string
}

// look adds up what the run's processes use. All of them are below this one.
func (w *watcher) look() (idle, error) {
	all := map[int]process{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return idle{}, err
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			if p, ok := inspect(pid); ok {
				all[pid] = p
			}
		}
	}
	self := os.Getpid()
	below := func(p process) bool {
		for range 64 {
			if p.parent == self {
				return true
			}
			var ok bool
			if p, ok = all[p.parent]; !ok {
				return false
			}
		}
		return false
	}
	// Mitogen's multiplexer is the first fork of the first ansible-playbook, which is the oldest of that name.
	oldest := func(wanted func(process) bool) int {
		var found process
		for _, p := range all {
			if wanted(p) && (found.pid == 0 || p.started < found.started || p.started == found.started && p.pid < found.pid) {
				found = p
			}
		}
		return found.pid
	}
	main := oldest(func(p process) bool { return strings.Contains(p.command, "ansible-playbook") && below(p) })
	first := oldest(func(p process) bool { return p.parent == main })
	var sum idle
	for pid, p := range all {
		if !below(p) {
			continue
		}
		switch {
		case w.engine == "spindle" && strings.HasPrefix(p.name, "spindle"), w.engine == "mitogen" && pid == first:
			sum.Multiplexer += memory(pid, "Pss:")
			sum.Anonymous += memory(pid, "Anonymous:")
		case p.name == "ssh":
			sum.Clients += memory(pid, "Pss:")
		}
	}
	if w.engine != "stock" && sum.Multiplexer == 0 {
		return sum, errors.New("there is no multiplexer to look at")
	}
	return sum, nil
}

// inspect reads one process.
func inspect(pid int) (process, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	text := string(stat)
	begin, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	p := process{pid: pid, name: text[begin+1 : end]}
	if fields := strings.Fields(text[end+1:]); len(fields) > 19 {
		p.parent, _ = strconv.Atoi(fields[1])
		p.started, _ = strconv.ParseInt(fields[19], 10, 64)
	}
	command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	p.command = strings.ReplaceAll(string(command), "\x00", " ")
	return p, true
}

// memory is what the kernel says of all of a process's memory under a name, or 0 when it has ended.
func memory(pid int, name string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, name); found {
			var kib int64
			fmt.Sscan(rest, &kib)
			return kib << 10
		}
	}
	return 0
}
