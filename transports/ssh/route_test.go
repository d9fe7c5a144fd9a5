package ssh

import (
	"strings"
	"testing"
)

func TestProxyJump(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	first, second, last := l.startServer(t), l.startServer(t), l.startServer(t, "PasswordAuthentication yes")
	// jumps writes the configuration of the two on the way; they get nothing from the command line.
	jumps := func(d *desk, more string) kw {
		var b strings.Builder
		for i, s := range []*server{first, second} {
			b.WriteString("Host " + []string{"first", "second"}[i] + "\n  HostName " + s.host + "\n  Port " + s.port +
				"\n  User " + l.user + "\n  IdentityFile " + d.identity() + "\n  StrictHostKeyChecking yes\n  BatchMode yes\n")
		}
		d.config(b.String() + more)
		d.knows(first.known(), second.known(), last.known())
		return kw{"identity_file": d.identity()}
	}
	runCases(t, last, []dialCase{
		{name: "one", setup: func(d *desk, _ *server) kw { return jumps(d, "Host 127.*\n  ProxyJump first\n") }},
		{name: "two", setup: func(d *desk, _ *server) kw { return jumps(d, "Host 127.*\n  ProxyJump first,second\n") }},
		{name: "spelled-out", setup: func(d *desk, _ *server) kw {
			k := jumps(d, "Match host 127.*\n  IdentityFile "+d.identity()+"\n  StrictHostKeyChecking yes\n")
			d.config("Host " + last.host + "\n  ProxyJump " + l.user + "@" + second.host + ":" + second.port +
				"\nHost *\n  IdentityFile " + d.identity())
			return k
		}},
		{name: "by-argument", setup: func(d *desk, _ *server) kw {
			k := jumps(d, "")
			k["ssh_args"] = []string{"-F", d.path("ssh_config"), "-J", "first"}
			return k
		}},
		{name: "chain-in-configuration", setup: func(d *desk, _ *server) kw {
			return jumps(d, "Host second\n  ProxyJump first\nHost "+last.host+"\n  ProxyJump second\n")
		}},
		{name: "password-is-for-the-last", setup: func(d *desk, _ *server) kw {
			jumps(d, "Host 127.*\n  ProxyJump first\n")
			return kw{"password": l.password}
		}},
		{name: "jump-unknown", want: textHostKey, setup: func(d *desk, s *server) kw {
			k := jumps(d, "Host 127.*\n  ProxyJump first\n")
			d.knows(s.known())
			return k
		}},
		{name: "last-unknown", want: textHostKey, setup: func(d *desk, _ *server) kw {
			k := jumps(d, "Host 127.*\n  ProxyJump first\n")
			d.knows(first.known())
			return k
		}},
		{name: "jump-refuses", want: textPasswordNeeded, setup: func(d *desk, _ *server) kw {
			k := jumps(d, "Host 127.*\n  ProxyJump first\n")
			writePrivate(d.t, d.path("id2"), newPrivate(), "")
			d.config("Host first\n  HostName " + first.host + "\n  Port " + first.port + "\n  User " + l.user +
				"\n  IdentityFile " + d.path("id2") + "\n  StrictHostKeyChecking yes\n  BatchMode yes\nHost " +
				last.host + "\n  ProxyJump first\n")
			return k
		}},
		{
			name: "nobody-behind", only: Native, want: "ssh: connect to host 127.0.0.1 port 1: Connection refused (from " + first.host + ")",
			setup: func(d *desk, _ *server) kw {
				k := jumps(d, "Host 127.*\n  ProxyJump first\n")
				k["hostname"], k["port"] = "127.0.0.1", 1
				return k
			},
		},
	})
	if log := first.logText(); strings.Contains(log, "password for") {
		t.Errorf("the jump host was sent a password:\n%s", log)
	}
	// Each saw the connection of the one before.
	for _, s := range []*server{second, last} {
		if log := s.logText(); !strings.Contains(log, "Accepted publickey for "+l.user) {
			t.Errorf("nobody came to %s:\n%s", s.host, log)
		}
	}
}

func TestProxyCommand(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	relay := func(d *desk) string {
		return d.write("relay", "exec 3<>/dev/tcp/$1/$2 || exit 1\ncat <&3 &\ncat >&3\nkill $!\n")
	}
	runCases(t, s, []dialCase{
		{name: "tokens", setup: func(d *desk, _ *server) kw {
			d.config("ProxyCommand bash " + relay(d) + " %h %p # %r %% %n")
			return kw{"identity_file": d.identity()}
		}},
		{name: "host-key-is-checked", want: textHostKey, setup: func(d *desk, _ *server) kw {
			d.knows()
			d.config("ProxyCommand bash " + relay(d) + " %h %p")
			return kw{"identity_file": d.identity()}
		}},
		{
			name: "ends", only: Native, want: "ssh: connect to host " + s.host + " port " + s.port + ": Connection closed by remote host\nno way",
			setup: func(d *desk, _ *server) kw {
				d.config("ProxyCommand echo no way >&2; exit 3")
				return kw{"identity_file": d.identity()}
			},
		},
		{name: "hangs", want: "Connection timed out.", setup: func(d *desk, _ *server) kw {
			d.config("ProxyCommand sleep 100")
			return kw{"identity_file": d.identity(), "connect_timeout": 1}
		}},
	})
}

func TestAddresses(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	runCases(t, s, []dialCase{
		{name: "bind", setup: func(d *desk, _ *server) kw {
			d.config("BindAddress 127.0.0.9")
			return kw{"identity_file": d.identity()}
		}},
		{name: "alias", setup: func(d *desk, s *server) kw {
			d.config("Host web1\n  HostName " + s.host + "\n  Port " + s.port)
			return kw{"identity_file": d.identity(), "hostname": "web1", "port": nil}
		}},
		{name: "family", setup: func(d *desk, s *server) kw {
			d.config("AddressFamily inet")
			return kw{"identity_file": d.identity()}
		}},
		{name: "match-exec", setup: func(d *desk, s *server) kw {
			d.config("Match exec \"test %h = web2\"\n  HostName " + s.host + "\n  Port " + s.port)
			return kw{"identity_file": d.identity(), "hostname": "web2", "port": nil}
		}},
	})
	s.waitLog(t, "from 127.0.0.9 port")
}

func TestIPv6(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	if !exists("/proc/net/if_inet6") {
		t.Skip("SKIPPED, there is no IPv6")
	}
	s := l.startServerAt(t, "::1")
	runCases(t, s, []dialCase{
		{name: "plain", setup: func(d *desk, _ *server) kw { return kw{"identity_file": d.identity()} }},
	})
}

// ansible-core 2.19 and later let ssh-askpass answer, which has the password for whoever asks for one.
func TestOnePasswordForAll(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	only := []string{"PasswordAuthentication yes", "PubkeyAuthentication no"}
	first, last := l.startServer(t, only...), l.startServer(t, only...)
	way := func(d *desk, more kw) kw {
		d.config("Host first\n  HostName " + first.host + "\n  Port " + first.port + "\n  User " + l.user + "\n  StrictHostKeyChecking yes\nHost 127.*\n  ProxyJump first\n")
		d.knows(first.known(), last.known())
		more["password"] = l.password
		return more
	}
	runCases(t, last, []dialCase{
		{name: "all", setup: func(d *desk, _ *server) kw { return way(d, kw{"password_for_all": true}) }},
		{name: "the-last", want: textPasswordNeeded, setup: func(d *desk, _ *server) kw { return way(d, kw{}) }},
	})
}
