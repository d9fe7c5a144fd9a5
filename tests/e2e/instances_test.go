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

// TestInstances enters instances of LXD and Incus in other projects, by the names of remotes, and as other accounts. Two instances have one name,
// so it matters which project counts.
func TestInstances(t *testing.T) {
	for engine, client := range map[string]struct{ tool, dir string }{env.LXD: {"lxc", "/var/lib/lxd"}, env.Incus: {"incus", "/var/lib/incus"}} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel() // each has machines of its own
			c := env.New(t).Controller(t, env.WithEngines)
			e := c.Engine(t, engine)
			box := e.Run(t, "inner1")
			mark(t, box)
			// An instance of the same name in another project, with what is needed to see that it is another one.
			c.MustExec(t, "sh", "-c", fmt.Sprintf(`set -e
%[1]s project create shop -c features.images=false -c features.profiles=false </dev/null
%[1]s copy inner1 inner1 --target-project shop --instance-only </dev/null
%[1]s start inner1 --project shop </dev/null
%[1]s exec --project shop inner1 -- sh -c 'echo this is of shop >/etc/where' </dev/null`, client.tool))
			c.Settle()
			// A remote of the operator's own, for the same daemon by another name.
			if o := c.ExecAs(t, env.Operator, client.tool, "remote", "add", "near", "unix://"+client.dir+"/unix.socket"); o.Code != 0 {
				t.Fatalf("remote: %+v", o)
			}
			c.Write(t, env.PlayDir+"/box.yml", `
- hosts: all
  gather_facts: false
  ignore_unreachable: true
  tasks:
    - name: where
      ansible.builtin.command: cat /etc/where
    - name: who
      ansible.builtin.command: sh -c 'id -un; id -gn; echo $HOME'
    - name: raw
      ansible.builtin.raw: id -un
    - name: file
      ansible.builtin.copy: {content: "x", dest: "/tmp/of-{{ inventory_hostname }}"}
    - name: whose
      ansible.builtin.command: stat -c %U /tmp/of-{{ inventory_hostname }}
    - name: remove
      ansible.builtin.file: {path: "/tmp/of-{{ inventory_hostname }}", state: absent}
    - name: administrator
      ansible.builtin.command: id -un
      become: true
`, 0o644)
			project, remote := fmt.Sprintf("ansible_%s_project=shop", engine), fmt.Sprintf("ansible_%s_remote=", engine)
			type host struct{ vars, where, who string }
			hosts := map[string]host{
				"plain":              {"", "inner1", "root"},
				"dotted":             {"ansible_host=inner1.example.org", "inner1", "root"},
				"project":            {project, "of shop", "root"},
				"default_project":    {fmt.Sprintf("ansible_%s_project=default", engine), "inner1", "root"},
				"local":              {remote + "local", "inner1", "root"},
				"remote":             {remote + "near", "inner1", "root"},
				"remote_and_project": {remote + "near " + project, "of shop", "root"},
				"as_deploy":          {"ansible_user=deploy", "inner1", "deploy"},
				"as_root":            {"ansible_user=root", "inner1", "root"},
				"as_deploy_of_shop":  {"ansible_user=deploy " + project, "of shop", "deploy"},
				"own_su":             {fmt.Sprintf("ansible_user=deploy %s_become_method=/usr/bin/su", engine), "inner1", "deploy"},
			}
			if engine == env.LXD { // the option of its plugin has no default
				delete(hosts, "default_project")
			}
			for _, way := range []struct {
				strategy, collections string
				accounts              bool
			}{
				{"mitogen_linear", collections, true}, {"linear", collections, true}, {"mitogen_linear", "/nonexistent", false},
			} {
				var inventory strings.Builder
				played := hosts
				if way.strategy == "linear" { // to know that the expectations are the stock plugin's; it is slow
					played = map[string]host{"project": hosts["project"], "as_deploy_of_shop": hosts["as_deploy_of_shop"]}
				}
				for name, h := range played {
					if !strings.Contains(h.vars, "ansible_host=") {
						name += " ansible_host=inner1"
					}
					fmt.Fprintf(&inventory, "%s ansible_connection=%s ansible_python_interpreter=/usr/bin/python3 %s\n", name, map[bool]string{true: "community.general." + engine, false: engine}[way.accounts], h.vars)
				}
				r := c.Play(t, env.Play{
					Strategy: way.strategy, Playbook: "box.yml", Inventory: inventory.String(), Config: map[string]string{"collections_path": way.collections, "timeout": patient},
				})
				t.Logf("%s: %v", way.strategy, r.Took.Round(time.Second/10))
				records, err := parity.Parse(r.Records)
				if err != nil || r.Code != 0 {
					t.Fatalf("%s, %s: %v %v", way.strategy, way.collections, err, r)
				}
				for name, h := range played {
					who, home := h.who, "/home/"+h.who
					if !way.accounts {
						who = "root"
					}
					if who == "root" {
						home = "/root"
					}
					for task, want := range map[string]string{
						"where": "this is " + h.where, "who": who + "\n" + who + "\n" + home, "raw": who, "whose": who, "administrator": "root",
					} {
						rec, _ := parity.Find(records, name, task, "ok")
						if got := strings.TrimSpace(fmt.Sprint(rec.Result["stdout"])); got != want {
							t.Errorf("%s, %s: %s: %s: %q, want %q: %v", way.strategy, way.collections, name, task, got, want, rec.Result)
						}
					}
				}
				if way.strategy == "linear" { // the daemon goes on for a while with what it has started for the stock plugin's files
					c.Settle()
					continue
				}
				if left := box.Quiet(10*time.Second) + c.Quiet(10*time.Second); left != "" {
					t.Errorf("%s: %s", way.strategy, left)
				}
			}
			// The account is not there: su says so, and the host is unreachable.
			r := c.Play(t, env.Play{
				Strategy: "mitogen_linear", Playbook: "box.yml", Config: map[string]string{"collections_path": collections, "timeout": patient},
				Inventory: fmt.Sprintf("nobody ansible_host=inner1 ansible_connection=community.general.%s ansible_user=nosuch\nnowhere ansible_host=nowhere ansible_connection=%[1]s\n", engine),
			})
			records, err := parity.Parse(r.Records)
			if err != nil {
				t.Fatalf("%v %v", err, r)
			}
			for name, want := range map[string]string{"nobody": "nosuch", "nowhere": "seldom tells why"} {
				rec, _ := parity.Find(records, name, "where", "unreachable")
				if msg := fmt.Sprint(rec.Result["msg"]); !strings.Contains(msg, want) {
					t.Errorf("%s: %q, want %q: %v", name, msg, want, r)
				}
			}
		})
	}
}
