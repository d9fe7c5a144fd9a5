//go:build e2e

package faults

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

func TestMain(m *testing.M) { os.Exit(env.Main(m)) }

// settle is how long after the end of ansible-playbook something of ours may still be there.
var settle = time.Duration(setting("SPINDLE_TEST_SETTLE", 8)) * time.Second * env.Patience()

// scene is two targets and a controller, with what was on them before anything ran.
type scene struct {
	lab        *env.Lab
	hosts      []*env.Host
	controller *env.Controller
	before     map[string]env.Files
}

func newScene(t *testing.T) *scene { return sceneOf(t, env.Versions[0]) }

func sceneOf(t *testing.T, v env.Version) *scene {
	t.Helper()
	s := &scene{lab: env.New(t), before: map[string]env.Files{}}
	s.hosts = []*env.Host{s.lab.Host(t, env.HostOptions{Name: "web1"}), s.lab.Host(t, env.HostOptions{Name: "web2"})}
	s.controller = s.lab.Controller(t, v, s.hosts...)
	return s
}

func (s *scene) machines() []*env.Machine {
	return []*env.Machine{s.controller.Machine, s.hosts[0].Machine, s.hosts[1].Machine}
}

func (s *scene) inventory() string {
	return fmt.Sprintf("[all]\nweb1 ansible_host=%s\nweb2 ansible_host=%s\n[all:vars]\nansible_user=deploy\nansible_python_interpreter=/usr/bin/python3\n",
		s.hosts[0].Addr, s.hosts[1].Addr)
}

// snapshot remembers the files of all machines.
func (s *scene) snapshot(t *testing.T) {
	for _, m := range s.machines() {
		s.before[m.Name] = m.Files(t)
	}
}

// expected are the paths that a run may leave behind: what the play makes, what the system logs, and what ansible-playbook itself
// leaves when it is killed.
var expected = []*regexp.Regexp{
	regexp.MustCompile(`^/home/deploy/marks(/(marks|file\d+|page))?$`),
	regexp.MustCompile(`^/var/log(/|$)|^/var/lib/sudo(/|$)|^/run/(sudo|utmp|log|lock|systemd|motd\.dynamic)(/|$)|^/var(/cache|/lib)?$|^/var/cache/`),
	regexp.MustCompile(`^/home/ops/(record\.jsonl|play(/|$)|\.local(/|$))`),
	regexp.MustCompile(`^/home/ops/\.ansible(/tmp)?$|^/home/ops/\.ansible/tmp/ansible-local-`), // made by ansible-playbook, removed at its exit
	regexp.MustCompile(`^/tmp/pymp-[^/]+(/|$)`),                                                // the same, of newer versions
	regexp.MustCompile(`^/home/ops/\.ansible/(cp|debug|galaxy_cache|galaxy_token|collections|roles|plugins)$`),
	regexp.MustCompile(`^/(home|root|home/(deploy|ops)|root/\.ansible|home/deploy/\.ansible)(/tmp)?$`), // directories themselves
	regexp.MustCompile(`^/tmp/spindle-\d+$|^/run/user(/\d+)?(/spindle)?$`),                             // the run directory: private, empty
	regexp.MustCompile(`/__pycache__(/|$)|^/home/ops/\.ssh/known_hosts$|/\.sudo_as_admin_successful$`),
}

// leftovers waits for the machines to become as they were, and reports what does not go away.
func (s *scene) leftovers(t *testing.T, limit time.Duration) string {
	t.Helper()
	deadline := time.Now().Add(limit)
	var out strings.Builder
	for _, m := range s.machines() {
		out.WriteString(m.Quiet(time.Until(deadline)))
	}
	for _, m := range s.machines() {
		out.WriteString(env.Poll(time.Until(deadline), func() string {
			var b strings.Builder
			for _, d := range s.before[m.Name].Without(expected...).Diff(m.Files(t).Without(expected...)) {
				fmt.Fprintf(&b, "%s: file: %s\n", m.Name, d)
			}
			return b.String()
		}))
	}
	return out.String()
}

