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

// TestOddWays sets ways as people do when nobody looks: templated, by odd ports and addresses, in circles, to nowhere, for hosts that are
// delegated to or come up during the play, and with passwords that were typed for all.
func TestOddWays(t *testing.T) {
	l := env.New(t)
	back := l.Segment(t)
	gate := l.Host(t, env.HostOptions{Name: "gate", On: []*env.Segment{l.Front(), back}, SSHD: []string{"Port=22", "Port=2222"}, Boot: "ip link set lo up"})
	web := l.Host(t, env.HostOptions{Name: "web1", On: []*env.Segment{back}, SSHD: []string{"PubkeyAuthentication=no"}, Boot: "echo plain:typed-login | chpasswd; echo app:typed-become | chpasswd"})
	gate.Trust(t, "deploy", web)
	gate.Trust(t, "app", web)
	c := l.Controller(t, env.Versions[2], gate, web)
	c.Known(t, gate.KnownKey, strings.Replace(gate.KnownKey, gate.Addr, "["+gate.Addr+"]:2222", 1))
	c.Write(t, "/home/ops/login", "typed-login\n", 0o600)
	c.Write(t, "/home/ops/become", "typed-become\n", 0o600)
	c.Write(t, env.PlayDir+"/odd.yml", `
- hosts: all:!windows
  gather_facts: false
  ignore_unreachable: true
  tasks:
    - name: where
      ansible.builtin.command: sh -c 'echo $(hostname) $(id -un)'
- hosts: far
  gather_facts: false
  tasks:
    - name: to gate
      ansible.builtin.command: sh -c 'echo $(hostname) $(id -un)'
      delegate_to: port
    - name: to itself
      ansible.builtin.command: sh -c 'echo $(hostname) $(id -un)'
      delegate_to: "{{ inventory_hostname }}"
    - name: here
      local_action: {module: ansible.builtin.command, cmd: sh -c 'id -un'}
    - name: here as root
      local_action: {module: ansible.builtin.command, cmd: sh -c 'id -un'}
      become: true
      ignore_errors: true
    - name: by typed password
      ansible.builtin.command: sh -c 'echo $(hostname) $(id -un)'
      become: true
      become_method: su
      become_user: app
    - ansible.builtin.add_host: {name: added, ansible_host: "{{ ansible_host }}", ansible_user: plain, mitogen_via: port}
- hosts: port
  gather_facts: false
  tasks:
    - name: to far
      ansible.builtin.command: sh -c 'echo $(hostname) $(id -un)'
      delegate_to: far
    - name: to added
      ansible.builtin.command: sh -c 'echo $(hostname) $(id -un)'
      delegate_to: added
`, 0o644)
	r := c.Play(t, env.Play{
		Strategy: "mitogen_linear", Playbook: "odd.yml", Config: map[string]string{"timeout": "60"},
		Args: []string{"--connection-password-file", "/home/ops/login", "--become-password-file", "/home/ops/become"},
		Inventory: fmt.Sprintf(`
port ansible_host=%[1]s ansible_user=deploy ansible_port=2222
named ansible_host='{{ gate_addr }}' ansible_user='{{ "dep" ~ "loy" }}' ansible_port='{{ 2200 + 22 }}'
far ansible_host=%[2]s ansible_user=plain mitogen_via=port
templated ansible_host=%[2]s ansible_user=plain mitogen_via='{{ "na" ~ "med" }}'
sudoed ansible_host=%[2]s ansible_user=plain mitogen_via=app@named
by_su ansible_host=%[5]s ansible_user=deploy mitogen_via=su:app@far ansible_host_key_checking=false ansible_password=pw-deploy
six ansible_host=::1 ansible_user=deploy mitogen_via=port ansible_host_key_checking=false ansible_ssh_private_key_file=/home/deploy/.ssh/id_ed25519
by_here ansible_host=%[1]s ansible_user=deploy mitogen_via=localhost
cycle_a mitogen_via=cycle_b
cycle_b mitogen_via=root@cycle_a
itself mitogen_via=itself
unknown mitogen_via=nowhere
behind_unknown mitogen_via=unknown
closed ansible_host=%[3]s
behind_closed ansible_host=%[2]s mitogen_via=closed
silent ansible_host=%[4]s ansible_timeout=2
behind_silent ansible_host=%[2]s mitogen_via=silent
windows ansible_connection=winrm ansible_winrm_host=127.0.0.1
behind_windows ansible_host=%[2]s mitogen_via=windows
bad_method ansible_host=%[2]s mitogen_via=runas:bob@port
[all:vars]
ansible_python_interpreter=/usr/bin/python3
gate_addr=%[1]s
`, gate.Addr, web.Addr, env.RefusedAddr, env.BlackholeAddr, gate.AddrOn(back)),
	})
	records, err := parity.Parse(r.Records)
	if err != nil || r.Hung {
		t.Fatalf("play: %v %v", err, r)
	}
	for task, hosts := range map[string]map[string]string{
		"where": {
			"port": "gate deploy", "named": "gate deploy", "far": "web1 plain", "templated": "web1 plain", "sudoed": "web1 plain", "by_su": "gate deploy", "six": "gate deploy", "by_here": "gate deploy",
		},
		"to gate": {"far": "gate deploy"}, "to itself": {"far": "web1 plain"}, "here": {"far": "ops"}, "by typed password": {"far": "web1 app"},
		"to far": {"port": "web1 plain"}, "to added": {"port": "web1 plain"},
	} {
		for host, want := range hosts {
			rec, _ := parity.Find(records, host, task, "ok")
			if got := fmt.Sprint(rec.Result["stdout"]); got != want {
				t.Errorf("%s: %s: %q, want %q: %v", task, host, got, want, parity.Of(records, host))
			}
		}
	}
	for host, want := range map[string]string{
		"cycle_a": "creates a cycle (cycle_a -> cycle_b -> cycle_a)", "itself": "creates a cycle (itself -> itself)",
		"unknown": "mitogen_via=nowhere of unknown specifies an unknown hostname", "behind_unknown": "mitogen_via=nowhere of unknown specifies an unknown hostname",
		"closed": "Connection refused", "behind_closed": "Connection refused", "silent": "Connection timed out.", "behind_silent": "Connection timed out.",
		"behind_windows": "winrm", "bad_method": "runas",
	} {
		rec, _ := parity.Find(records, host, "where", "unreachable")
		if msg := fmt.Sprint(rec.Result["msg"]); !strings.Contains(msg, want) {
			t.Errorf("%s: %q, want %q: %v", host, msg, want, parity.Of(records, host))
		}
	}
	if rec, found := parity.Find(records, "far", "here as root", "failed"); !found || !strings.Contains(fmt.Sprint(rec.Result["msg"]), "sudo") {
		t.Errorf("as root here: %v", rec)
	}
	if strings.Contains(r.Stdout+r.Stderr+string(r.Records), "typed-") {
		t.Error("a password is in the output")
	}
	for _, h := range []*env.Host{gate, web} {
		if left := h.Quiet(20 * time.Second); left != "" {
			t.Error(left)
		}
	}
}
