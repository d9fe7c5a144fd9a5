//go:build e2e

package e2e

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// standIn is what goes by the name of programs that nobody can install here.
//
//go:embed testdata/standin.sh
var standIn string

// escalations are become plugins, each with what it takes to use it and how it ends.
var escalations = []struct {
	name   string
	vars   string // of every try
	right  string // the password, or "" where nobody is asked
	user   string // who tasks run as, or "" for root
	wrong  string // what is said of a wrong password
	none   string // what is said of none
	nobody string // a try of an account that may not, and what is said of it: "VARS|TEXT"
}{
	{
		name: "machinectl", vars: "ansible_user=admin ansible_become_method=community.general.machinectl ansible_become_user=root", right: env.AdminPassword,
		wrong: "machinectl password is incorrect", none: "machinectl password is required", nobody: "ansible_user=plain|Access denied",
	},
	{name: "machinectl_app", vars: "ansible_user=deploy ansible_become_method=community.general.machinectl ansible_become_user=app", user: "app"},
	{
		name: "run0", vars: "ansible_user=admin ansible_become_method=community.general.run0", right: env.AdminPassword,
		wrong: "run0 password is incorrect", none: "run0 password is required", nobody: "ansible_user=plain|Access denied",
	},
	{name: "run0_tty", vars: "ansible_user=deploy ansible_become_method=community.general.run0 ansible_ssh_extra_args=-tt"}, // as the stock plugin wants it
	{name: "run0_app", vars: "ansible_user=deploy ansible_become_method=community.general.run0 ansible_become_user=app", user: "app"},
	{
		name: "ksu", vars: "ansible_user=admin ansible_become_method=community.general.ksu ansible_become_user=root", right: "krb-admin",
		wrong: "ksu password is incorrect", none: "ksu password is required", nobody: "ansible_user=app ansible_become_password=krb-app|authorization failed",
	},
	{
		name: "doas", vars: "ansible_user=admin ansible_become_method=community.general.doas", right: env.AdminPassword,
		wrong: "doas password is incorrect", none: "doas password is required", nobody: "ansible_user=plain|Operation not permitted",
	},
	{name: "doas_app", vars: "ansible_user=deploy ansible_become_method=community.general.doas ansible_become_user=app", user: "app"},
	{
		name: "pbrun", vars: "ansible_user=deploy ansible_become_method=community.general.pbrun ansible_become_user=app", right: env.DeployPassword, user: "app",
		wrong: "pbrun password is incorrect", none: "pbrun password is required",
	},
	{
		name: "pmrun", vars: "ansible_user=deploy ansible_become_method=community.general.pmrun", right: env.DeployPassword,
		wrong: "pmrun password is incorrect", none: "pmrun password is required",
	},
	{
		name: "sesu", vars: "ansible_user=deploy ansible_become_method=community.general.sesu ansible_become_user=app", right: env.DeployPassword, user: "app",
		wrong: "sesu password is incorrect", none: "sesu password is required",
	},
	{
		name: "dzdo", vars: "ansible_user=deploy ansible_become_method=community.general.dzdo ansible_become_user=app", right: env.DeployPassword, user: "app",
		wrong: "dzdo password is incorrect", none: "dzdo: a password is required",
	},
	{name: "pfexec", vars: "ansible_user=deploy ansible_become_method=community.general.pfexec ansible_pfexec_wrap_execution=true"},
	{
		name: "sudosu", vars: "ansible_user=admin ansible_become_method=community.general.sudosu ansible_become_user=app", right: env.AdminPassword, user: "app",
		wrong: "sudosu password is incorrect", none: "sudosu password is required",
	},
}

// asks makes a host ask for passwords in every way there is: by polkit, which lets deploy pass and asks admin for his own password; by Kerberos,
// whose passwords are others than those of the accounts; and by stand-ins.
const asks = `
mkdir -p /etc/polkit-1/rules.d
cat >/etc/polkit-1/rules.d/10-tests.rules <<'R'
polkit.addRule(function(action, subject) {
	if (action.id != "org.freedesktop.machine1.host-shell" && action.id != "org.freedesktop.systemd1.manage-units") return polkit.Result.NOT_HANDLED;
	return {deploy: polkit.Result.YES, admin: polkit.Result.AUTH_SELF}[subject.user] || polkit.Result.NO;
});
R
cat >/etc/krb5.conf <<'K'
[libdefaults]
	default_realm = TESTS
	dns_lookup_kdc = false
	dns_lookup_realm = false
	dns_canonicalize_hostname = false
[realms]
	TESTS = {
		kdc = 127.0.0.1
	}
[domain_realm]
	web1 = TESTS
K
cat >/etc/krb5kdc/kdc.conf <<'K'
[realms]
	TESTS = {
		database_name = /var/lib/krb5kdc/principal
	}
K
{
	kdb5_util create -s -r TESTS -P master
	for q in 'addprinc -pw krb-admin admin' 'addprinc -pw krb-app app' 'addprinc -randkey host/web1' 'ktadd host/web1'; do kadmin.local -q "$q"; done
} >/dev/null 2>&1
echo admin@TESTS >/root/.k5login
for n in pbrun pmrun sesu dzdo pfexec; do ln -s /usr/local/bin/standin /usr/local/bin/$n; done
`

