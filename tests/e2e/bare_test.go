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

// TestPythonArrivesDuringTheRun plays on a target that has no Python, installs it, and goes on.
func TestPythonArrivesDuringTheRun(t *testing.T) {
	for _, v := range everyVersion() {
		for _, strategy := range []string{"linear", "mitogen_linear"} {
			if strategy == "linear" && v != env.Versions[0] {
				continue // once is enough to know that the expectations are Ansible's
			}
			t.Run(v.Name+"/"+strategy, func(t *testing.T) {
				l := env.New(t)
				h := l.Host(t, env.HostOptions{Name: "web1", Boot: "mkdir /opt/hidden; mv /usr/bin/python3* /opt/hidden/; mv /usr/local/bin/python* /opt/hidden/ 2>/dev/null; rm -rf /root/.pyenv; true"})
				c := l.Controller(t, v, h)
				c.Write(t, env.PlayDir+"/it.sh", "#!/bin/sh\necho \"$1 $(id -un)\"\necho oops >&2\nexit 3\n", 0o755)
				wait := "    - name: wait\n      ansible.builtin.wait_for_connection: {timeout: 5}\n"
				if strategy == "linear" {
					wait = "" // it runs a module there
				}
				c.Write(t, env.PlayDir+"/bare.yml", `
- hosts: all
  gather_facts: false
  tasks:
    - name: raw
      ansible.builtin.raw: echo "$HOME" && cd / && pwd; exit 4
      ignore_errors: true
    - name: raw as root
      ansible.builtin.raw: id -un
      become: true
    - name: loop
      ansible.builtin.raw: echo {{ item }}
      loop: [1, 2, 3]
    - name: script
      ansible.builtin.script: it.sh argument
      ignore_errors: true
    - name: script as root
      ansible.builtin.script: it.sh argument
      become: true
      ignore_errors: true
    - name: module
      ansible.builtin.command: "true"
      ignore_unreachable: true
      ignore_errors: true
    - ansible.builtin.meta: clear_host_errors
`+wait+`
    - ansible.builtin.meta: reset_connection
    - name: install
      ansible.builtin.raw: mv /opt/hidden/python3* /usr/bin/
      become: true
    - name: module again
      ansible.builtin.command: id -un
    - name: module as root
      ansible.builtin.command: id -un
      become: true
    - name: raw again
      ansible.builtin.raw: echo again
`, 0o644)
				r := c.Play(t, env.Play{Strategy: strategy, Playbook: "bare.yml", Inventory: line(h, ""), SSH: map[string]string{"pipelining": "True"}})
				records, err := parity.Parse(r.Records)
				if err != nil || r.Code != 0 {
					t.Fatalf("play: %v %v", err, r)
				}
				for _, tc := range []struct{ task, status, out string }{
					{"raw", "failed", "/home/deploy\r\n/\r\n"},
					{"raw as root", "ok", "root\r\n"},
					{"script", "failed", "argument deploy\r\noops\r\n"},
					{"script as root", "failed", "argument root\r\noops\r\n"},
					{"module again", "ok", "deploy"},
					{"module as root", "ok", "root"},
					{"raw again", "ok", "again\r\n"},
				} {
					rec, found := parity.Find(records, "web1", tc.task, tc.status)
					out := fmt.Sprint(rec.Result["stdout"])
					if !found || strings.TrimPrefix(out, "\r\n") != tc.out {
						t.Errorf("%s: %v, want %s with %q", tc.task, rec.Result, tc.status, tc.out)
					}
				}
				if rec, found := parity.Find(records, "web1", "raw", "failed"); found && fmt.Sprint(rec.Result["rc"]) != "4" {
					t.Errorf("raw: rc %v", rec.Result["rc"])
				}
				if env.Ours(strategy) {
					if left := h.Quiet(20*time.Second) + c.Quiet(10*time.Second); left != "" {
						t.Error(left)
					}
				}
				if left := h.Exec(t, "sh", "-c", "ls -A /home/deploy/.ansible/tmp 2>/dev/null").Stdout; strings.TrimSpace(left) != "" {
					t.Errorf("temporary directories are left: %s", left)
				}
				if t.Failed() {
					t.Log(r)
				}
			})
		}
	}
}
