//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/proxy"
)

// exists waits for a file of a machine's.
func exists(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(time.Minute * env.Patience()); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		} else if time.Now().After(end) {
			t.Fatalf("%s does not come", path)
		}
	}
}

// started runs a play whose first item makes /tmp/first on the target and waits until that is gone. Meanwhile meanwhile is called.
func (f far) started(t *testing.T, task string, meanwhile func()) env.Run {
	t.Helper()
	f.c.Write(t, env.PlayDir+"/far.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n"+task, 0o644)
	f.c.InstallSpindle(t)
	f.proxy.SetDelay(0)
	done := make(chan env.Run, 1)
	go func() {
		done <- f.c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "far.yml", Inventory: f.line})
	}()
	for path := f.h.Root() + "/tmp/first"; ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			break
		}
		select {
		case r := <-done:
			t.Fatalf("it has ended without its first item: %v", r)
		default:
		}
	}
	meanwhile()
	return <-done
}

// first is the shell command of item 0 in such a play.
const first = "touch /tmp/first; while test -e /tmp/first; do sleep 0.05; done"

// logging is a loop over so many items, each of which logs its number on the target, one of them slowly.
func logging(n int, more string) string {
	return fmt.Sprintf(`    - ansible.builtin.shell: "{{ begin[item] | default('true') }}; echo {{ item }} >>/tmp/log"
      loop: "{{ range(0, %d) | list }}"
      vars: {begin: {0: "%s", 20: "touch /tmp/second; sleep 10"}}
%s`, n, first, more)
}

// commands is a loop of so many commands that stop at gates.
func commands(n int, more string) string {
	return fmt.Sprintf(`    - ansible.builtin.shell: if test -e /tmp/gate-{{ item }}; then touch /tmp/at-{{ item }}; while test -e /tmp/gate-{{ item }}; do sleep 0.1; done; fi
      loop: "{{ range(0, %d) | list }}"
      %s
`, n, more)
}

// gated runs a task whose loop's items stop, on the target, at those with these numbers. Each is let go when nothing more is sent to the target,
// so that round trips can be counted exactly, however slow this machine is.
func (f far) gated(t *testing.T, n int, task string, gates ...int) proxy.Counters {
	t.Helper()
	path := func(name string, gate int) string { return fmt.Sprintf("%s/tmp/%s-%d", f.h.Root(), name, gate) }
	for _, gate := range gates {
		if err := os.WriteFile(path("gate", gate), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f.line = strings.ReplaceAll(strings.TrimSuffix(f.line, "\n"), "\n", " mitogen_ssh_keepalive_interval=3000\n") + " mitogen_ssh_keepalive_interval=3000\n"
	f.c.Write(t, env.PlayDir+"/far.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n"+task, 0o644)
	f.c.InstallSpindle(t)
	done := make(chan env.Run, 1)
	go func() {
		done <- f.c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "far.yml", Inventory: f.line})
	}()
	for i, gate := range gates {
		exists(t, path("at", gate))
		const quiet = 2 * time.Second
		for up, since := f.proxy.Counters().Up, time.Now(); time.Since(since) < quiet*env.Patience(); time.Sleep(50 * time.Millisecond) {
			if now := f.proxy.Counters().Up; now != up {
				up, since = now, time.Now()
			}
		}
		if i == 0 {
			f.proxy.Reset() // all hosts are there by now
		}
		if err := os.Remove(path("gate", gate)); err != nil {
			t.Fatal(err)
		}
	}
	r := <-done
	if r.Code != 0 {
		t.Fatalf("play: %v", r)
	}
	c := f.proxy.Counters()
	t.Logf("%d items: %+v in %v", n, c, r.Took.Round(time.Millisecond))
	for _, gate := range gates {
		if err := os.Remove(path("at", gate)); err != nil {
			t.Error(err)
		}
	}
	return c
}

