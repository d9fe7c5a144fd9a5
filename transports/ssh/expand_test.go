package ssh

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

func TestExpand(t *testing.T) {
	t.Setenv("SPN_DIR", "/dir")
	t.Setenv("SPN_EVIL", "${SPN_EVIL}")
	tok := newTokens("web", "web.example.org", "2222", "bob", false, "")
	tok['d'] = "/home/me"
	for _, c := range []struct{ in, want string }{
		{"~/.ssh/id", "/home/me/.ssh/id"},
		{"~", "/home/me"},
		{"~nobody-of-that-name/x", "~nobody-of-that-name/x"},
		{"/a/%h/%n/%p/%r", "/a/web.example.org/web/2222/bob"},
		{"%%h", "%h"},
		{"%d/%k", "/home/me/web"},
		{"%j", "error"},
		{"${SPN_DIR}/x", "/dir/x"},
		{"%", "error"},
		{"%z", "error"},
		{"${SPN_NOT_SET}", "error"},
		{"${SPN_EVIL}", "error"},
		{"${open", "error"},
	} {
		got, err := tok.path(c.in)
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%s gave %s (%v), want %s", c.in, got, err, c.want)
		}
	}
	if _, err := tok.only("hp").percent("%u"); err == nil {
		t.Error("%u is taken where ssh does not take it")
	}
	if len(tok['C']) != 40 {
		t.Errorf("%%C is %q", tok['C'])
	}
	if got := newTokens("web", "web.example.org", "2222", "bob", false, "other")['k']; got != "other" {
		t.Errorf("%%k is %q", got)
	}
}

// What we make of names is what ssh here makes of them; where its versions differ, it is asked.
func TestNamesAreThoseThatSSHMakes(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("SKIPPED: no ssh")
	}
	d := newDesk(t, &theLab)
	const name = "/k/%C-%h-%k-%L-%l-%n-%p-%r-%u-%i-%%"
	d.config("IdentityFile " + name + "\nHost alias\n  HostName web1\nHost keyed\n  HostName web1\n  HostKeyAlias other\nHost far\n  ProxyJump bob@jump:2222\n")
	options := []string{"-F", d.path("ssh_config")}
	for _, host := range []string{"web1", "alias", "keyed", "far"} {
		dl := d.dialer(d.kwargs(&server{host: host, port: "2222"}, kw{"username": "u", "ssh_args": options}))
		out, err := exec.Command("ssh", "-G", "-F", d.path("ssh_config"), "-l", "u", "-p", "2222", "-o", "ControlPath="+name, host).Output()
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(out), "\ncontrolpath ")
		want, _, _ := strings.Cut(after, "\n")
		plan, target, err := dl.plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if host == "far" {
			if plan.How != Binary || !strings.Contains(plan.Why, "%C in") {
				t.Errorf("behind a jump host: %s because %s", plan.How, plan.Why)
			}
		} else if target == nil || !slices.Contains(target.identities, want) {
			t.Errorf("%s: got %+v (%s), want %s", host, target, plan.Why, want)
		}
		// The same goes for control_path, behind a jump host too.
		dl = d.dialer(d.kwargs(&server{host: host, port: "2222"}, kw{"username": "u", "ssh_args": options, "control_path": name}))
		if got := dl.masterPath(t.Context()); got != want {
			t.Errorf("%s: the shared connection is at %s, want %s", host, got, want)
		}
	}
}

// withoutAccount has nobody in /etc/passwd, as where accounts come from SSSD or LDAP.
func withoutAccount(t *testing.T) {
	t.Helper()
	before := passwd
	passwd = (&desk{t: t, dir: t.TempDir()}).write("passwd", "somebody:x:4294967294:1::/:/bin/sh\n")
	t.Cleanup(func() { passwd = before })
}

// Who we are is what ssh takes us for. Where it leaves the home open, and we do not know the account, only ssh knows where the files are.
func TestAccountsAreThoseThatSSHKnows(t *testing.T) {
	withoutAccount(t)
	t.Setenv("USER", "wrong")
	t.Setenv("HOME", "/wrong")
	says := func(known string) *config {
		c, err := parseConfig([]byte("user alice\nhostname h\nport 22\nidentityfile ~/.ssh/id_%u\nuserknownhostsfile " + known + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := says("/ldap/alice/.ssh/known_hosts /ldap/alice/.ssh/known_hosts2")
	made, err := newTarget("h", c, c)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(made.identities, " "); got != "/ldap/alice/.ssh/id_alice" {
		t.Errorf("the identity is %s", got)
	}
	c = says("~/.ssh/known_hosts ~/.ssh/known_hosts2")
	if _, err = newTarget("h", c, c); err == nil || err.Error() != "the home of alice is known to the ssh binary only" {
		t.Errorf("it gave %v", err)
	}
	passwd = (&desk{t: t, dir: t.TempDir()}).write("passwd", fmt.Sprintf("x:x:1:1::/x:/bin/sh\nalice:x:%d:1:A, B:/home/alice:/bin/sh\n", os.Getuid()))
	if made, err = newTarget("h", c, c); err != nil || made.identities[0] != "/home/alice/.ssh/id_alice" {
		t.Errorf("it gave %+v, %v", made, err)
	}
}

func TestParseJump(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"host", "|host|"},
		{"u@host:22", "u|host|22"},
		{"a@b@host", "a@b|host|"},
		{"[::1]:22", "|::1|22"},
		{"u@[fe80::1]", "u|fe80::1|"},
		{"::1", "|::1|"},
		{"ssh://u@host:22", "u|host|22"},
		{"ssh://host/", "|host|"},
		{"", "error"},
		{"u@", "error"},
		{"-oX", "error"},
		{"[::1", "error"},
	} {
		user, host, port, err := parseJump(c.in)
		got := strings.Join([]string{user, host, port}, "|")
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%s gave %s (%v), want %s", c.in, got, err, c.want)
		}
	}
}

func TestWildcard(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"web1", "web1", true},
		{"web?", "web1", true},
		{"web?", "web", false},
		{"*.example.org", "a.b.example.org", true},
		{"*", "", true},
		{"[web*]:22*", "[web1]:2222", true},
		{"[a-z]", "b", false},
		{"[a-z]*", "[a-z]x", true},
		{`\*`, `\x`, true},
	} {
		if got := wildcard(c.pattern, c.name); got != c.want {
			t.Errorf("wildcard(%q, %q) = %t", c.pattern, c.name, got)
		}
	}
}

// Whatever is in known_hosts, reading it neither fails nor panics, and never lets a stranger in.
func FuzzKnownHosts(f *testing.F) {
	key := newKey().PublicKey()
	f.Add("web1 " + authorized(key))
	f.Add("@cert-authority * " + authorized(key))
	f.Add("@revoked * ssh-rsa AAAA\n|1|a|b ssh-rsa AAAA\n!x,*,?? a b\n@\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, l := range parseKnown([]byte(text)) {
			l.matches("[web1]:22")
			if k := l.key(); k != nil && len(k.Marshal()) == 0 {
				t.Error("an empty key")
			}
		}
	})
}

func FuzzContainerPublic(f *testing.F) {
	f.Add([]byte("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var k gossh.PublicKey = containerPublic(text)
		_ = k
		parseKeyFile(text)
	})
}
