package ssh

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"spindle/transports"
)

// wantText checks the error that the user sees. A text that ends in … is a beginning.
func wantText(t *testing.T, err error, text string) {
	t.Helper()
	ce, ok := errors.AsType[*transports.ConnectError](err)
	if !ok {
		t.Fatalf("got error %v (%T), want a ConnectError", err, err)
	}
	if ce.Class != transports.Unreachable {
		t.Errorf("class is %v", ce.Class)
	}
	if start, cut := strings.CutSuffix(text, "…"); cut && strings.HasPrefix(ce.Text, start) {
		return
	}
	if ce.Text != text {
		t.Errorf("text is %q (%v), want %q", ce.Text, ce.Err, text)
	}
}

// A dialCase is a login that ends alike on both ways.
type dialCase struct {
	name string
	// setup prepares the controller, and says what it sets.
	setup func(d *desk, s *server) kw
	// want is the error's text; empty for success.
	want string
	// only names the one way that the case is for.
	only string
}

// runCases runs each case on both ways, against one server, and returns when all have ended.
func runCases(t *testing.T, s *server, cases []dialCase) {
	t.Run("on", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				bothWays(t, func(t *testing.T, way string) { c.run(t, s, way) })
			})
		}
	})
}

func (c dialCase) run(t *testing.T, s *server, way string) {
	if c.only != "" && c.only != way {
		t.Skip("only for " + c.only)
	}
	d := newDesk(t, &theLab)
	d.knows(s.known())
	k := d.kwargs(s, c.setup(d, s))
	if c.want == "" {
		d.mustDial(way, k)
		return
	}
	started := time.Now()
	_, err := d.dial(way, k)
	wantText(t, err, c.want)
	if took := time.Since(started); c.want == transports.TextTimeout && took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestKeys(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t, "PasswordAuthentication no", "MaxAuthTries 3")
	runCases(t, s, []dialCase{
		{name: "plain", setup: func(d *desk, _ *server) kw {
			return kw{"identity_file": d.identity()}
		}},
		{name: "refused", want: textRefused, setup: func(d *desk, _ *server) kw {
			writePrivate(d.t, d.path("other"), newPrivate(), "")
			return kw{"identity_file": d.path("other")}
		}},
		{name: "none", want: textRefused, setup: func(*desk, *server) kw { return nil }},
		{name: "encrypted", want: textRefused + "…", setup: func(d *desk, _ *server) kw {
			writePrivate(d.t, d.path("locked"), d.lab.private, "phrase")
			return kw{"identity_file": d.path("locked")}
		}},
		{name: "encrypted-asks-nobody", want: textRefused + "…", setup: func(d *desk, _ *server) kw {
			writePrivate(d.t, d.path("locked"), d.lab.private, "phrase")
			return kw{"identity_file": d.path("locked"), "password": "not asked for"}
		}},
		{name: "encrypted-in-agent", setup: func(d *desk, _ *server) kw {
			writePrivate(d.t, d.path("locked"), d.lab.private, "phrase")
			d.config("IdentityAgent " + d.agent(newPrivate(), newPrivate(), newPrivate(), d.lab.private))
			return kw{"identity_file": d.path("locked"), "identities_only": true}
		}},
		{name: "encrypted-and-plain", setup: func(d *desk, _ *server) kw {
			writePrivate(d.t, d.path("locked"), newPrivate(), "phrase")
			d.config("IdentityFile " + d.identity())
			return kw{"identity_file": d.path("locked")}
		}},
		{name: "agent", setup: func(d *desk, _ *server) kw {
			d.config("IdentityAgent " + d.agent(newPrivate(), d.lab.private))
			return nil
		}},
		{name: "agent-too-many", want: textRefused + ": Too many authentication failures", setup: func(d *desk, _ *server) kw {
			d.config("IdentityAgent " + d.agent(newPrivate(), newPrivate(), newPrivate(), newPrivate(), d.lab.private))
			return nil
		}},
		// ssh itself would offer the agent's keys first, and be shown the door.
		{name: "named-key-goes-first", only: Native, setup: func(d *desk, _ *server) kw {
			d.config("IdentityAgent " + d.agent(newPrivate(), newPrivate(), newPrivate(), newPrivate()))
			return kw{"identity_file": d.identity()}
		}},
		{name: "identities-only", setup: func(d *desk, _ *server) kw {
			d.config("IdentitiesOnly yes\nIdentityAgent " + d.agent(newPrivate(), newPrivate(), newPrivate(), newPrivate()))
			return kw{"identity_file": d.identity()}
		}},
		{name: "public-half-in-file", setup: func(d *desk, _ *server) kw {
			d.config("IdentityAgent " + d.agent(newPrivate(), newPrivate(), newPrivate(), d.lab.private))
			d.write("half.pub", authorized(d.lab.key.PublicKey())+"\n")
			return kw{"identity_file": d.path("half.pub"), "identities_only": true}
		}},
		{name: "agent-is-gone", setup: func(d *desk, _ *server) kw {
			d.config("IdentityAgent " + d.path("nobody"))
			return kw{"identity_file": d.identity()}
		}},
		{name: "readable-by-others", want: textRefused, setup: func(d *desk, _ *server) kw {
			return kw{"identity_file": d.loose(d.identity())}
		}},
		{name: "tokens-in-name", setup: func(d *desk, s *server) kw {
			writePrivate(d.t, d.path("id-"+s.host+"-"+d.lab.user+"-%"), d.lab.private, "")
			d.config("IdentityFile " + d.dir + "/id-%h-%r-%%")
			return nil
		}},
		{name: "tokens-in-the-named-key", setup: func(d *desk, s *server) kw {
			writePrivate(d.t, d.path("id-"+s.host+"-"+d.lab.user), d.lab.private, "")
			return kw{"identity_file": d.path("id-%h-%r")}
		}},
		{name: "tokens-in-the-named-key-goes-first", only: Native, setup: func(d *desk, s *server) kw {
			writePrivate(d.t, d.path("id-"+s.host), d.lab.private, "")
			d.config("IdentityAgent " + d.agent(newPrivate(), newPrivate(), newPrivate(), newPrivate()))
			return kw{"identity_file": d.path("id-%h")}
		}},
		{name: "tokens-are-no-name", want: textRefused, setup: func(d *desk, _ *server) kw {
			writePrivate(d.t, d.path("id-%h"), d.lab.private, "")
			return kw{"identity_file": d.path("id-%h")}
		}},
		{name: "blanks-in-the-named-key", setup: func(d *desk, _ *server) kw {
			writePrivate(d.t, d.path("my key"), d.lab.private, "")
			return kw{"identity_file": d.path("my key")}
		}},
		{name: "certificate-beside-key", setup: func(d *desk, _ *server) kw {
			return kw{"identity_file": d.certified("fresh", "fresh-cert.pub")}
		}},
		{name: "certificate-named", setup: func(d *desk, _ *server) kw {
			path := d.certified("fresh", "elsewhere.pub")
			d.config("CertificateFile " + d.path("elsewhere.pub"))
			return kw{"identity_file": path}
		}},
		{name: "certificate-named-and-key-in-agent", setup: func(d *desk, _ *server) kw {
			private := newPrivate()
			d.write("elsewhere.pub", authorized(d.certificate(private).Certificate)+"\n")
			d.config("CertificateFile " + d.path("elsewhere.pub") + "\nIdentityAgent " + d.agent(private))
			return nil
		}},
		{name: "certificate-in-agent", setup: func(d *desk, _ *server) kw {
			d.config("IdentityAgent " + d.agent(d.certificate(newPrivate())))
			return nil
		}},
		{name: "public-keys-off", want: textRefused, setup: func(d *desk, _ *server) kw {
			d.config("PubkeyAuthentication no")
			return kw{"identity_file": d.identity()}
		}},
		{name: "algorithm-not-allowed", want: textRefused, setup: func(d *desk, _ *server) kw {
			d.config("PubkeyAcceptedAlgorithms rsa-sha2-512")
			return kw{"identity_file": d.identity()}
		}},
	})
}

