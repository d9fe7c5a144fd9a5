package ssh

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func readConfig(t *testing.T, file string) *config {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (v verdict) String() string {
	return [...]string{"honoured", "ignored", "binary unless default"}[v]
}

// Every option that OpenSSH 9.2 prints, and what becomes of it.
func TestRulesGolden(t *testing.T) {
	var b strings.Builder
	for _, key := range readConfig(t, "openssh-9.2-default.txt").keys {
		r, ok := rules[key]
		if !ok {
			t.Errorf("option %s of OpenSSH 9.2 is in no rule", key)
		}
		fmt.Fprintf(&b, "%-34s %s", key, r.verdict)
		if r.limit != nil {
			b.WriteString(", within limits")
		}
		b.WriteString("\n")
	}
	golden(t, "rules.golden", b.String())
}

// The ssh that is installed may print options that nobody has thought of.
func TestRulesKnowTheInstalledSSH(t *testing.T) {
	exe, err := exec.LookPath("ssh")
	if err != nil {
		t.Skip("SKIPPED: no ssh")
	}
	c, err := newResolver().baseline(t.Context(), exe)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range c.keys {
		if _, ok := rules[key]; !ok {
			t.Errorf("option %s is in no rule", key)
		}
	}
	if why := judge(c, c); why != "" {
		t.Errorf("ssh's own defaults need the binary: %s", why)
	}
}

func TestJudge(t *testing.T) {
	base := readConfig(t, "openssh-9.2-default.txt")
	if why := judge(readConfig(t, "openssh-9.2-ansible.txt"), base); why != "" {
		t.Errorf("Ansible's defaults on Debian need the binary: %s", why)
	}
	for _, c := range []struct{ line, why string }{
		{"somethingnew yes", `option "somethingnew yes" is unknown to the native client`},
		{"somethingnew none", ""},
		{"checkhostip yes", `option "checkhostip yes" is left to the ssh binary`},
		{"stricthostkeychecking perhaps", `option "stricthostkeychecking perhaps" is unknown to the native client`},
		{"stricthostkeychecking accept-new", ""},
		{"bindaddress eth0", `option "bindaddress eth0" is no IP address`},
		{"bindaddress ::1", ""},
		{"proxycommand -", `option "proxycommand -" uses ssh's own stdin`},
		{"requesttty force", ""},
		{"requesttty true", ""},
		{"preferredauthentications gssapi-with-mic", `option "preferredauthentications gssapi-with-mic" names no method that the native client has`},
		{"preferredauthentications gssapi-with-mic,password", ""},
		{"ciphers aes256-cbc", `option "ciphers aes256-cbc" names nothing that the native client has`},
		{"ciphers aes128-cbc", ""},
		{"controlpath /x", `option "controlpath /x" shares a connection between ssh processes`},
		{"controlpath none", ""},
		{"loglevel DEBUG2", `option "loglevel DEBUG2" asks for the ssh binary's log`},
		{"localcommand x", ""},
		{"setenv A=1", ""},
		{"pubkeyauthentication host-bound", `option "pubkeyauthentication host-bound" is left to the ssh binary`},
		{"identityfile " + strings.Repeat("x", 100), ""},
		{"revokedhostkeys " + strings.Repeat("x", 100), `option "revokedhostkeys ` + strings.Repeat("x", 61) + `..." is left to the ssh binary`},
	} {
		key, value, _ := strings.Cut(c.line, " ")
		changed := &config{keys: []string{"host", key}, values: map[string][]string{"host": {"x"}, key: {value}}}
		if why := judge(changed, base); why != c.why {
			t.Errorf("%s gave %q, want %q", c.line, why, c.why)
		}
	}
	both := &config{keys: []string{"permitlocalcommand"}, values: map[string][]string{"permitlocalcommand": {"yes"}, "localcommand": {"x"}}}
	if why := judge(both, base); why == "" {
		t.Error("a local command is dropped")
	}
}

func TestParseConfig(t *testing.T) {
	for _, text := range []string{"", "usage: ssh ...", "user x\nport 22\n", "\x00\xff\n", strings.Repeat("x", 2<<20)} {
		if c, err := parseConfig([]byte(text)); err == nil {
			t.Errorf("%.20q gave %v", text, c)
		}
	}
	c, err := parseConfig([]byte("Host a\r\nUSER u\nhostname h\nport 22\nidentityfile a\nidentityfile b c\nlocalcommand\n"))
	if err != nil || c.one("user") != "u" || len(c.all("identityfile")) != 2 || c.all("identityfile")[1] != "b c" || c.set("localcommand") {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestTarget(t *testing.T) {
	base := readConfig(t, "openssh-9.2-default.txt")
	made, err := newTarget("web1", readConfig(t, "openssh-9.2-ansible.txt"), base)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	show := func(name string, v any) { fmt.Fprintf(&b, "%-15s %v\n", name, v) }
	show("address", made.address())
	show("user", made.user)
	show("network", made.network)
	show("known as", made.knownAs+", "+made.knownPlain)
	show("strict", made.strict)
	show("known files", made.knownFiles)
	show("kex", strings.Join(made.kex, "\n                "))
	show("ciphers", strings.Join(made.ciphers, "\n                "))
	show("macs", strings.Join(made.macs, "\n                "))
	show("host keys", strings.Join(made.hostKeys, "\n                "))
	show("methods", made.methods)
	show("identities", len(made.identities))
	show("keepalive", fmt.Sprint(made.aliveEvery, " x ", made.aliveCount))
	golden(t, "target.golden", b.String())
}
