//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"testing"

	"spindle/tests/env"
	"spindle/tests/parity"
)

const ticketPlay = `
- hosts: localhost
  gather_facts: false
  become: true
  tasks:
    - command: id -un
    - copy: {content: "by a ticket\n", dest: /root/by-a-ticket}
      register: done
    - command: sleep 0.1
      loop: [1, 2]
`

// TestTicketOfATerminal has somebody give sudo the password at a terminal, and start a playbook for this machine there which gives none: stock
// Ansible becomes root by sudo's ticket, where its workers are in the terminal's session.
func TestTicketOfATerminal(t *testing.T) {
	program, err := os.ReadFile("testdata/typed.py")
	if err != nil {
		t.Fatal(err)
	}
	steps, err := json.Marshal([][2]string{{"password for ops", "pw-ops\n"}})
	if err != nil {
		t.Fatal(err)
	}
	newest := env.Versions[len(env.Versions)-1]
	for _, v := range []env.Version{env.Oldest, newest} {
		t.Run(v.Name, func(t *testing.T) {
			l := env.New(t)
			c := l.Controller(t, v)
			c.MustExec(t, "sh", "-c", "echo ops:pw-ops | chpasswd && echo 'ops ALL=(ALL:ALL) ALL' >/etc/sudoers.d/ops && chmod 440 /etc/sudoers.d/ops")
			c.Write(t, env.PlayDir+"/ticket.yml", ticketPlay, 0o644)
			c.Write(t, env.PlayDir+"/typed.py", string(program), 0o644)
			run := func(strategy, isolation string) []parity.Record {
				r := c.Play(t, env.Play{
					Strategy: strategy, Program: "python3", Playbook: "ticket.yml", Env: []string{"ANSIBLE_WORKER_SESSION_ISOLATION=" + isolation},
					Args:      []string{"typed.py", string(steps), "sh", "-c", `sudo -k && sudo -v && exec ansible-playbook "$@"`, "sh"},
					Inventory: "localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n",
				})
				records, err := parity.Parse(r.Records)
				if err != nil || r.Hung {
					t.Fatalf("%s: %v %v", strategy, err, r)
				}
				c.MustExec(t, "rm", "-f", "/root/by-a-ticket")
				return records
			}
			want, got := run("linear", "0"), run("mitogen_linear", "0")
			if _, ok := parity.Find(want, "localhost", "copy", "ok"); !ok {
				t.Fatalf("the stock run did not become root: %v", want)
			}
			for _, line := range parity.Compare(want, got, parity.All()) {
				t.Error(line)
			}
			if v == newest { // its workers have no terminal, unless they are told to
				if _, ok := parity.Find(run("mitogen_linear", "1"), "localhost", "copy", "ok"); ok {
					t.Error("root by a ticket, in a session of its own")
				}
			}
		})
	}
}