// sweep removes what a run has left, so that the next one starts clean.
func (s *scene) sweep(t *testing.T) {
	t.Helper()
	for _, m := range s.machines() {
		for _, p := range m.Processes() {
			_ = p.Kill()
		}
		m.Quiet(settle)
		m.MustExec(t, "sh", "-c", "rm -rf /home/deploy/marks /home/*/.ansible /root/.ansible /tmp/* /tmp/.[!.]* /var/tmp/* /dev/shm/* 2>/dev/null; true")
	}
	s.snapshot(t)
}

// marks reads the marks that the play has left on a host.
func marks(h *env.Host) []string {
	b, _ := os.ReadFile(h.Root() + "/home/deploy/marks/marks")
	return strings.Fields(string(b))
}

// marksOf says which marks a finished result promises.
func marksOf(r parity.Record) []string {
	if r.Action != "ansible.builtin.shell" || strings.HasSuffix(r.Event, "ok") && r.Result["results"] != nil {
		return nil
	}
	cmd, _ := r.Result["cmd"].(string)
	var out []string
	for _, part := range strings.Split(cmd, ";") {
		if f := strings.Fields(part); len(f) == 3 && f[0] == "echo" {
			out = append(out, f[1])
		}
	}
	return out
}

// allMarks are the marks of a complete run.
func allMarks() []string {
	var out []string
	for i := range 12 {
		out = append(out, fmt.Sprint(i))
	}
	for i := range 8 {
		out = append(out, fmt.Sprintf("root%d", i))
	}
	out = append(out, "slow", "slept", "rootslow", "rootslept")
	for i := range 6 {
		out = append(out, fmt.Sprintf("last%d", i))
	}
	return out
}

// checkWork compares what was reported with what was done.
func checkWork(h *env.Host, records []parity.Record) []string {
	var out []string
	got := marks(h)
	for _, r := range parity.Done(records, h.Name) {
		for _, m := range marksOf(r) {
			if !slices.Contains(got, m) {
				out = append(out, fmt.Sprintf("%s: %q was reported as done, and its mark %s is not there", h.Name, r.Task, m))
			}
		}
		if item, ok := r.Result["item"]; ok && r.Task == "files" && r.Event == "item_ok" {
			f, err := os.Stat(fmt.Sprintf("%s/home/deploy/marks/file%v", h.Root(), item))
			if err != nil || fmt.Sprint(f.Size()-int64(len(fmt.Sprint(item)))-1) != fmt.Sprint(item) {
				out = append(out, fmt.Sprintf("%s: file%v was reported as copied, and is not whole: %v", h.Name, item, err))
			}
		}
	}
	for _, m := range slices.Compact(slices.Sorted(slices.Values(got))) {
		if n := count(got, m); n > 1 {
			out = append(out, fmt.Sprintf("%s: mark %s was made %d times", h.Name, m, n))
		}
	}
	// A file is there as a whole or not at all, whoever was killed.
	for _, n := range []int{10, 100000, 1000000} {
		f, err := os.Stat(fmt.Sprintf("%s/home/deploy/marks/file%d", h.Root(), n))
		if err == nil && f.Size() != int64(n+len(fmt.Sprint(n))+1) {
			out = append(out, fmt.Sprintf("%s: file%d is there with %d bytes", h.Name, n, f.Size()))
		}
	}
	return out
}

func count(list []string, s string) int {
	n := 0
	for _, e := range list {
		if e == s {
			n++
		}
	}
	return n
}

// complete says what is missing of a host that should have been left alone.
func complete(h *env.Host, records []parity.Record) []string {
	var out []string
	for _, r := range parity.Of(records, h.Name) {
		if r.Event == "failed" || r.Event == "unreachable" {
			out = append(out, fmt.Sprintf("%s was not touched, and yet: %s: %s: %v", h.Name, r.Task, r.Event, r.Result["msg"]))
		}
	}
	got := marks(h)
	for _, m := range allMarks() {
		if !slices.Contains(got, m) {
			out = append(out, fmt.Sprintf("%s was not touched, and yet its mark %s is missing", h.Name, m))
		}
	}
	return out
}
