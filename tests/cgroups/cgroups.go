package cgroups

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// hierarchy is one mounted tree of control groups.
type hierarchy struct {
	point   string // where this machine has it mounted
	own     string // the group of this process, as a path on this machine
	kind    string // cgroup or cgroup2
	options string // what mount wants to hear for it
}

// hierarchies reads what is mounted here.
func hierarchies() ([]hierarchy, error) {
	own := map[string]string{} // controllers of a version 1 hierarchy, "" for version 2: our group in it
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(groups)) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 {
			own[f[1]] = f[2]
		}
	}
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer mounts.Close()
	var out []hierarchy
	in := bufio.NewScanner(mounts)
	for in.Scan() {
		before, after, _ := strings.Cut(in.Text(), " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if len(f) < 5 || len(g) < 3 || !strings.HasPrefix(g[0], "cgroup") {
			continue
		}
		h := hierarchy{point: f[4], kind: g[0]}
		if h.kind == "cgroup" {
			var names []string
			for o := range strings.SplitSeq(g[2], ",") {
				switch o {
				case "rw", "ro", "xattr", "clone_children", "noprefix", "none":
				default:
					names = append(names, o)
				}
			}
			h.options = strings.Join(names, ",")
		}
		group, ok := own[h.options]
		if rest, err := filepath.Rel(f[3], group); err == nil && ok && !strings.HasPrefix(rest, "..") {
			h.own = filepath.Join(h.point, rest)
			out = append(out, h)
		}
	}
	return out, in.Err()
}

// Groups are the control groups of one machine: a directory in each hierarchy.
type Groups struct {
	Dirs    []string
	Mount   string // shell commands that mount them, to be run in the machine's root directory and its namespaces
	Managed bool   // by systemd, which wants nobody else in them
}

// Top is the name of the group that everything of a process is below.
func Top(prefix string, pid int) string { return fmt.Sprintf("%s%d", prefix, pid) }

// New makes the groups of a machine. Those for systemd are of version 2 only.
func New(prefix, name string, systemd bool) (*Groups, error) {
	hs, err := hierarchies()
	if err != nil {
		return nil, err
	}
	if systemd {
		hs = slices.DeleteFunc(hs, func(h hierarchy) bool { return h.kind != "cgroup2" })
	}
	if len(hs) == 0 {
		return nil, errors.New("no control groups are mounted here")
	}
	g := &Groups{Managed: systemd}
	if len(hs) > 1 {
		g.Mount = "mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup\n"
	}
	for _, h := range hs {
		top := filepath.Join(h.own, Top(prefix, os.Getpid()))
		dir := filepath.Join(top, name)
		g.Dirs = append(g.Dirs, dir)
		for _, d := range []string{top, dir} {
			if err := makeGroup(d); err != nil {
				return nil, errors.Join(err, g.Remove())
			}
		}
		switch point := "sys/fs/cgroup/" + filepath.Base(h.point); {
		case h.kind == "cgroup2" && len(hs) == 1:
			g.Mount += "mount -t cgroup2 cgroup2 sys/fs/cgroup\n"
		case h.kind == "cgroup2":
			g.Mount += fmt.Sprintf("mkdir %[1]s; mount -t cgroup2 cgroup2 %[1]s\n", point)
		default:
			o := h.options
			if strings.HasPrefix(o, "name=") {
				o = "none," + o
			}
			g.Mount += fmt.Sprintf("mkdir %[1]s; mount -t cgroup -o %[2]s cgroup %[1]s\n", point, o)
		}
	}
	return g, nil
}

// makeGroup makes one group, unless it is there. A cpuset of version 1 takes no process until it says where that may run.
func makeGroup(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
		set, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil || len(bytes.TrimSpace(set)) != 0 {
			continue
		}
		above, err := os.ReadFile(filepath.Join(filepath.Dir(dir), f))
		if err != nil || len(bytes.TrimSpace(above)) == 0 {
			continue // of version 2, where nothing means what is above
		}
		if err := os.WriteFile(filepath.Join(dir, f), above, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Enter is a program that puts itself into the groups and then becomes another one.
func (g *Groups) Enter(argv ...string) []string {
	script := ""
	for _, d := range g.Dirs {
		script += fmt.Sprintf("echo 0 >'%s/cgroup.procs' || exit 125\n", d)
	}
	return append([]string{"/bin/sh", "-c", script + `exec "$@"`, "enter"}, argv...)
}

// Remove takes the groups away, with all that engines made below. A process that is just ending holds its group a moment longer.
func (g *Groups) Remove() error {
	var errs []error
	for _, d := range g.Dirs {
		errs = append(errs, removeGroup(d, 5*time.Second))
		if err := os.Remove(filepath.Dir(d)); err != nil && !os.IsNotExist(err) && !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.ENOTEMPTY) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// removeGroup removes a control group and those below it.
func removeGroup(dir string, limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(25 * time.Millisecond) {
		var dirs []string
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for _, d := range slices.Backward(dirs) {
			_ = syscall.Rmdir(d)
		}
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return nil
		}
		if time.Now().After(deadline) {
			procs, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			return fmt.Errorf("control group %s stays, with the processes %q", dir, procs)
		}
	}
}

// Sweep removes the groups that processes have left which were killed.
func Sweep(prefix string) {
	hs, err := hierarchies()
	if err != nil {
		return
	}
	for _, h := range hs {
		old, _ := filepath.Glob(filepath.Join(h.own, prefix+"*"))
		for _, dir := range old {
			var pid int
			if _, err := fmt.Sscan(strings.TrimPrefix(filepath.Base(dir), prefix), &pid); err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				_ = removeGroup(dir, 0)
			}
		}
	}
}
