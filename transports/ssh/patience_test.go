package ssh

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestSeconds(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "none": 0, "0": 0, "60": time.Minute, "1m30s": 90 * time.Second, "2H": 2 * time.Hour, "1m30": 90 * time.Second, "x1": 0, "1x": 0, "-1": 0,
		"99999999999": 0,
	} {
		if got := seconds(text); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

// A user who gives ssh more time has it, whatever Ansible's own limit is.
func TestPatience(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("SKIPPED: no ssh")
	}
	d := newDesk(t, &theLab)
	for _, c := range []struct {
		name, config, args string
		asked              bool // ssh -G has been
		want               time.Duration
	}{
		{"nothing", "", "", true, 10 * time.Second},
		{"less", "ConnectTimeout 5", "", true, 10 * time.Second},
		{"less for each", "ConnectTimeout 2\nConnectionAttempts 3", "", true, 32 * time.Second},
		{"configured", "ConnectTimeout 60", "", true, time.Minute},
		{"configured, and nobody has been asked", "ConnectTimeout 60", "", false, 10 * time.Second},
		{"by argument", "ConnectTimeout 20", "-o ConnectTimeout=1m", true, time.Minute},
		{"by argument, and nobody has been asked", "", "-oConnectTimeout=1m -o ConnectTimeout=20", false, time.Minute},
		{"attempts", "ConnectionAttempts 3", "", true, 32 * time.Second},
		{"attempts by argument", "", "-o ConnectionAttempts=3", false, 32 * time.Second},
		{"both", "ConnectionAttempts 100", "-o ConnectTimeout=2", true, 299 * time.Second},
		{"too many", "", "-o ConnectionAttempts=2147483647 -o ConnectTimeout=2147483647", false, 2147483647 * time.Second},
	} {
		d.config(c.config)
		d.make = NewFactory()
		k := d.kwargs(&server{host: "web1", port: "22"}, kw{"ssh_args": append([]string{"-F", d.path("ssh_config")}, strings.Fields(c.args)...)})
		dl := d.dialer(k)
		if c.asked {
			if _, err := dl.Explain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := dl.Timeout(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if got := dl.settings.script(nil, dl.Timeout()).Timeout; got != c.want {
			t.Errorf("%s: the program has %v, want %v", c.name, got, c.want)
		}
	}
}

// lateServer is the address of one that refuses connections, until it is told to take them.
func lateServer(t *testing.T, s *server) (late *server, begin func()) {
	t.Helper()
	at := net.JoinHostPort(nextHost(), s.port)
	host, _, _ := net.SplitHostPort(at)
	return &server{host: host, port: s.port, hostKey: s.hostKey}, func() {
		ln, err := net.Listen("tcp", at)
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = ln.Close() })
		go relay(ln, net.JoinHostPort(s.host, s.port), 0)
	}
}

// lateToSpeak is the address of a server that takes connections at once, and says who it is after a while.
func lateToSpeak(t *testing.T, s *server, after time.Duration) *server {
	t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(nextHost(), s.port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go relay(ln, net.JoinHostPort(s.host, s.port), after)
	host, _, _ := net.SplitHostPort(ln.Addr().String())
	return &server{host: host, port: s.port, hostKey: s.hostKey}
}

// relay hands connections on, after a while.
func relay(ln net.Listener, to string, after time.Duration) {
	for {
		in, err := ln.Accept()
		if err != nil {
			return
		}
		time.Sleep(after)
		out, err := net.Dial("tcp", to)
		if err != nil {
			_ = in.Close()
			continue
		}
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() {
				_, _ = pair[0].(*net.TCPConn).ReadFrom(pair[1])
				_ = pair[0].Close()
			}()
		}
	}
}

// The program is told what Ansible tells it: behind ssh_args, which win, and in front of an ssh_config, which can only make it more.
func TestTheProgramIsToldALimit(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("SKIPPED: no ssh")
	}
	d := newDesk(t, &theLab)
	for _, c := range []struct{ config, args, told, holds string }{
		{"", "", "ConnectTimeout 10", "10"},
		{"ConnectTimeout 5", "", "ConnectTimeout 10", "10"},
		{"ConnectTimeout 60", "", "ConnectTimeout 60", "60"},
		{"ConnectTimeout 60", "-oConnectTimeout=5", "", "5"},
		{"ConnectTimeout 5", "-o ConnectTimeout=1m", "", "60"},
		{"ConnectTimeout none", "-o ConnectTimeout=none", "ConnectTimeout 10", "10"},
	} {
		d.config(c.config)
		d.make = NewFactory()
		k := d.kwargs(&server{host: "web1", port: "22"}, kw{"ssh_args": append([]string{"-F", d.path("ssh_config")}, strings.Fields(c.args)...)})
		p, err := d.dialer(k).Explain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		told := ""
		for _, word := range p.Argv {
			if strings.HasPrefix(word, "ConnectTimeout ") {
				told = word
			}
		}
		out, err := exec.Command("ssh", append([]string{"-G"}, p.Argv[1:]...)...).Output()
		if err != nil || told != c.told || !strings.Contains(string(out), "\nconnecttimeout "+c.holds+"\n") {
			t.Errorf("%q and %q: told %q, %v\n%s", c.config, c.args, told, err, out)
		}
	}
}

// A host that comes up while it is connected to is reached by a later attempt, even if that is after Ansible's own limit.
func TestAttempts(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	bothWays(t, func(t *testing.T, way string) {
		late, begin := lateServer(t, s)
		d := newDesk(t, l)
		d.knows(late.known())
		k := d.kwargs(late, kw{"identity_file": d.identity(), "connect_timeout": 1})
		k["ssh_args"] = append(k["ssh_args"].([]string), "-o", "ConnectionAttempts=20")
		time.AfterFunc(2500*time.Millisecond, begin)
		d.mustDial(way, k)
	})
}

// One that says nothing does not use up the time of the attempts to come.
func TestSilentAttempts(t *testing.T) {
	d := &desk{t: t, dir: t.TempDir(), lab: &theLab, make: NewFactory()}
	d.config("")
	for _, c := range []struct {
		config string
		want   time.Duration
	}{{"", 2 * time.Second}, {"ConnectTimeout 1", 2 * time.Second}, {"ConnectTimeout 3", 3 * time.Second}} {
		d.config(c.config)
		d.make = NewFactory()
		dl := d.dialer(kw{"hostname": "192.0.2.1", "connect_timeout": 2, "ssh_args": []string{"-F", d.path("ssh_config"), "-o", "ConnectionAttempts=2"}})
		_, target, err := dl.plan(t.Context())
		if err != nil || target == nil || target.connectTimeout != c.want || target.attempts != 2 {
			t.Errorf("%q: got %+v, %v", c.config, target, err)
		}
	}
}
