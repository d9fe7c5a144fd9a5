package ssh

import (
	"crypto/rand"
	"crypto/rsa"
	"os"
	"slices"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

func TestHostKeys(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t, "PasswordAuthentication no")
	key := s.hostKey.PublicKey()
	login := func(d *desk) kw { return kw{"identity_file": d.identity()} }
	// knowing logs in with these lines in known_hosts.
	knowing := func(lines ...string) func(*desk, *server) kw {
		return func(d *desk, _ *server) kw {
			d.knows(lines...)
			return login(d)
		}
	}
	ecdsa := signer(newECDSA(t)).PublicKey()
	runCases(t, s, []dialCase{
		{name: "known", setup: knowing(s.known())},
		{name: "unknown", want: textHostKey, setup: knowing()},
		{name: "changed", want: textHostKey, setup: knowing(s.name() + " " + authorized(l.other.PublicKey()))},
		{name: "another-port", want: textHostKey, setup: knowing("[" + s.host + "]:1 " + authorized(key))},
		{name: "without-port", setup: knowing(s.host + " " + authorized(key))},
		{name: "hashed", setup: knowing(hashed(s.name(), key))},
		{name: "hashed-changed", want: textHostKey, setup: knowing(hashed(s.name(), l.other.PublicKey()))},
		{name: "wildcard", setup: knowing("[127.0.0.*]:" + s.port + " " + authorized(key))},
		{name: "question-marks", setup: knowing("[127.?.0.*]:" + s.port + " " + authorized(key))},
		{name: "negated", want: textHostKey, setup: knowing("[127.0.0.*]:*,!" + s.name() + " " + authorized(key))},
		{name: "list", setup: knowing("somewhere,else," + s.name() + " " + authorized(key))},
		{name: "several-keys", setup: knowing(s.name()+" "+authorized(l.other.PublicKey()), s.known())},
		{name: "another-type-too", setup: knowing(s.name()+" "+authorized(ecdsa), s.known())},
		{name: "another-type-only", want: textHostKey, setup: knowing(s.name() + " " + authorized(ecdsa))},
		{name: "comments-and-rubbish", setup: knowing("# comment", "", "rubbish", s.name()+" ssh-ed25519 !!!", "|1|x|y ssh-rsa AAAA",
			"@unknown "+s.known(), "  "+s.known()+" a comment")},
		{name: "revoked-without-port", want: textHostKey, setup: knowing(s.host+" "+authorized(key), "@revoked "+s.host+" "+authorized(key))},
		{name: "revoked-without-port-and-accepted", want: textHostKey, only: Native, setup: func(d *desk, s *server) kw {
			d.knows("@revoked " + s.host + " " + authorized(key))
			return kw{"identity_file": d.identity(), "check_host_keys": "accept"}
		}},
		{name: "revoked", want: textHostKey, setup: knowing(s.known(), "@revoked * "+authorized(key))},
		{name: "alias", setup: func(d *desk, _ *server) kw {
			d.config("HostKeyAlias web")
			d.knows("web " + authorized(key))
			return login(d)
		}},
		{name: "alias-unknown", want: textHostKey, setup: func(d *desk, _ *server) kw {
			d.config("HostKeyAlias web")
			return login(d)
		}},
		{name: "second-file", setup: func(d *desk, s *server) kw {
			d.config("UserKnownHostsFile " + d.path("none") + " " + d.write("second", s.known()+"\n"))
			return login(d)
		}},
		{name: "global-file", setup: func(d *desk, s *server) kw {
			d.knows()
			d.config("GlobalKnownHostsFile " + d.write("global", s.known()+"\n"))
			return login(d)
		}},
		{name: "ignored", setup: func(d *desk, s *server) kw {
			d.knows(s.name() + " " + authorized(l.other.PublicKey()))
			return kw{"identity_file": d.identity(), "check_host_keys": "ignore"}
		}},
		// What the user says of it counts, as for stock Ansible, which says nothing itself.
		{name: "config-allows", setup: func(d *desk, _ *server) kw {
			d.knows()
			d.config("StrictHostKeyChecking accept-new")
			return login(d)
		}},
		{name: "config-allows-changed", setup: func(d *desk, s *server) kw {
			d.knows(s.name() + " " + authorized(l.other.PublicKey()))
			d.config("StrictHostKeyChecking no")
			return login(d)
		}},
		{name: "config-asks", want: textHostKey, setup: func(d *desk, _ *server) kw {
			d.knows()
			d.config("StrictHostKeyChecking ask")
			return login(d)
		}},
		{name: "config-refuses", want: textHostKey, setup: func(d *desk, _ *server) kw {
			d.knows()
			d.config("StrictHostKeyChecking yes")
			return login(d)
		}},
		{name: "arguments-allow", setup: func(d *desk, _ *server) kw {
			d.knows()
			k := login(d)
			k["ssh_args"] = []string{"-F", d.path("ssh_config"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"}
			return k
		}},
		{name: "arguments-refuse", want: textHostKey, setup: func(d *desk, _ *server) kw {
			d.knows()
			d.config("StrictHostKeyChecking no")
			k := login(d)
			k["ssh_args"] = []string{"-F", d.path("ssh_config"), "-oStrictHostKeyChecking yes"}
			return k
		}},
		{name: "arguments-ask", want: textHostKey, setup: func(d *desk, _ *server) kw {
			d.knows()
			k := login(d)
			k["ssh_args"] = []string{"-F", d.path("ssh_config"), "-o", "StrictHostKeyChecking=ask"}
			return k
		}},
		{name: "a-script-is-told-by-arguments", only: Binary, setup: func(d *desk, _ *server) kw {
			d.knows()
			k := login(d)
			k["ssh_path"] = d.script()
			k["ssh_args"] = []string{"-F", d.path("ssh_config"), "-o", "StrictHostKeyChecking=accept-new"}
			return k
		}},
		{name: "a-script-is-not-asked", only: Binary, want: textHostKey, setup: func(d *desk, _ *server) kw {
			d.knows()
			d.config("StrictHostKeyChecking no")
			k := login(d)
			k["ssh_path"] = d.script()
			return k
		}},
		{name: "ask", want: textHostKey, setup: func(d *desk, _ *server) kw {
			d.knows()
			d.config("StrictHostKeyChecking ask")
			return kw{"identity_file": d.identity(), "check_host_keys": "config"}
		}},
		{name: "no-unknown", setup: func(d *desk, _ *server) kw {
			d.knows()
			d.config("StrictHostKeyChecking no")
			return kw{"identity_file": d.identity(), "check_host_keys": "config"}
		}},
		{name: "no-changed", setup: func(d *desk, s *server) kw {
			d.knows(s.name() + " " + authorized(l.other.PublicKey()))
			d.config("StrictHostKeyChecking no")
			return kw{"identity_file": d.identity(), "check_host_keys": "config"}
		}},
		{name: "accept-new-changed", want: textHostKey, setup: func(d *desk, s *server) kw {
			d.knows(s.name() + " " + authorized(l.other.PublicKey()))
			return kw{"identity_file": d.identity(), "check_host_keys": "accept"}
		}},
	})
}

// script is one in the place of ssh.
func (d *desk) script() string {
	path := d.write("wrapper", "#!/bin/sh\nexec ssh \"$@\"\n")
	if err := os.Chmod(path, 0o700); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// The command line says what users know it to say, unless they have said otherwise.
func TestStrictInCommandLines(t *testing.T) {
	d := newDesk(t, &theLab)
	web := &server{host: "web1", port: "22"}
	for _, c := range []struct {
		config, argument string
		ours             bool
	}{
		{"", "", true},
		{"StrictHostKeyChecking ask", "", true},
		{"StrictHostKeyChecking yes", "", true},
		{"StrictHostKeyChecking no", "", false},
		{"StrictHostKeyChecking off", "", false},
		{"StrictHostKeyChecking accept-new", "", false},
		{"", "-oStrictHostKeyChecking=no", false},
		{"", "-ostricthostkeychecking yes", false},
	} {
		d.config(c.config)
		d.make = NewFactory()
		k := d.kwargs(web, nil)
		if c.argument != "" {
			k["ssh_args"] = []string{"-F", d.path("ssh_config"), c.argument}
		}
		dl := d.dialer(k)
		far := dl.settings.argv(nil, dl.manner(t.Context(), false))
		if got := slices.Contains(far, "StrictHostKeyChecking yes"); got != (c.argument == "") {
			t.Errorf("%q, %q: on another machine it has our option: %v", c.config, c.argument, got)
		}
		p, err := dl.Explain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(p.Argv, "StrictHostKeyChecking yes"); got != c.ours {
			t.Errorf("%q, %q: it has our option: %v", c.config, c.argument, got)
		}
	}
}

// A server whose key has changed gets no password, even where the key itself is let pass.
func TestNoPasswordForChangedKey(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	bothWays(t, func(t *testing.T, way string) {
		d := newDesk(t, l)
		d.knows(s.name() + " " + authorized(l.other.PublicKey()))
		d.config("StrictHostKeyChecking no")
		_, err := d.dial(way, d.kwargs(s, kw{"check_host_keys": "config", "password": l.password}))
		wantText(t, err, textRefused+"…")
		if log := s.logText(); strings.Contains(log, "password for") {
			t.Errorf("a password was sent:\n%s", log)
		}
	})
}

// Ignoring host keys leaves no trace, learning them does.
func TestLearnHostKeys(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	for _, c := range []struct {
		name, mode, config string
		learns             bool
	}{
		{"ignore", "ignore", "", false},
		{"accept", "accept", "", true},
		{"accept-hashed", "accept", "HashKnownHosts yes", true},
		{"config-accept-new", "config", "StrictHostKeyChecking accept-new", true},
		{"enforce-accept-new", "enforce", "StrictHostKeyChecking accept-new", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, way string) {
				d := newDesk(t, l)
				d.knows()
				d.config(c.config)
				k := d.kwargs(s, kw{"identity_file": d.identity(), "check_host_keys": c.mode})
				for range 2 {
					d.mustDial(way, k)
				}
				text, err := os.ReadFile(d.path("known_hosts"))
				if err != nil {
					t.Fatal(err)
				}
				got := strings.Count(string(text), "ssh-ed25519")
				if got != map[bool]int{true: 1}[c.learns] {
					t.Errorf("known_hosts is %q", text)
				}
				if strings.Contains(c.config, "Hash") && strings.Contains(string(text), s.host) {
					t.Errorf("name is not hashed: %q", text)
				}
				if c.learns {
					d.mustDial(way, d.kwargs(s, kw{"identity_file": d.identity()}))
				}
			})
		})
	}
}

