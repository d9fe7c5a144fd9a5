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

// TestPodmanOptions does the same with what newer plugins of containers.podman hand to podman and buildah than the one that is installed.
func TestPodmanOptions(t *testing.T) {
	for engine, more := range map[string]string{env.Podman: " ansible_podman_privilege_escalation=su", env.Buildah: ""} {
		c := env.New(t).Controller(t, env.WithEngines)
		c.Engine(t, engine).Run(t, "inner1")
		c.Write(t, env.PlayDir+"/options.yml", fmt.Sprintf(`
- hosts: all
  gather_facts: false
  vars:
    ansible_%[1]s_extra_env: {SPOKEN: "a b", OTHER: 1}
    ansible_%[1]s_working_directory: /usr/lib
  tasks:
    - name: seen
      ansible.builtin.command: sh -c 'pwd; echo "$SPOKEN $OTHER"; id -un'
`, engine), 0o644)
		r := c.Play(t, env.Play{
			Strategy: "mitogen_linear", User: "root", Playbook: "options.yml", Config: map[string]string{"timeout": patient},
			Inventory: "inner1 ansible_connection=" + engine + more + " ansible_python_interpreter=/usr/bin/python3\n",
		})
		records, err := parity.Parse(r.Records)
		if err != nil || r.Code != 0 {
			t.Errorf("%s: %v %v", engine, err, r)
			continue
		}
		rec, _ := parity.Find(records, "inner1", "seen", "ok")
		if said := fmt.Sprint(rec.Result["stdout"]); said != "/usr/lib\na b 1\nroot" {
			t.Errorf("%s: %q", engine, said)
		}
	}
}
