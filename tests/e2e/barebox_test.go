//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// TestContainersWithoutPython does in a container of every engine what needs no Python there: the one that is configured does not exist.
func TestContainersWithoutPython(t *testing.T) {
	l := env.New(t)
	h := l.Host(t, env.HostOptions{Name: "engines", Engines: true})
	c := l.Controller(t, env.Versions[0], h)
	c.Write(t, env.PlayDir+"/it.sh", "#!/bin/sh\necho \"$1 $(cat /etc/where)\"\n", 0o755)
	c.Write(t, env.PlayDir+"/bare.yml", `
- hosts: all:!engines
  gather_facts: false
  tasks:
    - {name: raw, ansible.builtin.raw: cat /etc/where && id -un}
    - {name: as app, ansible.builtin.raw: id -un, become: true, become_user: app}
    - {name: script, ansible.builtin.script: it.sh argument}
    - {name: wait, ansible.builtin.wait_for_connection: {timeout: 20}}
    - ansible.builtin.meta: reset_connection
    - {name: raw again, ansible.builtin.raw: cat /etc/where; exit 4, failed_when: false}
    - {name: python is not there, ansible.builtin.command: id, ignore_errors: true, ignore_unreachable: true}
    - ansible.builtin.meta: clear_host_errors
    - name: python is there
      ansible.builtin.command: cat /etc/where
      vars: {ansible_python_interpreter: /usr/bin/python3}
`, 0o644)
	inventory := fmt.Sprintf("engines ansible_host=%s ansible_user=deploy ansible_python_interpreter=/usr/bin/python3\n", h.Addr)
	boxes := map[string]*env.Container{}
	add := func(name, vars string, box *env.Container) {
		boxes[name] = box
		inventory += fmt.Sprintf("%s ansible_host=%s mitogen_via=root@engines ansible_python_interpreter=/nonexistent/python3 %s\n", name, box.Name, vars)
	}
	for _, lane := range lanes {
		if lane.engine == env.Kubectl {
			continue // its tool is on the controller only
		}
		box := h.Engine(t, lane.engine).Run(t, "in-"+lane.engine)
		mark(t, box)
		add(lane.engine, "ansible_connection="+lane.engine, box)
		if lane.setns {
			add(lane.engine+"_setns", "ansible_connection=setns mitogen_kind="+lane.engine, box)
		}
	}
	r := c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "bare.yml", Inventory: inventory, Config: map[string]string{"timeout": patient}, Limit: 5 * time.Minute})
	records, err := parity.Parse(r.Records)
	if err != nil || r.Hung {
		t.Fatalf("play: %v %v", err, r)
	}
	for name, box := range boxes {
		here := "this is " + box.Name
		for task, want := range map[string]string{
			"raw": here + "\nroot", "as app": "app", "script": "argument " + here, "wait": "<nil>", "raw again": here, "python is there": here,
		} {
			rec, found := parity.Find(records, name, task, "ok")
			if got := strings.TrimSpace(strings.ReplaceAll(fmt.Sprint(rec.Result["stdout"]), "\r\n", "\n")); !found || got != want {
				t.Errorf("%s: %s: %q, want %q: %v", name, task, got, want, parity.Of(records, name))
			}
		}
		if rec, _ := parity.Find(records, name, "raw again", "ok"); fmt.Sprint(rec.Result["rc"]) != "4" {
			t.Errorf("%s: the status of raw: %v", name, rec.Result)
		}
		if _, found := parity.Find(records, name, "python is not there", "ok"); found {
			t.Errorf("%s: a module runs in a Python that is not there", name)
		}
		if left := box.Quiet(10 * time.Second); left != "" {
			t.Error(left)
		}
	}
	if left := h.Quiet(10 * time.Second); left != "" {
		t.Error(left)
	}
}
