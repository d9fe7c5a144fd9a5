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

// TestSudoRs becomes somebody by sudo-rs and its su, of two versions, in place of those that everybody knows.
func TestSudoRs(t *testing.T) {
	const sudoers = "Defaults timestamp_timeout=0\nroot ALL=(ALL:ALL) ALL\nadmin ALL=(ALL:ALL) ALL\ndeploy ALL=(ALL:ALL) NOPASSWD: ALL\n"
	l := env.New(t)
	var hosts []*env.Host
	for _, name := range []string{"trixie", "sid"} {
		hosts = append(hosts, l.Host(t, env.HostOptions{
			Name: name, Root: env.RootOf(t, name), Boot: "echo '" + sudoers + "' >/etc/sudoers-rs; chmod 440 /etc/sudoers-rs; chmod u+s /usr/bin/su-rs", // which Debian 13 left out
		}))
	}
	c := l.Controller(t, env.Versions[1], hosts...)
	c.Write(t, env.PlayDir+"/rs.yml", `
- hosts: all
  gather_facts: false
  become: true
  tasks:
    - name: who
      ansible.builtin.command: sh -c 'id -un'
      ignore_errors: true
`, 0o644)
	type try struct{ vars, who, says string }
	const sudo, su = " ansible_become_exe=sudo-rs", " ansible_become_method=su ansible_become_exe=su-rs"
	tries := map[string]try{
		"right":    {"ansible_user=admin ansible_become_password=pw-admin" + sudo, "root", ""},
		"other":    {"ansible_user=admin ansible_become_user=app ansible_become_password=pw-admin" + sudo, "app", ""},
		"german":   {"ansible_user=admin ansible_become_password=pw-admin ansible_become_exe='env LANG=de_DE.UTF-8 sudo-rs'", "root", ""},
		"sudo_su":  {"ansible_user=admin ansible_become_method=su ansible_become_user=app ansible_become_password=pw-admin ansible_become_exe='sudo-rs su -'", "app", ""},
		"wrong":    {"ansible_user=admin ansible_become_password=pw-bad" + sudo, "", "sudo password is incorrect"},
		"none":     {"ansible_user=admin" + sudo, "", "sudo password is required"},
		"free":     {"ansible_user=deploy" + sudo, "root", ""},
		"nobody":   {"ansible_user=plain ansible_become_password=pw-plain" + sudo, "", "sorry plain"},
		"su_right": {"ansible_user=plain ansible_become_user=app ansible_become_password=pw-app" + su, "app", ""},
		"su_wrong": {"ansible_user=plain ansible_become_user=app ansible_become_password=pw-bad" + su, "", "su password is incorrect"},
		"su_none":  {"ansible_user=plain ansible_become_user=app" + su, "", "su password is required"},
	}
	var inventory strings.Builder
	for _, h := range hosts {
		for name, try := range tries {
			fmt.Fprintf(&inventory, "%s_%s ansible_host=%s ansible_python_interpreter=/usr/bin/python3 %s\n", h.Name, name, h.Addr, try.vars)
		}
	}
	r := c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "rs.yml", Inventory: inventory.String(), Config: map[string]string{"timeout": "30"}})
	records, err := parity.Parse(r.Records)
	if err != nil || r.Code != 0 {
		t.Fatalf("play: %v %v", err, r)
	}
	for _, h := range hosts {
		for name, try := range tries {
			alias := h.Name + "_" + name
			if try.says == "" {
				rec, _ := parity.Find(records, alias, "who", "ok")
				if who, _, _ := strings.Cut(fmt.Sprint(rec.Result["stdout"]), "\n"); who != try.who {
					t.Errorf("%s: the task runs as %s, want %s: %v", alias, who, try.who, parity.Of(records, alias))
				}
				continue
			}
			if rec, found := parity.Find(records, alias, "who", "failed"); !found || !strings.Contains(fmt.Sprint(rec.Result["msg"]), try.says) {
				t.Errorf("%s: want %q: %v", alias, try.says, parity.Of(records, alias))
			}
		}
		if left := h.Quiet(20 * time.Second); left != "" {
			t.Error(left)
		}
	}
}
