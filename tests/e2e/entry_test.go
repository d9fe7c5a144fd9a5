//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

const entryPlay = `
- hosts: all
  gather_facts: false
  tasks:
    - name: said
      ansible.builtin.command: sh -c 'ps -o ppid= -p $PPID'
      loop: [1, 2]
    - name: root
      ansible.builtin.command: id -un
      become: true
`

// TestTheCallbackIsAWayIn plays under the stock strategies, and a loop's items have one parent: the agent.
func TestTheCallbackIsAWayIn(t *testing.T) {
	for _, v := range everyVersion() {
		t.Run(v.Name, func(t *testing.T) {
			l := env.New(t)
			h := l.Host(t, env.HostOptions{Name: "web1"})
			c := l.Controller(t, v, h)
			c.Write(t, env.PlayDir+"/entry.yml", entryPlay, 0o644)
			for _, strategy := range []string{"linear", "ansible.builtin.free", "host_pinned"} {
				r := c.Play(t, env.Play{
					Strategy: strategy, Callback: true, Playbook: "entry.yml", Inventory: "web1 ansible_host=" + h.Addr + " ansible_user=deploy\n",
					Config: map[string]string{"deprecation_warnings": "True"},
				})
				records, err := parity.Parse(r.Records)
				if err != nil || r.Code != 0 {
					t.Fatalf("%s: %v %v", strategy, err, r)
				}
				all := parity.Done(records, "web1")
				if len(all) < 3 || all[0].Result["stdout"] == "" || all[0].Result["stdout"] != all[1].Result["stdout"] {
					t.Errorf("%s: the items have no common grandparent, so no agent ran them:\n%s", strategy, r.Records)
				}
				if rec, _ := parity.Find(records, "web1", "root", "ok"); rec.Result["stdout"] != "root" {
					t.Errorf("%s: become: %v", strategy, rec)
				}
				if strings.Contains(r.Stdout+r.Stderr, "DEPRECATION") {
					t.Errorf("%s: a deprecation is told of:\n%v", strategy, r)
				}
				if left := h.Quiet(10 * time.Second); left != "" {
					t.Error(left)
				}
			}
			if left := c.Quiet(10 * time.Second); left != "" {
				t.Error(left)
			}
		})
	}
}