func TestHostCertificates(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	d := newDesk(t, l)
	ca := func(pattern string, key gossh.PublicKey) string {
		return "@cert-authority " + pattern + " " + authorized(key)
	}
	// The certificate's key is one that no known_hosts has by itself.
	certified := func(host, principal string) *server {
		private := newPrivate()
		name := "host-" + principal
		writePrivate(t, d.path(name), private, "")
		d.write(name+"-cert.pub", authorized(d.sign(signer(private).PublicKey(), l.hostCA, gossh.HostCert, principal))+"\n")
		s := l.startServerAt(t, host, "PasswordAuthentication no", "HostKey "+d.path(name), "HostCertificate "+d.path(name+"-cert.pub"))
		s.hostKey = signer(private)
		return s
	}
	host := nextHost()
	good, bad := certified(host, host), certified(nextHost(), "elsewhere")
	login := func(lines ...string) func(*desk, *server) kw {
		return func(d *desk, _ *server) kw {
			d.knows(lines...)
			return kw{"identity_file": d.identity()}
		}
	}
	runCases(t, good, []dialCase{
		{name: "authority", setup: login(ca("*", l.hostCA.PublicKey()))},
		{name: "authority-by-port", setup: login(ca("[127.0.0.*]:*", l.hostCA.PublicKey()))},
		{name: "authority-without-port", setup: login(ca(good.host, l.hostCA.PublicKey()))},
		{name: "authority-without-port-and-another-key", setup: login(
			ca(good.host, l.hostCA.PublicKey()), good.name()+" "+authorized(signer(newECDSA(t)).PublicKey()))},
		{name: "another-authority-with-port", setup: login(
			ca(good.host, l.hostCA.PublicKey()), ca(good.name(), l.other.PublicKey()))},
		{name: "revoked-authority-without-port", want: textHostKey, setup: login(
			ca(good.host, l.hostCA.PublicKey()), "@revoked "+good.host+" "+authorized(l.hostCA.PublicKey()))},
		{name: "another-authority", want: textHostKey, setup: login(ca("*", l.other.PublicKey()))},
		{name: "authority-for-others", want: textHostKey, setup: login(ca("*.example.org", l.hostCA.PublicKey()))},
		{name: "no-authority-but-key", setup: login(good.known())},
		{name: "not-a-plain-key", want: textHostKey, setup: login(good.name() + " " + authorized(l.hostCA.PublicKey()))},
		{name: "revoked-authority", want: textHostKey, setup: login(
			ca("*", l.hostCA.PublicKey()), "@revoked * "+authorized(l.hostCA.PublicKey()))},
		{name: "signature-not-allowed", want: textHostKey, setup: func(d *desk, s *server) kw {
			d.config("CASignatureAlgorithms rsa-sha2-512")
			return login(ca("*", l.hostCA.PublicKey()))(d, s)
		}},
	})
	runCases(t, bad, []dialCase{
		{name: "other-name", want: textHostKey, setup: login(ca("*", l.hostCA.PublicKey()))},
		{name: "other-name-but-alias", setup: func(d *desk, s *server) kw {
			d.config("HostKeyAlias elsewhere")
			return login(ca("*", l.hostCA.PublicKey()))(d, s)
		}},
	})
}