func TestPasswords(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	runCases(t, s, []dialCase{
		{name: "right", setup: func(d *desk, _ *server) kw { return kw{"password": d.lab.password} }},
		{name: "missing", want: textPasswordNeeded, setup: func(*desk, *server) kw { return nil }},
		{name: "missing-key-refused", want: textPasswordNeeded, setup: func(d *desk, _ *server) kw {
			writePrivate(d.t, d.path("other"), newPrivate(), "")
			return kw{"identity_file": d.path("other")}
		}},
		{name: "after-key", setup: func(d *desk, _ *server) kw {
			writePrivate(d.t, d.path("other"), newPrivate(), "")
			return kw{"identity_file": d.path("other"), "password": d.lab.password}
		}},
		{name: "off-here", want: textRefused + "…", setup: func(d *desk, _ *server) kw {
			d.config("PasswordAuthentication no")
			return kw{"password": d.lab.password}
		}},
		{name: "preferred", setup: func(d *desk, _ *server) kw {
			d.config("PreferredAuthentications password,publickey")
			return kw{"password": d.lab.password}
		}},
	})
}

// A wrong password is sent once: the second failure may lock an account.
func TestWrongPasswordIsSentOnce(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	for _, mode := range []struct {
		name  string
		lines []string
		log   string
	}{
		{"password", nil, "Failed password for "},
		{
			"keyboard-interactive",
			[]string{"UsePAM yes", "KbdInteractiveAuthentication yes", "PasswordAuthentication yes"},
			"Failed keyboard-interactive/pam for ",
		},
	} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, way string) {
				s := l.startServer(t, mode.lines...)
				d := newDesk(t, l)
				d.knows(s.known())
				_, err := d.dial(way, d.kwargs(s, kw{"password": "wrong"}))
				wantText(t, err, textPasswordWrong)
				if log := s.waitLog(t, mode.log); strings.Count(log, "\nFailed ") != 1 {
					t.Errorf("not one failed attempt:\n%s", log)
				}
				if strings.Contains(err.Error(), "wrong") {
					t.Errorf("the password is in %q", err)
				}
			})
		})
	}
}

