//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// one is a lab with one target, and its inventory line.
func one(t *testing.T, v env.Version) (*env.Controller, *env.Host) {
	t.Helper()
	l := env.New(t)
	h := l.Host(t, env.HostOptions{Name: "web1"})
	return l.Controller(t, v, h), h
}

func line(h *env.Host, more string) string {
	return fmt.Sprintf("%s ansible_host=%s ansible_user=deploy ansible_python_interpreter=/usr/bin/python3 %s\n", h.Name, h.Addr, more)
}

// TestTwoLines is what a newcomer does: two lines in ansible.cfg, then an ordinary command.
func TestTwoLines(t *testing.T) {
	for _, v := range everyVersion() {
		t.Run(v.Name, func(t *testing.T) {
			c, h := one(t, v)
			for _, args := range [][]string{{"-m", "ping"}, {"-b", "-m", "command", "-a", "id -un"}} {
				r := c.Play(t, env.Play{Strategy: "mitogen_linear", Program: "ansible", Args: append([]string{"all"}, args...), Inventory: line(h, "")})
				want := map[bool]string{true: "root", false: "pong"}[args[0] == "-b"]
				if r.Code != 0 || !strings.Contains(r.Stdout, want) {
					t.Errorf("ansible %v: %v", args, r)
				}
				if r.Stderr != "" {
					t.Errorf("ansible %v prints on standard error: %s", args, r.Stderr)
				}
			}
			if left := c.Quiet(5 * time.Second); left != "" {
				t.Error(left)
			}
			if left := h.Quiet(5 * time.Second); left != "" {
				t.Error(left)
			}
		})
	}
}

// TestWorkGoesThroughTheMultiplexer makes sure that the comparison does not compare the stock path with itself.
func TestWorkGoesThroughTheMultiplexer(t *testing.T) {
	c, h := one(t, env.Versions[0])
	c.Write(t, env.PlayDir+"/hold.yml", `
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.command: sleep 3
      become: true
`, 0o644)
	c.InstallSpindle(t)
	type seen struct {
		tree    string
		remote  []env.Process
		clients int
	}
	found := make(chan seen, 1)
	r := c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "hold.yml", Inventory: line(h, ""), Started: func() {
		go func() {
			var s seen
			defer func() { found <- s }()
			late := env.Poll(time.Minute, func() string {
				for _, p := range h.Processes() {
					if p.Matches("sleep 3") {
						return ""
					}
				}
				return "no task"
			})
			if late != "" {
				return
			}
			s.remote = h.Processes()
			s.tree = c.ExecAs(t, env.Operator, "spindle", "tree", "--json").Stdout
			for _, p := range c.Processes() {
				if p.Runs("ssh") {
					s.clients++
				}
			}
		}()
	}})
	if r.Code != 0 {
		t.Fatalf("play: %v", r)
	}
	s := <-found
	var tree any
	if err := json.Unmarshal([]byte(s.tree), &tree); err != nil {
		t.Errorf("spindle tree --json: %v: %q", err, s.tree)
	}
	for _, want := range []string{"ssh:deploy@", "sudo:root"} {
		if !strings.Contains(s.tree, want) {
			t.Errorf("no %s in the tree: %s", want, s.tree)
		}
	}
	sessions := 0
	for _, p := range s.remote {
		if p.Runs("sshd") && p.Matches("@notty") {
			sessions++
		}
	}
	if sessions != 1 {
		t.Errorf("%d sessions on the target, want one: %v", sessions, s.remote)
	}
	if s.clients != 0 {
		t.Errorf("%d ssh clients on the controller: a plain configuration goes natively", s.clients)
	}
}

// TestOneConnectionForAll: many tasks, hosts names and workers, one connection per target and one sudo per account.
func TestOneConnectionForAll(t *testing.T) {
	c, h := one(t, env.Versions[0])
	c.Write(t, env.PlayDir+"/many.yml", `
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.command: "true"
    - ansible.builtin.command: "true"
      become: true
    - ansible.builtin.command: "true"
      become: true
      become_user: app
    - ansible.builtin.copy: {content: "{{ inventory_hostname }}", dest: "/tmp/{{ inventory_hostname }}"}
`, 0o644)
	inventory := ""
	for i := range 8 {
		inventory += fmt.Sprintf("name%d ansible_host=%s ansible_user=deploy ansible_python_interpreter=/usr/bin/python3\n", i, h.Addr)
	}
	r := c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "many.yml", Inventory: inventory})
	if r.Code != 0 {
		t.Fatalf("play: %v", r)
	}
	if n := strings.Count(h.Log(), "Accepted publickey"); n != 1 {
		t.Errorf("%d connections to one target, want one", n)
	}
}

