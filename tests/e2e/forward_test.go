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

// TestAgentIsForwardedAlongTheChain has the only key in an agent of the controller's, and logs in from machine to machine with it: from the
// controller to a bastion, from there to a host, and from a task on that to another one.
func TestAgentIsForwardedAlongTheChain(t *testing.T) {
	for how, set := range map[string]struct{ config, bastion string }{
		"native": {"", ""},
		"binary": {"RekeyLimit 1G\n", ""}, // which the native client leaves to it
		"tunnel": {"", "spindle_via=tunnel"},
	} {
		t.Run(how, func(t *testing.T) {
			l := env.New(t)
			back := l.Segment(t)
			bastion := l.Host(t, env.HostOptions{Name: "bastion", On: []*env.Segment{l.Front(), back}})
			web, other := l.Host(t, env.HostOptions{Name: "web1", On: []*env.Segment{back}}), l.Host(t, env.HostOptions{Name: "web2", On: []*env.Segment{back}})
			known := bastion.KnownKey + "\n" + web.KnownKey + "\n" + other.KnownKey + "\n"
			for _, h := range []*env.Host{bastion, web} {
				h.MustExec(t, "sh", "-c", "printf '%s' \"$0\" >/home/deploy/.ssh/known_hosts", known)
			}
			c := l.Controller(t, env.Versions[0], bastion, web)
			const socket = "/home/ops/agent.sock"
			o := c.ExecAs(t, env.Operator, "sh", "-c", "ssh-agent -a "+socket+" && SSH_AUTH_SOCK="+socket+" ssh-add ~/.ssh/id_ed25519 && rm ~/.ssh/id_ed25519")
			if o.Code != 0 {
				t.Fatalf("%+v", o)
			}
			c.Write(t, "/home/ops/.ssh/config", set.config+"Host *\n\tForwardAgent yes\n", 0o600)
			c.Write(t, env.PlayDir+"/forward.yml", fmt.Sprintf(`
- hosts: web1
  gather_facts: false
  tasks:
    - name: keys
      ansible.builtin.command: ssh-add -l
    - name: onward
      ansible.builtin.command: ssh -o BatchMode=yes deploy@%s hostname
    - name: onward in a shell
      ansible.builtin.raw: ssh -o BatchMode=yes deploy@%[1]s hostname
    - name: none for others
      ansible.builtin.command: ssh-add -l
      become: true
      failed_when: false
- hosts: web1
  gather_facts: false
  vars: {ansible_ssh_extra_args: -a}
  tasks:
    - name: not forwarded
      ansible.builtin.command: ssh-add -l
      failed_when: false
`, other.Addr), 0o644)
			r := c.Play(t, env.Play{
				Strategy: "mitogen_linear", Playbook: "forward.yml", Env: []string{"SSH_AUTH_SOCK=" + socket}, Config: map[string]string{"timeout": "30"},
				Inventory: fmt.Sprintf("bastion ansible_host=%s %s\nweb1 ansible_host=%s mitogen_via=bastion ansible_ssh_common_args='-o ForwardAgent=yes'\n"+
					"[all:vars]\nansible_user=deploy\nansible_python_interpreter=/usr/bin/python3\n", bastion.Addr, set.bastion, web.Addr),
			})
			records, err := parity.Parse(r.Records)
			if err != nil || r.Code != 0 {
				t.Fatalf("play: %v %v", err, r)
			}
			for task, want := range map[string]string{
				"keys": "256 SHA256:", "onward": "web2", "onward in a shell": "web2", "none for others": "Could not open a connection", "not forwarded": "Could not open a connection",
			} {
				rec, _ := parity.Find(records, "web1", task, "ok")
				if said := fmt.Sprint(rec.Result["stdout"], rec.Result["stderr"]); !strings.HasPrefix(said, want) {
					t.Errorf("%s: %q, want %q", task, said, want)
				}
			}
			for _, h := range []*env.Host{bastion, web, other} {
				if left := h.Quiet(10 * time.Second); left != "" {
					t.Error(left)
				}
				if left := strings.TrimSpace(h.Exec(t, "sh", "-c", "ls -d /tmp/ssh-* 2>/dev/null").Stdout); left != "" {
					t.Errorf("%s: sockets are left: %s", h.Name, left)
				}
			}
		})
	}
}
