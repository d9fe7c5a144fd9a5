//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
)

// stack reads the memory of a process in which its arguments, its environment and its stack lie.
func stack(t *testing.T, pid int) string {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil || !strings.HasSuffix(strings.TrimSpace(line), "[stack]") {
			continue
		}
		mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
		if err != nil {
			t.Error(err)
			return ""
		}
		defer mem.Close()
		b := make([]byte, to-from)
		n, err := mem.ReadAt(b, from)
		if err != nil && n == 0 {
			t.Errorf("process %d: %v", pid, err)
		}
		if !strings.Contains(string(b[:n]), "PATH=") {
			t.Errorf("process %d: its stack is not what it should be", pid)
		}
		return string(b[:n])
	}
	t.Errorf("process %d has no stack", pid)
	return ""
}

// TestPasswordsAreNowhere logs in and becomes somebody with passwords, and looks for them in all that anybody could see meanwhile.
func TestPasswordsAreNowhere(t *testing.T) {
	const login, become, wrong = "canary-login-51d3", "canary-become-90aa", "canary-wrong-77e1"
	l := env.New(t)
	h := l.Host(t, env.HostOptions{Name: "web1", SSHD: []string{"PubkeyAuthentication=no"}, Boot: "echo plain:" + login + " | chpasswd; echo app:" + become + " | chpasswd"})
	c := l.Controller(t, env.Versions[0], h)
	c.InstallSpindle(t)
	c.Write(t, env.PlayDir+"/hold.yml", `
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.command: sleep 7.25
`, 0o644)
	inventory := func(login, become string) string {
		return line(h, fmt.Sprintf("ansible_user=plain ansible_password=%s ansible_become=true ansible_become_method=su "+
			"ansible_become_user=app ansible_become_password=%s", login, become))
	}
	canaries := func(where, text string) {
		for _, word := range []string{login, become, wrong} {
			if at := strings.Index(text, word); at >= 0 {
				t.Errorf("%s: a password in …%s…", where, text[max(0, at-80):min(len(text), at+40)])
			}
		}
	}
	// The memory that a core file has a process's arguments and environment from: where they were put when the program began, whatever it has
	// called itself since.
	memory := func(m *env.Machine, is string) (looked int) {
		for _, p := range m.Processes() {
			if p.Matches(is) {
				canaries("the stack of "+p.String(), stack(t, p.PID))
				looked++
			}
		}
		return looked
	}
	const everything = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'"
	looked := make(chan string, 1)
	r := c.Play(t, env.Play{
		Strategy: "mitogen_linear", Playbook: "hold.yml", Inventory: inventory(login, become), Args: []string{"-vvv"},
		Env: []string{"MITOGEN_LOG_LEVEL=DEBUG"},
		Started: func() {
			go func() {
				looked <- env.Poll(20*time.Second*env.Patience(), func() string {
					// From the first moment on, not only once the task runs.
					canaries("a process of the target", h.Exec(t, "sh", "-c", everything).Stdout)
					canaries("a process of the controller", c.Exec(t, "sh", "-c", everything).Stdout)
					for _, p := range h.Processes() {
						if p.Matches("sleep 7.25") {
							tree := c.ExecAs(t, env.Operator, "spindle", "tree", "--json")
							canaries("spindle tree", tree.Stdout+tree.Stderr)
							if !strings.Contains(tree.Stdout, "su:app") {
								return "no hop in the tree"
							}
							// Two agents and their wardens, at least; and the multiplexer, which has both passwords.
							if agents, muxes := memory(h.Machine, "mitogen:"), memory(c.Machine, "spindle serve"); agents < 4 || muxes != 1 {
								return fmt.Sprintf("%d processes of agents and %d multiplexers were looked at", agents, muxes)
							}
							return ""
						}
					}
					return "the task does not run"
				})
			}()
		},
	})
	if late := <-looked; late != "" || r.Code != 0 {
		t.Fatalf("%s %v", late, r)
	}
	canaries("the output", r.Stdout+r.Stderr)
	if !strings.Contains(r.Stderr+r.Stdout, `"level":`) {
		t.Error("the log was not in the output, so nothing was shown about it")
	}
	for name, inv := range map[string]string{"login": inventory(wrong, become), "become": inventory(login, wrong)} {
		r := c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "hold.yml", Inventory: inv, Args: []string{"-vvv"}, Env: []string{"MITOGEN_LOG_LEVEL=DEBUG"}})
		if r.Code == 0 || !strings.Contains(r.Stdout, "password is incorrect") {
			t.Errorf("a wrong %s password: %v", name, r)
		}
		canaries("the error about a wrong "+name+" password", r.Stdout+r.Stderr)
	}
}
