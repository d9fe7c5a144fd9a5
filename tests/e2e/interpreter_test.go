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

// TestInterpretersOfManyWords sets interpreters that need a script, variables or a template, for accounts that may read the script and one that
// may not.
func TestInterpretersOfManyWords(t *testing.T) {
	l := env.New(t)
	h := l.Host(t, env.HostOptions{Name: "web1", Boot: "install -d -o deploy -m 700 /home/deploy/venv; echo 'export VENV=yes' >/home/deploy/venv/activate"})
	for _, v := range []env.Version{env.Versions[0], env.Versions[2]} {
		t.Run(v.Name, func(t *testing.T) {
			c := l.Controller(t, v, h)
			c.Write(t, env.PlayDir+"/python.yml", `
- hosts: all
  gather_facts: false
  tasks:
    - name: login
      ansible.builtin.command: sh -c 'echo "$(id -un) $VENV $A"'
    - {name: root, ansible.builtin.command: sh -c 'echo "$(id -un) $VENV $A"', become: true}
    - {name: app, ansible.builtin.command: sh -c 'echo "$(id -un) $VENV $A"', become: true, become_user: app}
    - {name: by su, ansible.builtin.command: sh -c 'echo "$(id -un) $VENV $A"', become: true, become_user: app, become_method: su, vars: {ansible_become_password: pw-app}}
`, 0o644)
			r := c.Play(t, env.Play{
				Strategy: "mitogen_linear", Playbook: "python.yml", Config: map[string]string{"timeout": "30"},
				Inventory: fmt.Sprintf(`
source ansible_python_interpreter='source /home/deploy/venv/activate && python3'
template ansible_python_interpreter='source {{ dir }}/activate && A={{ value }} /usr/bin/python3' dir=/home/deploy/venv value=a=b
assigned ansible_python_interpreter='A=1 python3'
env ansible_python_interpreter='/usr/bin/env A=1 {{ "python" ~ 3 }}'
[all:vars]
ansible_host=%s
ansible_user=deploy
`, h.Addr),
			})
			records, err := parity.Parse(r.Records)
			if err != nil || r.Code != 0 {
				t.Fatalf("play: %v %v", err, r)
			}
			for host, set := range map[string]struct{ venv, a string }{"source": {"yes", ""}, "template": {"yes", "a=b"}, "assigned": {"", "1"}, "env": {"", "1"}} {
				for task, want := range map[string]string{
					"login": "deploy " + set.venv + " " + set.a, "root": "root " + set.venv + " " + set.a, "app": "app  " + set.a, "by su": "app " + set.venv + " " + set.a, // which keeps the environment of the login
				} {
					rec, _ := parity.Find(records, host, task, "ok")
					if got := fmt.Sprint(rec.Result["stdout"]); strings.TrimSpace(got) != strings.TrimSpace(want) {
						t.Errorf("%s: %s: %q, want %q", host, task, got, want)
					}
				}
			}
			if left := h.Quiet(20 * time.Second); left != "" {
				t.Error(left)
			}
		})
	}
}