// What was accepted once holds for as long as the connection does, however often keys are exchanged. Another key is looked at as any.
func TestKeysAreExchangedAnew(t *testing.T) {
	d := &desk{t: t, dir: t.TempDir()}
	key, ca := newKey().PublicKey(), newKey()
	cert := d.sign(newKey().PublicKey(), ca, gossh.HostCert, "web1")
	made := &target{hostname: "web1", knownAs: "web1", knownFiles: []string{d.path("known_hosts")}}
	for _, k := range []gossh.PublicKey{key, cert} {
		d.knows("web1 "+authorized(key), "@cert-authority web1 "+authorized(ca.PublicKey()))
		check := &hostKeyCheck{target: made, known: newKnownHosts()}
		if err := check.callback("", nil, k); err != nil {
			t.Fatalf("%s: %v", k.Type(), err)
		}
		d.knows("# nobody is known any more, and the certificate may as well have expired")
		if err := check.callback("", nil, k); err != nil {
			t.Errorf("%s: the same key gave %v", k.Type(), err)
		}
		if err := check.callback("", nil, newKey().PublicKey()); err == nil {
			t.Errorf("%s: another key is accepted", k.Type())
		}
		again := &hostKeyCheck{target: made, known: newKnownHosts()}
		if err := again.callback("", nil, k); err == nil {
			t.Errorf("%s: it is accepted on another connection", k.Type())
		}
	}
}

