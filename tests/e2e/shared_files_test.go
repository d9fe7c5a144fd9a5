//go:build e2e

package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
)

// TestTasksAheadSeeTheControllersFilesChange: the target is the controller, by way of ssh. A template's source is written by the task ahead of
// it, when both were sent and the template was read. It has the new text, and what is behind it runs once. So it is with files of variables.
func TestTasksAheadSeeTheControllersFilesChange(t *testing.T) {
	for _, v := range everyVersion() {
		t.Run(v.Name, func(t *testing.T) {
			l := env.New(t)
			c := l.Controller(t, v)
			c.MustExec(t, "sh", "-c", "mkdir -p /run/sshd && ssh-keygen -A && /usr/sbin/sshd -p 2222 -o ListenAddress=127.0.0.1 -o PidFile=/run/own.pid")
			t.Cleanup(func() { c.Exec(t, "sh", "-c", "kill $(cat /run/own.pid)") })
			key := strings.Join(strings.Fields(c.MustExec(t, "cat", "/etc/ssh/ssh_host_ed25519_key.pub"))[:2], " ")
			c.Known(t, "[127.0.0.1]:2222 "+key)
			c.Write(t, env.PlayDir+"/../.ssh/authorized_keys", c.MustExec(t, "ssh-keygen", "-y", "-f", "/root/.ssh/id_ed25519"), 0o600)
			c.Write(t, env.PlayDir+"/own.yml", `- hosts: all
  gather_facts: false
  tasks:
    - template: {src: "{{ playbook_dir }}/own.j2", dest: /tmp/own}
    - command: "true"
    - shell: "sleep 1; echo second >{{ playbook_dir }}/own.j2"
    - template: {src: "{{ playbook_dir }}/own.j2", dest: /tmp/own}
    - shell: echo behind >>/tmp/log
    - command: "true"
    - shell: "sleep 1; echo third >new; mv new {{ playbook_dir }}/own.j2"
    - copy: {src: "{{ playbook_dir }}/own.j2", dest: /tmp/own}
    - shell: echo later >>/tmp/log
    - shell: "sleep 1; echo third >>{{ playbook_dir }}/own.j2; echo third >>/tmp/own"
    - template: {src: "{{ playbook_dir }}/own.j2", dest: /tmp/own}
      register: same
    - shell: echo last >>/tmp/log
    - fail: {msg: it was the same}
      when: same is changed
- hosts: all
  gather_facts: false
  vars_files: [[new.yml, old.yml]]
  tasks:
    - command: "true"
    - shell: "sleep 1; echo 'x: new' >{{ playbook_dir }}/new.yml"
    - shell: echo {{ x }} >>/tmp/log
    - shell: echo skipped >>/tmp/log
      when: x == 'old'
    - shell: echo once >>/tmp/log
`, 0o644)
			c.Write(t, env.PlayDir+"/own.j2", "first\n", 0o644)
			c.Write(t, env.PlayDir+"/old.yml", "x: old\n", 0o644)
			c.InstallSpindle(t)
			r := c.Play(t, env.Play{
				Strategy: "mitogen_linear", Playbook: "own.yml",
				Inventory: "own ansible_host=127.0.0.1 ansible_port=2222 ansible_user=" + env.Operator + " ansible_python_interpreter=/usr/bin/python3\n",
			})
			if r.Code != 0 {
				t.Fatalf("play: %v", r)
			}
			for path, want := range map[string]string{"/tmp/own": "third\nthird\n", "/tmp/log": "behind\nlater\nlast\nnew\nonce\n"} {
				if got, err := os.ReadFile(c.Root() + path); err != nil || string(got) != want {
					t.Errorf("%s: %q, %v; want %q", path, got, err, want)
				}
			}
			c.Exec(t, "sh", "-c", "kill $(cat /run/own.pid)")
			if left := c.Quiet(30 * time.Second * env.Patience()); left != "" {
				t.Errorf("left: %s", left)
			}
		})
	}
}