func TestKeyboardInteractive(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t, "UsePAM yes", "KbdInteractiveAuthentication yes", "PasswordAuthentication no")
	runCases(t, s, []dialCase{
		{name: "right", setup: func(d *desk, _ *server) kw { return kw{"password": d.lab.password} }},
		{name: "missing", want: textRefused, setup: func(*desk, *server) kw { return nil }},
	})
}

func TestTwoFactors(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t, "AuthenticationMethods publickey,password")
	runCases(t, s, []dialCase{
		{name: "both", setup: func(d *desk, _ *server) kw {
			return kw{"identity_file": d.identity(), "password": d.lab.password}
		}},
		{name: "one", want: textPasswordNeeded, setup: func(d *desk, _ *server) kw {
			return kw{"identity_file": d.identity()}
		}},
	})
}

// A key that is named and not there is no reason to try others, as for Ansible.
func TestNamedKeysAreInsteadOfDefaults(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("SKIPPED: no ssh")
	}
	d := newDesk(t, &theLab)
	missing := d.path("not there")
	t.Setenv("SPN_KEYS", d.dir)
	for _, c := range []struct{ named, want string }{
		{missing, missing},
		{d.path("%h-%p"), d.path("web1-2222")},
		{"${SPN_KEYS}/%%", d.path("%")},
		{d.write("there", ""), d.path("there")},
	} {
		dl := d.dialer(d.kwargs(&server{host: "web1", port: "2222"}, kw{"identity_file": c.named, "ssh_args": []string{"-F", "none"}}))
		_, target, err := dl.plan(t.Context())
		if err != nil || target == nil {
			t.Fatalf("%s: %v, %v", c.named, target, err)
		}
		if got := strings.Join(target.identities, " "); got != c.want || target.firstIdentity != c.want {
			t.Errorf("%s: keys are %s, %s goes first", c.named, got, target.firstIdentity)
		}
	}
}