// TestLoopsAreSentAhead counts round trips: 64 items are under way, and 16 more when 16 have come back.
func TestLoopsAreSentAhead(t *testing.T) {
	for _, v := range env.Versions {
		t.Run(v.Name, func(t *testing.T) {
			f := newFarOn(t, v)
			if c := f.gated(t, 100, commands(100, ""), 0, 16, 32, 48); c.Flights > 8 {
				t.Errorf("%d round trips for 99 items, want 8 at most: four bursts, and what SSH says of its own windows", c.Flights)
			}
			if v.Name != env.Versions[0].Name {
				return
			}
			more := "become: true\n      register: out\n      failed_when: out.rc != 0\n      loop_control: {extended: true}"
			if c := f.gated(t, 60, commands(60, more), 0, 1); c.Flights > 5 {
				t.Errorf("%d round trips for 59 items as root, want 5 at most", c.Flights)
			}
			for name, more := range map[string]string{
				"switched off":             "vars: {spindle_pipeline: false}",
				"looks at the item before": "register: out\n      when: (out.rc | default(0)) == 0",
			} {
				if c := f.gated(t, 8, commands(8, more), 0, 1); c.Flights < 7 {
					t.Errorf("%s: %d round trips for 7 items, want one each", name, c.Flights)
				}
			}
		})
	}
}