// TestWhatIsNotOursGoesTheStockWay: a play with a connection type that we do not know still runs, with one warning.
func TestWhatIsNotOursGoesTheStockWay(t *testing.T) {
	c, h := one(t, env.Versions[0])
	odd := "    - ansible.builtin.command: id -un\n      vars: {ansible_connection: odd}\n"
	c.Write(t, env.PlayDir+"/connection_plugins/odd.py",
		"from ansible.plugins.connection import local\n\n\nclass Connection(local.Connection):\n    transport = 'odd'\n", 0o644)
	c.Write(t, env.PlayDir+"/other.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n"+odd+odd+
		"    - ansible.builtin.command: id -un\n    - ansible.builtin.command: id -un\n      become: true\n", 0o644)
	r := c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "other.yml", Inventory: line(h, "")})
	records, err := parity.Parse(r.Records)
	if err != nil || r.Code != 0 {
		t.Fatalf("play: %v %v", err, r)
	}
	var who []any
	for _, rec := range parity.Done(records, "web1") {
		who = append(who, rec.Result["stdout"])
	}
	if got := fmt.Sprint(who); got != "["+env.Operator+" "+env.Operator+" deploy root]" {
		t.Errorf("tasks ran as %s", got)
	}
	if n := strings.Count(r.Stderr, "[WARNING]"); n != 1 || !strings.Contains(r.Stderr, "connection type odd") {
		t.Errorf("%d warnings, want one about odd: %s", n, r.Stderr)
	}
}

// TestStrategiesMayAlternate: a play with a stock strategy in the same run is stock.
func TestStrategiesMayAlternate(t *testing.T) {
	c, h := one(t, env.Versions[0])
	c.Write(t, env.PlayDir+"/mixed.yml", `
- hosts: all
  gather_facts: false
  strategy: mitogen_linear
  tasks:
    - ansible.builtin.command: sh -c 'ps -o args= -p $PPID'
- hosts: all
  gather_facts: false
  strategy: linear
  tasks:
    - ansible.builtin.command: sh -c 'ps -o args= -p $PPID'
- hosts: all
  gather_facts: false
  strategy: mitogen_free
  tasks:
    - ansible.builtin.command: sh -c 'ps -o args= -p $PPID'
`, 0o644)
	r := c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "mixed.yml", Inventory: line(h, "")})
	records, err := parity.Parse(r.Records)
	if err != nil || r.Code != 0 {
		t.Fatalf("play: %v %v", err, r)
	}
	var stock []bool
	for _, rec := range parity.Done(records, "web1") {
		out, _ := rec.Result["stdout"].(string)
		stock = append(stock, strings.Contains(out, "AnsiballZ"))
	}
	if got := fmt.Sprint(stock); got != "[false true false]" {
		t.Errorf("plays that went the stock way: %s\n%v", got, r)
	}
}

// TestPluginsStandWhereTheUserHasThem: unpacked once, private, under the user's data directory.
func TestPluginsStandWhereTheUserHasThem(t *testing.T) {
	c, _ := one(t, env.Versions[0])
	dir := c.InstallSpindle(t)
	if !strings.HasPrefix(dir, "/home/"+env.Operator+"/.local/share/spindle/") || path.Base(dir) != "strategy" {
		t.Errorf("spindle plugins = %q", dir)
	}
	for _, name := range []string{"mitogen", "mitogen_linear", "mitogen_free", "mitogen_host_pinned"} {
		if _, err := os.Stat(c.Root() + dir + "/" + name + ".py"); err != nil {
			t.Error(err)
		}
	}
	if again := strings.TrimSpace(c.ExecAs(t, env.Operator, "spindle", "plugins").Stdout); again != dir {
		t.Errorf("the second time: %q", again)
	}
	if o := c.ExecAs(t, env.Operator, "spindle", "tree"); o.Code != 0 {
		t.Errorf("spindle tree, with nothing running, ended with %d: %s", o.Code, o.Stderr)
	}
}

// TestNamesInProcessLists looks at what a target sees of who works there: user, machine and process of the controller, or nothing of that where
// mitogen_mask_remote_name is set.
func TestNamesInProcessLists(t *testing.T) {
	c, h := one(t, env.Versions[0])
	c.Write(t, env.PlayDir+"/names.yml", `
- hosts: all
  gather_facts: false
  tasks:
    - name: own
      ansible.builtin.command: ps -ww -u {{ ansible_user }} -o args=
    - name: become
      ansible.builtin.command: ps -ww -u console -o args=
      become: true
      become_user: console
`, 0o644)
	inventory := ""
	for name, vars := range map[string]string{"open": "ansible_user=deploy", "masked": "ansible_user=root mitogen_mask_remote_name=true"} {
		inventory += fmt.Sprintf("%s ansible_host=%s ansible_python_interpreter=/usr/bin/python3 %s\n", name, h.Addr, vars)
	}
	for _, host := range []string{"open", "masked"} {
		r := c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "names.yml", Inventory: inventory, Args: []string{"--limit", host}})
		records, err := parity.Parse(r.Records)
		if err != nil || r.Code != 0 {
			t.Fatalf("play: %v %v", err, r)
		}
		for _, task := range []string{"own", "become"} {
			rec, _ := parity.Find(records, host, task, "ok")
			said := fmt.Sprint(rec.Result["stdout"])
			if open, masked := strings.Contains(said, " mitogen:"+env.Operator+"@"), strings.Contains(said, " mitogen:ansible"); open != (host == "open") || masked != (host == "masked") {
				t.Errorf("%s, %s: %s", host, task, said)
			}
		}
	}
}
