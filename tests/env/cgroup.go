package env

import (
	"bufio"
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

// A machine with container engines has control groups of its own, below those of the test, and a namespace that shows it nothing else:
// what an engine leaves there is found and removed by name, on a machine of either kind of control groups.

// cgroupPrefix and the process id of the test binary are the name of the group that everything of its machines is below.
const cgroupPrefix = "spindle-tests."

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

// cgroups are the control groups of one machine: a directory in each hierarchy.
type cgroups struct {
	dirs    []string
	mount   string // shell commands, to be run on the machine, that mount them
	managed bool   // by systemd, which wants nobody else in them
}

// newCgroups makes the groups of a machine. Those for systemd are of version 2 only.
func newCgroups(name string, systemd bool) (*cgroups, error) {
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
	c := &cgroups{managed: systemd}
	if len(hs) > 1 {
		c.mount = "mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup\n"
	}
	for _, h := range hs {
		top := filepath.Join(h.own, fmt.Sprintf("%s%d", cgroupPrefix, os.Getpid()))
		dir := filepath.Join(top, name)
		for _, d := range []string{top, dir} {
			if err := os.Mkdir(d, 0o755); err != nil && !os.IsExist(err) {
				return nil, err
			}
			// A cpuset takes no process until it says where that may run.
			for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
				if b, err := os.ReadFile(filepath.Join(filepath.Dir(d), f)); err == nil && h.kind == "cgroup" {
					if err := os.WriteFile(filepath.Join(d, f), b, 0o644); err != nil {
						return nil, err
					}
				}
			}
		}
		c.dirs = append(c.dirs, dir)
		switch point := "sys/fs/cgroup/" + filepath.Base(h.point); {
		case h.kind == "cgroup2" && len(hs) == 1:
			c.mount += "mount -t cgroup2 cgroup2 sys/fs/cgroup\n"
		case h.kind == "cgroup2":
			c.mount += fmt.Sprintf("mkdir %[1]s; mount -t cgroup2 cgroup2 %[1]s\n", point)
		default:
			o := h.options
			if strings.HasPrefix(o, "name=") {
				o = "none," + o
			}
			c.mount += fmt.Sprintf("mkdir %[1]s; mount -t cgroup -o %[2]s cgroup %[1]s\n", point, o)
		}
	}
	return c, nil
}

// enter is a program that puts itself into the groups and then becomes another one.
func (c *cgroups) enter(argv ...string) []string {
	script := ""
	for _, d := range c.dirs {
		script += fmt.Sprintf("echo 0 >'%s/cgroup.procs' || exit 125\n", d)
	}
	return append([]string{"/bin/sh", "-c", script + `exec "$@"`, "enter"}, argv...)
}

// remove takes the groups away, with all that engines made below. A process that is just ending holds its group a moment longer.
func (c *cgroups) remove() error {
	var errs []error
	for _, d := range c.dirs {
		errs = append(errs, removeGroup(d, 5*time.Second))
		if err := os.Remove(filepath.Dir(d)); err != nil && !os.IsNotExist(err) && !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.ENOTEMPTY) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// removeGroup removes a control group and those below it.
func removeGroup(dir string, limit time.Duration) error {
	late := Poll(limit, func() string {
		var dirs []string
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for i := len(dirs) - 1; i >= 0; i-- {
			_ = syscall.Rmdir(dirs[i])
		}
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return ""
		}
		procs, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		return fmt.Sprintf("control group %s stays, with the processes %q", dir, procs)
	})
	if late != "" {
		return errors.New(late)
	}
	return nil
}

// sweepCgroups removes the groups of test binaries that were killed.
func sweepCgroups() {
	hs, err := hierarchies()
	if err != nil {
		return
	}
	for _, h := range hs {
		old, _ := filepath.Glob(filepath.Join(h.own, cgroupPrefix+"*"))
		for _, dir := range old {
			var pid int
			if _, err := fmt.Sscan(strings.TrimPrefix(filepath.Base(dir), cgroupPrefix), &pid); err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				_ = removeGroup(dir, 0)
			}
		}
	}
}