// TestBecomePlugins becomes somebody by every plugin of community.general, with the right password, a wrong one, and none.
func TestBecomePlugins(t *testing.T) {
	l := env.New(t)
	h := l.Host(t, env.HostOptions{Name: "web1", Systemd: true, Boot: "cat >/usr/local/bin/standin <<'STANDIN'\n" + standIn + "STANDIN\nchmod 755 /usr/local/bin/standin\n" + asks})
	h.MustExec(t, "krb5kdc", "-P", "/run/kdc.pid")
	h.MustExec(t, "systemctl", "start", "polkit") // so that it is no leftover
	c := l.Controller(t, env.WithEngines, h)
	c.Write(t, env.PlayDir+"/become.yml", `
- hosts: all
  gather_facts: false
  become: true
  tasks:
    - name: who
      ansible.builtin.command: sh -c 'id -un; ps -o ppid= -p $PPID'
      ignore_errors: true
    - name: again
      ansible.builtin.command: sh -c 'id -un; ps -o ppid= -p $PPID; seq 1 2000'
      ignore_errors: true
`, 0o644)
	type try struct{ who, says string }
	want := map[string]try{}
	var inventory strings.Builder
	add := func(alias, vars, who, says string) {
		want[alias] = try{who, says}
		fmt.Fprintf(&inventory, "%s ansible_host=%s ansible_python_interpreter=/usr/bin/python3 %s\n", alias, h.Addr, vars)
	}
	for _, e := range escalations {
		user := e.user
		if user == "" {
			user = "root"
		}
		if e.right == "" {
			add(e.name, e.vars, user, "")
		} else {
			add(e.name+"_right", e.vars+" ansible_become_password="+e.right, user, "")
			add(e.name+"_wrong", e.vars+" ansible_become_password=pw-bad", "", e.wrong)
			add(e.name+"_none", e.vars, "", e.none)
		}
		if vars, says, found := strings.Cut(e.nobody, "|"); found {
			add(e.name+"_nobody", e.vars+" "+vars, "", says)
		}
	}
	r := c.Play(t, env.Play{
		Strategy: "mitogen_linear", Playbook: "become.yml", Inventory: inventory.String(),
		Config: map[string]string{"collections_path": collections, "timeout": "30", "forks": "8"},
	})
	records, err := parity.Parse(r.Records)
	if err != nil || r.Code != 0 {
		t.Fatalf("play: %v %v", err, r)
	}
	for alias, w := range want {
		status := map[bool]string{true: "ok", false: "failed"}[w.says == ""]
		who, found := parity.Find(records, alias, "who", status)
		again, foundAgain := parity.Find(records, alias, "again", status)
		if !found || !foundAgain {
			t.Errorf("%s: want %s: %v", alias, status, parity.Of(records, alias))
			continue
		}
		if w.says != "" {
			if msg := fmt.Sprint(who.Result["msg"]); !strings.Contains(msg, w.says) {
				t.Errorf("%s: %q, want %q", alias, msg, w.says)
			}
			continue
		}
		first := strings.Fields(fmt.Sprint(who.Result["stdout"]))
		second := strings.Fields(fmt.Sprint(again.Result["stdout"]))
		if len(first) != 2 || len(second) != 2002 || first[0] != w.who || second[0] != w.who || second[2001] != "2000" {
			t.Errorf("%s: tasks run as %v and %v, want %s", alias, first, second[:min(3, len(second))], w.who)
			continue
		}
		if first[1] != second[1] {
			t.Errorf("%s: the second task has an agent of its own", alias)
		}
	}
	if strings.Contains(r.Stdout+r.Stderr+string(r.Records), "pw-") || strings.Contains(r.Stdout+r.Stderr+string(r.Records), "krb-") {
		t.Error("a password is in the output")
	}
	for _, login := range []string{"admin", "deploy", "plain", "app"} {
		if n := strings.Count(h.Log(), "Accepted publickey for "+login); n != 1 {
			t.Errorf("%d connections of %s, want one", n, login)
		}
	}
	left := env.Poll(20*time.Second*env.Patience(), func() string {
		for _, p := range h.Processes() {
			if p.Matches("mitogen:") || p.Runs("run0") || p.Runs("machinectl") || p.Runs("ksu") {
				return "still running: " + p.String()
			}
		}
		return ""
	})
	if left != "" {
		t.Error(left)
	}
}
