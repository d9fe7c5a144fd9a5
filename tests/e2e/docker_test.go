//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// TestDockerOptions sets what community.docker's plugin hands to docker exec, and looks for it from inside, under a stock strategy as well.
func TestDockerOptions(t *testing.T) {
	c := env.New(t).Controller(t, env.WithEngines)
	c.Engine(t, env.Docker).Run(t, "inner1")
	c.Write(t, env.PlayDir+"/options.yml", `
- hosts: all
  gather_facts: false
  vars:
    ansible_docker_extra_env: {SPOKEN: "a b", OTHER: "1"}
    ansible_docker_working_dir: /usr/lib
    ansible_docker_privileged: true
  tasks:
    - name: seen
      ansible.builtin.command: sh -c 'pwd; echo "$SPOKEN $OTHER"; grep CapEff /proc/self/status'
`, 0o644)
	said := map[string]string{}
	for _, strategy := range []string{"linear", "mitogen_linear"} {
		r := c.Play(t, env.Play{
			Strategy: strategy, Playbook: "options.yml", Config: map[string]string{"collections_path": collections, "timeout": patient},
			Inventory: "inner1 ansible_connection=community.docker.docker ansible_python_interpreter=/usr/bin/python3\n",
		})
		records, err := parity.Parse(r.Records)
		if err != nil || r.Code != 0 {
			t.Fatalf("%s: %v %v", strategy, err, r)
		}
		rec, _ := parity.Find(records, "inner1", "seen", "ok")
		said[strategy] = fmt.Sprint(rec.Result["stdout"])
	}
	if said["linear"] != said["mitogen_linear"] || len(said["linear"]) < len("/usr/lib\na b 1\nCapEff:") {
		t.Errorf("%q", said)
	}
}