// The server has keys of three types; known_hosts has one. Asking for that one is up to the client.
func TestHostKeyTypeFollowsKnownHosts(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	d := newDesk(t, l)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec := newECDSA(t)
	writePrivate(t, d.path("rsa"), rsaKey, "")
	writePrivate(t, d.path("ec"), ec, "")
	s := l.startServer(t, "HostKey "+d.path("rsa"), "HostKey "+d.path("ec"))
	login := func(key gossh.PublicKey, config string) func(*desk, *server) kw {
		return func(d *desk, s *server) kw {
			d.config(config)
			d.knows(s.name() + " " + authorized(key))
			return kw{"identity_file": d.identity()}
		}
	}
	r, e := signer(rsaKey).PublicKey(), signer(ec).PublicKey()
	runCases(t, s, []dialCase{
		{name: "rsa", setup: login(r, "")},
		{name: "ecdsa", setup: login(e, "")},
		{name: "ed25519", setup: login(s.hostKey.PublicKey(), "")},
		{name: "chosen", setup: login(r, "HostKeyAlgorithms rsa-sha2-256")},
		{name: "chosen-another", want: textHostKey, setup: login(r, "HostKeyAlgorithms ssh-ed25519")},
		{name: "rsa-too-short", want: textHostKey, only: Native, setup: login(r, "RequiredRSASize 3072")},
	})
}
