package ssh

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// countingSSH is an ssh that counts its runs.
func countingSSH(t *testing.T) (exe string, runs func() int) {
	t.Helper()
	real, err := exec.LookPath("ssh")
	if err != nil {
		t.Skip("no ssh here")
	}
	dir := t.TempDir()
	exe, count := filepath.Join(dir, "ssh"), filepath.Join(dir, "count")
	if err := os.WriteFile(exe, []byte("#!/bin/sh\necho >>"+count+"\nexec "+real+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return exe, func() int {
		b, _ := os.ReadFile(count)
		return len(b)
	}
}

// Whatever the configuration is, hosts that ssh was not asked about are told what it would have said, and where the files could tell hosts
// apart, each is asked about.
func TestHostsAreAskedAboutWhereTheyMayDiffer(t *testing.T) {
	included := filepath.Join(t.TempDir(), "part.conf")
	if err := os.WriteFile(included, []byte("Compression yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	apart := filepath.Join(t.TempDir(), "apart.conf")
	if err := os.WriteFile(apart, []byte("Host web7\n  Port 2222\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := []string{"web1", "web2", "web3", "web7", "db.example.com", "a-b"}
	for _, c := range []struct {
		name, file string
		options    []string
		hosts      []string
		asked      int
	}{
		{"nothing", "", nil, names, 2},
		{"the usual", "# comment\nHost *\n  User deploy\n\tPort=2200\n  IdentityFile ~/.ssh/id_x\n  SendEnv LANG LC_*\n", nil, names, 2},
		{"options", "", []string{"-l", "root", "-p", "2022", "-o", "ConnectTimeout=7"}, names, 2},
		{"included", "Include " + included + "\n", nil, names, 2},
		{"match all", "Match all\n  Port 23\n", nil, names, 2},
		{"addresses", "Port 24\n", nil, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "127.0.0.1"}, 2},
		{"addresses and names", "", nil, []string{"10.0.0.1", "web1", "10.0.0.2", "web2", "10.0.0.3", "web3"}, 4},

		{"a host of its own", "Host web7\n  Port 2222\n", nil, names, 6},
		{"all but one", "Host * !web7\n  Port 2222\n", nil, names, 6},
		{"a host of its own, included", "Include " + apart + "\n", nil, names, 6},
		{"included by name without a path", "Include conf.d/*\n", nil, names, 6},
		{"match host", "Match host web7\n  User x\n", nil, names, 6},
		{"match exec", "Match exec \"test %h = web7\"\n  User x\n", nil, names, 6},
		{"tokens", "IdentityFile ~/.ssh/%h\n", nil, names, 6},
		{"a name for all", "HostName gateway\n", nil, names, 6},
		{"tokens in options", "", []string{"-o", "ControlPath=/tmp/%h"}, names, 6},
		{"jump", "ProxyJump jump\n", nil, names, 6},
		{"jump in options", "", []string{"-J", "jump"}, names, 6},
		{"jump among other letters", "", []string{"-4CJjump"}, names, 6},
		{"another file among other letters", "", []string{"-4CF" + apart}, names, 6},
		{"canonical names", "CanonicalizeHostname no\n", nil, names, 6},
		{"quoted keyword", "\"Host\" web7\n  Port 2222\n", nil, names, 6},
		{"capitals", "", nil, []string{"Web1", "Web2", "Web3"}, 3},
		{"addresses written otherwise", "", nil, []string{"127.1", "127.2", "::1", "fe80::1%1"}, 4},
		{"users and ports in names", "", nil, []string{"a@web1", "a@web2", "a@web3"}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			exe, runs := countingSSH(t)
			file := filepath.Join(t.TempDir(), "config")
			if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			options := append([]string{"-F", file}, c.options...)
			r := newResolver()
			for _, host := range c.hosts {
				got, err := r.resolve(context.Background(), exe, options, host)
				if err != nil {
					t.Fatal(err)
				}
				asked := runs()
				want, err := query(context.Background(), exe, options, host)
				if err != nil {
					t.Fatal(err)
				}
				if runs() != asked+1 {
					t.Fatal("the runs are not counted")
				}
				if d := cmp.Diff(want.keys, got.keys); d != "" {
					t.Errorf("%s: keys differ:\n%s", host, d)
				}
				for _, key := range want.keys {
					if d := cmp.Diff(want.all(key), got.all(key)); d != "" {
						t.Errorf("%s: %s differs:\n%s", host, key, d)
					}
				}
			}
			if asked := runs() - len(c.hosts); asked != c.asked {
				t.Errorf("ssh -G ran %d times, want %d", asked, c.asked)
			}
		})
	}
}

// Where two hosts turn out to differ in more than their names, for whatever reason, all are asked about.
func TestHostsThatDifferAreAllAskedAbout(t *testing.T) {
	r := newResolver()
	answer := func(host, more string) *config {
		c, err := parseConfig(fmt.Appendf(nil, "host %s\nuser u\nhostname %s\nport 22\n%s", host, host, more))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	options := []string{"-F", "none"}
	r.learn(0, "ssh", options, "a", answer("a", "tag x\n"))
	if r.derive("ssh", options, "c") != nil {
		t.Error("one host makes no rule")
	}
	r.learn(0, "ssh", options, "b", answer("b", "tag y\n"))
	r.learn(0, "ssh", options, "d", answer("d", "tag x\n"))
	if r.derive("ssh", options, "c") != nil {
		t.Error("b was different")
	}
}

// Which files ssh reads is known of the system's own only.
func TestOtherProgramsAreAskedAboutEachHost(t *testing.T) {
	if uniform("/opt/ssh/bin/ssh", nil) {
		t.Error("where another ssh looks is not known")
	}
	if path, err := exec.LookPath("ssh"); err == nil && path == systemSSH {
		want := uniformSystem(systemConfig, vendorConfig)
		if home, err := os.UserHomeDir(); err == nil {
			want = want && uniformFile(filepath.Join(home, ".ssh", "config"), includeDepth)
		}
		if got := uniform("ssh", nil); got != want {
			t.Errorf("uniform is %v, and the files' %v", got, want)
		}
	}
}

// Where the system's file is not where we look, ssh may read another one that tells hosts apart.
func TestSystemsThatKeepTheirConfigurationElsewhere(t *testing.T) {
	d := &desk{t: t, dir: t.TempDir()}
	there, missing := d.write("there", "Host *\n  SendEnv LANG\n"), d.path("missing")
	for _, c := range []struct {
		name, system, vendor string
		want                 bool
	}{
		{"the usual", there, missing, true},
		{"the vendor's only", missing, there, false},
		{"both", there, there, false},
		{"neither", missing, missing, false},
		{"unreadable", d.dir, missing, false},
	} {
		if got := uniformSystem(c.system, c.vendor); got != c.want {
			t.Errorf("%s: uniform is %v", c.name, got)
		}
	}
}

// The home of an account that is not in /etc/passwd is known to ssh, and so is the configuration in it.
func TestUnknownAccountsAreAskedAboutEachHost(t *testing.T) {
	options := []string{"-F", "none"}
	if _, _, known := account(); known != uniform("ssh", options) {
		t.Errorf("known: %v, but uniform: %v", known, !known)
	}
	withoutAccount(t)
	if uniform("ssh", options) {
		t.Error("the account is unknown, and the hosts count as uniform")
	}
}
