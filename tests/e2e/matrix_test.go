//go:build e2e

package e2e

import (
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// TestTheStackIsTrue goes every way to accounts of a chain of machines, and compares what mitogen_get_stack says with where tasks really run.
func TestTheStackIsTrue(t *testing.T) {
	ch := newChain(t, env.Versions[0], 1)
	web := ch.hosts[0]
	ch.bastion.Trust(t, "root", web)
	ch.bastion.Trust(t, "app", web)

	type way struct{ vars, host string }
	ways := map[string]way{
		"direct":   {"ansible_host=" + ch.gateway.Addr, "gateway"},
		"one":      {"mitogen_via=gateway ansible_host=" + ch.bastion.Addr, "bastion"},
		"two":      {"mitogen_via=bastion ansible_host=" + web.Addr, "web1"},
		"as_root":  {"mitogen_via=root@bastion ansible_host=" + web.Addr, "web1"},
		"by_doas":  {"mitogen_via=doas:root@bastion ansible_host=" + web.Addr, "web1"},
		"by_su":    {"mitogen_via=su:app@suer ansible_host=" + web.Addr, "web1"},
		"sudo_con": {"ansible_connection=mitogen_sudo ansible_user=app mitogen_via=web1", "web1"},
		"su_con":   {"ansible_connection=mitogen_su ansible_user=app ansible_password=pw-app mitogen_via=web1", "web1"},
		"doas_con": {"ansible_connection=mitogen_doas ansible_user=root mitogen_via=gateway", "gateway"},
	}
	becomes := map[string]struct{ vars, user string }{
		"none":  {"ansible_become=false", ""},
		"root":  {"ansible_become=true", "root"},
		"other": {"ansible_become=true ansible_become_user=app", "app"},
		"su":    {"ansible_become=true ansible_become_method=su ansible_become_user=app ansible_become_password=pw-app", "app"},
	}
	inventory := ch.inventory + fmt.Sprintf(
		"suer ansible_host=%s ansible_user=deploy mitogen_via=gateway ansible_become_password=pw-app ansible_python_interpreter=/usr/bin/python3\n[all:vars]\n"+
			"ansible_python_interpreter=/usr/bin/python3\n[ways]\n", ch.bastion.Addr)
	want := map[string]string{}
	for name, w := range ways {
		for how, b := range becomes {
			user := "deploy"
			if strings.HasSuffix(name, "_con") {
				_, user, _ = strings.Cut(w.vars, "ansible_user=")
				user, _, _ = strings.Cut(user, " ")
				if how != "none" && user != "root" {
					continue // app may become nobody
				}
				if how == "su" {
					continue
				}
			}
			if b.user != "" {
				user = b.user
			}
			alias := name + "_" + how
			login := " ansible_user=deploy "
			if strings.Contains(w.vars, "ansible_user=") {
				login = " "
			}
			inventory += alias + login + w.vars + " " + b.vars + "\n"
			want[alias] = w.host + " " + user
		}
	}
	ch.c.Write(t, env.PlayDir+"/ways.yml", `
- hosts: ways
  gather_facts: false
  tasks:
    - name: stack
      mitogen_get_stack:
    - name: there
      ansible.builtin.command: sh -c 'echo $(hostname) $(id -un); readlink /proc/$PPID/exe'
`, 0o644)
	plugins := ch.c.InstallSpindle(t)
	r := ch.c.Play(t, env.Play{
		Strategy: "mitogen_linear", Playbook: "ways.yml", Inventory: inventory,
		Config: map[string]string{"action_plugins": path.Join(path.Dir(plugins), "action"), "forks": "10"},
	})
	records, err := parity.Parse(r.Records)
	if err != nil || r.Code != 0 {
		t.Fatalf("play: %v %v", err, r)
	}
	for alias, place := range want {
		stack, _ := parity.Find(records, alias, "stack", "ok")
		there, _ := parity.Find(records, alias, "there", "ok")
		got, python, _ := strings.Cut(fmt.Sprint(there.Result["stdout"]), "\n")
		if got != place || !strings.HasPrefix(python, "/usr/bin/python3") {
			t.Errorf("%s: tasks run as %s in %s, want %s", alias, got, python, place)
		}
		checkStack(t, alias, place, stack.Result["result"])
	}
	for _, h := range append([]*env.Host{ch.gateway, ch.bastion}, ch.hosts...) {
		if left := h.Quiet(10 * time.Second); left != "" {
			t.Error(left)
		}
	}
	if strings.Contains(string(r.Records), "pw-app") {
		t.Error("a password is in the results")
	}
}

// checkStack compares a stack with the host and the account that were reached.
func checkStack(t *testing.T, alias, place string, result any) {
	t.Helper()
	host, user, _ := strings.Cut(place, " ")
	stack, _ := result.([]any)
	if len(stack) == 0 {
		t.Errorf("%s: no stack: %v", alias, result)
		return
	}
	account, ssh := "", 0
	for _, hop := range stack {
		h, _ := hop.(map[string]any)
		kwargs, _ := h["kwargs"].(map[string]any)
		account, _ = kwargs["username"].(string)
		if h["method"] == "ssh" {
			ssh++
		}
		if p, ok := kwargs["python_path"].([]any); !ok || len(p) != 1 || p[0] != "/usr/bin/python3" {
			t.Errorf("%s: python_path is %v", alias, kwargs["python_path"])
		}
	}
	if account != user {
		t.Errorf("%s: the stack ends at %s, tasks run as %s", alias, account, user)
	}
	if want := map[string]int{"gateway": 1, "bastion": 2, "web1": 3}[host]; ssh != want {
		t.Errorf("%s: %d ssh hops, want %d to %s", alias, ssh, want, host)
	}
}