// TestLoopsOfCopiesAreSentAhead: files of a tree are on their way as commands are. What stops at the gates are copies of content, which are verified.
func TestLoopsOfCopiesAreSentAhead(t *testing.T) {
	for _, v := range []env.Version{env.Versions[0], env.Versions[2]} {
		t.Run(v.Name, func(t *testing.T) {
			f := newFarOn(t, v)
			const n = 100
			for i := range n {
				f.c.Write(t, fmt.Sprintf("%s/files/tree/f%d", env.PlayDir, i), fmt.Sprintf("file %d\n", i), 0o644)
			}
			gate := f.h.Root() + "/tmp/gate"
			if err := os.WriteFile(gate, []byte("if test -e /tmp/gate-$1; then touch /tmp/at-$1; while test -e /tmp/gate-$1; do sleep 0.1; done; fi\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			task := fmt.Sprintf(`    - ansible.builtin.copy:
        src: "{{ omit if item in gates else 'tree/f' ~ item }}"
        content: "{{ 'file ' ~ item ~ '\n' if item in gates else omit }}"
        validate: "{{ '/bin/sh /tmp/gate ' ~ item ~ ' %%s' if item in gates else omit }}"
        dest: /home/deploy/f{{ item }}
      loop: "{{ range(0, %d) | list }}"
      vars: {gates: [0, 16, 32, 48]}
`, n)
			if c := f.gated(t, n, task, 0, 16, 32, 48); c.Flights > 10 {
				t.Errorf("%d round trips for %d files, want 10 at most: four bursts, and what SSH says of its own windows", c.Flights, n-1)
			}
			for i := range n {
				got, err := os.ReadFile(fmt.Sprintf("%s/home/deploy/f%d", f.h.Root(), i))
				if err != nil || string(got) != fmt.Sprintf("file %d\n", i) {
					t.Errorf("file %d: %q, %v", i, got, err)
				}
			}
		})
	}
}

// TestLoopsInSharedWorkersAreSentAhead: hosts that share a process have a loop, and a chain, each.
func TestLoopsInSharedWorkersAreSentAhead(t *testing.T) {
	for _, v := range []env.Version{env.Versions[0], env.Versions[2]} {
		t.Run(v.Name, func(t *testing.T) {
			f := newFarOn(t, v)
			one := f.line
			for _, name := range []string{"web2", "web3"} {
				f.line += strings.Replace(one, "web1", name, 1)
			}
			if c := f.gated(t, 100, commands(100, "register: out\n      failed_when: out.rc != 0"), 0, 16, 32, 48); c.Flights > 20 {
				t.Errorf("%d round trips for three times 99 items, want 20 at most", c.Flights)
			}
		})
	}
}

// logged are the numbers in the target's log.
func (f far) logged(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(f.h.Root() + "/tmp/log")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Fields(string(b))
}

// steady waits until nothing of ours runs on the target, and returns what it has logged.
func (f far) steady(t *testing.T) []string {
	t.Helper()
	if left := f.h.Quiet(30 * time.Second * env.Patience()); left != "" {
		t.Errorf("left on the target: %s", left)
	}
	got := f.logged(t)
	for i, n := range got {
		if n != fmt.Sprint(i) {
			t.Fatalf("item %d of the log is %s: %v", i, n, got)
		}
	}
	return got
}

// TestKilledWorkerEndsItsLoop: what was sent ahead and has not begun does not begin when the worker, or all of Ansible, is gone.
func TestKilledWorkerEndsItsLoop(t *testing.T) {
	for _, kill := range []string{"worker", "ctrl-c", "all"} {
		t.Run(kill, func(t *testing.T) {
			f := newFar(t)
			r := f.started(t, logging(60, ""), func() {
				if err := os.Remove(f.h.Root() + "/tmp/first"); err != nil {
					t.Fatal(err)
				}
				exists(t, f.h.Root()+"/tmp/second")
				switch kill {
				case "worker": // the youngest of them
					f.c.Exec(t, "sh", "-c", "kill -9 $(pgrep -n -x ansible-playboo || pgrep -n -f ansible-playbook)")
				case "ctrl-c":
					f.c.Exec(t, "sh", "-c", "kill -INT $(pgrep -f ansible-playbook)")
				case "all":
					f.c.Exec(t, "sh", "-c", "kill -9 $(pgrep -o -f ansible-playbook)")
				}
			})
			if r.Code == 0 {
				t.Errorf("the play has ended well: %v", r)
			}
			if got := f.steady(t); len(got) > 22 {
				t.Errorf("%d items have run, and there were 20 when it was killed", len(got))
			}
		})
	}
}

// TestLostLinkEndsTheItemsUnderWay: they are unreachable, those that were not sent are run over a new connection, and none runs twice.
func TestLostLinkEndsTheItemsUnderWay(t *testing.T) {
	for _, v := range env.Versions {
		t.Run(v.Name, func(t *testing.T) {
			f := newFarOn(t, v)
			r := f.started(t, logging(100, "      register: out\n      ignore_unreachable: true\n"), func() {
				if err := os.Remove(f.h.Root() + "/tmp/first"); err != nil {
					t.Fatal(err)
				}
				exists(t, f.h.Root()+"/tmp/second")
				f.proxy.Cut()
			})
			left := f.h.Quiet(30 * time.Second * env.Patience())
			if left != "" {
				t.Errorf("left on the target: %s", left)
			}
			seen := map[string]bool{}
			last := -1
			for _, n := range f.logged(t) {
				var i int
				if _, err := fmt.Sscan(n, &i); err != nil || i <= last || seen[n] {
					t.Fatalf("%s comes behind %d", n, last)
				}
				seen[n], last = true, i
			}
			unreachable, ok := 0, 0
			for line := range strings.Lines(r.Stdout) {
				switch {
				case strings.Contains(line, "(item=") && strings.Contains(line, "UNREACHABLE"), strings.HasPrefix(line, "failed:") && strings.Contains(line, "isconnected"):
					unreachable++
				case strings.HasPrefix(line, "changed: [web1] => (item="):
					ok++
				}
			}
			t.Logf("%d unreachable, %d ran, %d logged", unreachable, ok, len(seen))
			if unreachable == 0 || unreachable > 64 || unreachable+ok != 100 || !seen["99"] {
				t.Errorf("%d items are unreachable and %d were run; want no more than were under way, and the rest run: %v", unreachable, ok, r)
			}
		})
	}
}

// TestTasksAheadRunOnceWhenTheMultiplexerDies: it is killed when a task's result has come, the next one has run, and Ansible is yet to queue that.
func TestTasksAheadRunOnceWhenTheMultiplexerDies(t *testing.T) {
	for _, v := range []env.Version{env.Versions[0], env.Versions[2]} {
		t.Run(v.Name, func(t *testing.T) {
			f := newFarOn(t, v)
			f.c.Write(t, env.PlayDir+"/callback_plugins/ender.py", `import subprocess
import time

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_NAME = 'ender'

    def v2_runner_on_ok(self, result, **kwargs):
        if getattr(result, 'task', getattr(result, '_task', None)).name == 'first':
            time.sleep(2)
            subprocess.call(['pkill', '-9', '-x', 'spindle'])
            time.sleep(0.5)
`, 0o644)
			_, r := f.tasks(t, 0, `    - command: "true"
    - name: first
      shell: sleep 0.5
    - shell: echo x >>/tmp/log
    - command: "true"
`)
			if got := f.logged(t); len(got) != 1 {
				t.Errorf("it has run %d times: %v", len(got), r)
			}
			if left := f.h.Quiet(30 * time.Second * env.Patience()); left != "" {
				t.Errorf("left on the target: %s", left)
			}
		})
	}
}
