//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// overtime are tasks that take longer than they may, and do not end because somebody asks them to: PROGRAM stands for one that says that it
// has begun, and KIND for its name.
var overtime = map[string]string{
	"command": "ansible.builtin.command: {argv: [sh, -c, 'PROGRAM']}",
	"shell":   "ansible.builtin.shell: 'PROGRAM'",
	"raw":     "ansible.builtin.raw: 'PROGRAM'",
	"script":  "ansible.builtin.script: KIND.sh",
	"loop":    "ansible.builtin.command: {argv: [sh, -c, 'PROGRAM', x, '{{ item }}']}\n      loop: [1, 2, 3]",
	"become":  "ansible.builtin.shell: 'PROGRAM'\n      become: true",
	"stdin":   "ansible.builtin.command: {argv: [sh, -c, 'PROGRAM'], stdin: \"{{ 'x' * 300000 }}\"}",
	"module":  "lingers: {program: 'PROGRAM'}",
}

const lingers = `#!/usr/bin/python
import subprocess
from ansible.module_utils.basic import AnsibleModule


def main():
    m = AnsibleModule(argument_spec=dict(program=dict()))
    child = subprocess.Popen(['sh', '-c', m.params['program']])
    m.exit_json(rc=child.wait())


if __name__ == '__main__':
    main()
`

// TestOvertimeIsOver: what a task has started on the target ends with its time, and the agent goes on. With free each task has a host of its own (and
// all have one agent); with linear some come one behind another.
func TestOvertimeIsOver(t *testing.T) {
	all := slices.Sorted(maps.Keys(overtime))
	for strategy, versions := range map[string][]env.Version{"mitogen_free": {env.Oldest, env.Versions[0], env.Versions[2]}, "mitogen_linear": {env.Versions[1]}} {
		for _, v := range versions {
			t.Run(v.Name, func(t *testing.T) {
				t.Parallel() // it waits
				c, h := one(t, v)
				inventory, number := "", 7191
				play := "- hosts: all\n  gather_facts: false\n  tasks:\n"
				kinds := all
				if strategy == "mitogen_linear" {
					kinds = []string{"become", "command", "loop"}
				}
				for _, kind := range kinds {
					host := "web1"
					if strategy == "mitogen_free" {
						host = kind
						inventory += strings.Replace(line(h, ""), h.Name, host, 1)
					}
					// An ignored TERM is passed on to what is started.
					program := fmt.Sprintf(`trap "" TERM; : >/tmp/began-%s$1; sleep %d & sleep %[2]d`, kind, number)
					c.Write(t, env.PlayDir+"/"+kind+".sh", "#!/bin/sh\n"+program+"\n", 0o755)
					become, limit := kind == "become", 5*env.Patience()
					if kind == "module" {
						limit *= 2 // its code has to be there first
					}
					play += strings.NewReplacer("PROGRAM", program, "HOST", host, "KIND", kind, "LIMIT", fmt.Sprint(int64(limit)), "NUMBER", fmt.Sprint(number), "BECOME", fmt.Sprint(become)).Replace(strings.Replace(`
    - name: KIND, before
      when: inventory_hostname == 'HOST'
      become: BECOME
      ansible.builtin.command: sh -c 'ps -o ppid= -p $PPID'
    - name: KIND
      when: inventory_hostname == 'HOST'
      timeout: LIMIT
      ignore_errors: true
      ACTION
    - name: KIND is over
      when: inventory_hostname == 'HOST'
      ansible.builtin.shell: for i in $(seq 50); do pgrep -fx 'sleep NUMBER' || exit 0; sleep 0.2; done; exit 1
    - name: KIND, behind
      when: inventory_hostname == 'HOST'
      become: BECOME
      ansible.builtin.command: sh -c 'ps -o ppid= -p $PPID'
`, "ACTION", overtime[kind], 1))
					number++
				}
				if inventory == "" {
					inventory = line(h, "")
				}
				c.Write(t, env.PlayDir+"/overtime.yml", play, 0o644)
				c.Write(t, env.PlayDir+"/library/lingers.py", lingers, 0o644)
				r := c.Play(t, env.Play{Strategy: strategy, Playbook: "overtime.yml", Inventory: inventory})
				records, err := parity.Parse(r.Records)
				if err != nil || r.Code != 0 {
					t.Errorf("play: %v %v", err, r)
				}
				began := h.MustExec(t, "sh", "-c", "ls /tmp")
				for _, kind := range kinds {
					host := map[bool]string{true: kind, false: "web1"}[strategy == "mitogen_free"]
					late, ok := parity.Find(records, host, kind, "failed")
					said := fmt.Sprintf("%.300v", late.Result["msg"])
					if kind == "loop" {
						said = fmt.Sprintf("%.900v", late.Result["results"])
					}
					if !ok || !strings.Contains(said, "Timed out") && !strings.Contains(said, "timed out") && !strings.Contains(said, "expected time frame") {
						t.Errorf("%s: %s", kind, said)
					}
					for _, n := range map[bool][]string{true: {"1", "2", "3"}, false: {""}}[kind == "loop"] {
						if !strings.Contains(began, "began-"+kind+n+"\n") {
							t.Errorf("%s%s has not begun", kind, n)
						}
					}
					before, _ := parity.Find(records, host, kind+", before", "ok")
					behind, _ := parity.Find(records, host, kind+", behind", "ok")
					if agent := fmt.Sprint(before.Result["stdout"]); strings.TrimSpace(agent) == "" || agent != fmt.Sprint(behind.Result["stdout"]) {
						t.Errorf("%s: the agent was %v, and is %v", kind, before.Result["stdout"], behind.Result["stdout"])
					}
				}
				if left := h.Quiet(10*time.Second) + c.Quiet(10*time.Second); left != "" {
					t.Error(left)
				}
			})
		}
	}
}
