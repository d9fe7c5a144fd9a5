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

// TestOneBastionInManyWords names one bastion by its address and by aliases of ssh_config, directly and on the way to others, and counts the
// connections that its sshd sees.
func TestOneBastionInManyWords(t *testing.T) {
	for _, how := range []string{"native", "binary"} {
		t.Run(how, func(t *testing.T) {
			l := env.New(t)
			back := l.Segment(t)
			bastion := l.Host(t, env.HostOptions{Name: "bastion", On: []*env.Segment{l.Front(), back}})
			web := l.Host(t, env.HostOptions{Name: "web1", On: []*env.Segment{back}})
			bastion.Trust(t, "deploy", web)
			c := l.Controller(t, env.Versions[0], bastion, web)
			more := ""
			if how == "binary" {
				more = "\tRekeyLimit 1G\n" // which the native client leaves to it
			}
			c.Write(t, "/home/ops/.ssh/config", fmt.Sprintf("Host jump\n\tHostName %[1]s\n\tUser deploy\n%[2]sHost gate\n\tHostName %[1]s\n\tUser deploy\n\tPort 22\n%[2]s"+
				"Host %[1]s\n%[2]s\n", bastion.Addr, more), 0o600)
			c.Write(t, env.PlayDir+"/words.yml", `
- hosts: all
  gather_facts: false
  tasks:
    - name: where
      ansible.builtin.command: sh -c 'hostname; id -un'
`, 0o644)
			r := c.Play(t, env.Play{
				Strategy: "mitogen_linear", Playbook: "words.yml", Config: map[string]string{"timeout": "30"}, Inventory: fmt.Sprintf(`
jump
gate ansible_port=22
address ansible_host=%[1]s ansible_user=deploy
by_jump ansible_host=%[2]s ansible_user=deploy mitogen_via=jump
by_gate ansible_host=%[2]s ansible_user=deploy mitogen_via=gate
by_address ansible_host=%[2]s ansible_user=deploy mitogen_via=address
[all:vars]
ansible_python_interpreter=/usr/bin/python3
`, bastion.Addr, web.Addr),
			})
			records, err := parity.Parse(r.Records)
			if err != nil || r.Code != 0 {
				t.Fatalf("play: %v %v", err, r)
			}
			for host, want := range map[string]string{
				"jump": "bastion", "gate": "bastion", "address": "bastion", "by_jump": "web1", "by_gate": "web1", "by_address": "web1",
			} {
				if rec, _ := parity.Find(records, host, "where", "ok"); rec.Result["stdout"] != want+"\ndeploy" {
					t.Errorf("%s: %v, want %s", host, rec.Result["stdout"], want)
				}
			}
			for _, h := range []*env.Host{bastion, web} {
				if n := strings.Count(h.Log(), "Accepted publickey"); n != 1 {
					t.Errorf("%d connections to %s, want one", n, h.Name)
				}
				if left := h.Quiet(10 * time.Second); left != "" {
					t.Error(left)
				}
			}
		})
	}
}
