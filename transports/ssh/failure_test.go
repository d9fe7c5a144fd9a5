package ssh

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"spindle/transports"
	"spindle/transports/local"
)

// silent listens and never says a word.
func silent(t testing.TB) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var held []net.Conn
		for {
			c, err := ln.Accept()
			if err != nil {
				break
			}
			held = append(held, c)
		}
		for _, c := range held {
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	host, port, _ := net.SplitHostPort(ln.Addr().String())
	return &server{host: host, port: port, hostKey: newKey()}
}

func TestTimeouts(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	slow := l.startServer(t)
	runCases(t, silent(t), []dialCase{
		{name: "silent", want: transports.TextTimeout, setup: func(d *desk, _ *server) kw {
			return kw{"identity_file": d.identity(), "connect_timeout": 1}
		}},
		{name: "arguments-say-less", want: transports.TextTimeout, setup: func(d *desk, _ *server) kw {
			return kw{"identity_file": d.identity(), "connect_timeout": 60, "ssh_args": []string{"-F", d.path("ssh_config"), "-o", "ConnectTimeout=1"}}
		}},
	})
	// A login may take longer than connecting.
	asks := l.startServer(t, "AuthorizedKeysFile none", "AuthorizedKeysCommandUser root", `AuthorizedKeysCommand /bin/sh -c "sleep 3; cat `+l.dir+`/keys-%u"`)
	runCases(t, asks, []dialCase{{name: "slow-login", setup: func(d *desk, _ *server) kw {
		return kw{"identity_file": d.identity(), "connect_timeout": 60, "ssh_args": []string{"-F", d.path("ssh_config"), "-o", "ConnectTimeout=1"}}
	}}})
	// Ansible's limit is more than that of an ssh_config.
	runCases(t, lateToSpeak(t, slow, 1500*time.Millisecond), []dialCase{{name: "config-says-less", setup: func(d *desk, _ *server) kw {
		d.config("ConnectTimeout 1")
		return kw{"identity_file": d.identity(), "connect_timeout": 60}
	}}})
	runCases(t, slow, []dialCase{
		// The login script is part of connecting.
		{name: "login-script", want: transports.TextTimeout, setup: func(d *desk, _ *server) kw {
			return kw{"identity_file": d.identity(), "username": l.slow, "connect_timeout": 2}
		}},
		{name: "asking-ssh", want: transports.TextTimeout, setup: func(d *desk, _ *server) kw {
			d.config("Match exec \"sleep 100\"\n  User nobody")
			return kw{"identity_file": d.identity(), "connect_timeout": 1}
		}},
	})
}

func TestUnreachable(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(ln.Addr().String())
	_ = ln.Close()
	nobody := &server{host: host, port: port, hostKey: newKey()}
	runCases(t, nobody, []dialCase{
		{
			name: "refused", want: "ssh: connect to host " + host + " port " + port + ": Connection refused",
			setup: func(*desk, *server) kw { return nil },
		},
		{
			name: "no-such-name", want: "ssh: Could not resolve hostname nowhere.invalid: …", only: Binary,
			setup: func(*desk, *server) kw { return kw{"hostname": "nowhere.invalid"} },
		},
		{
			name: "brackets", want: "ssh: Could not resolve hostname [::1]: Name or service not known",
			setup: func(*desk, *server) kw { return kw{"hostname": "[::1]"} },
		},
		{
			name: "no-route", want: "ssh: connect to host 255.255.255.255 port 22: Network is unreachable",
			setup: func(*desk, *server) kw { return kw{"hostname": "255.255.255.255", "port": 22} },
		},
	})
	t.Run("not-ssh", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte(strings.Repeat("HTTP/1.1 400 Bad Request", 40)))
				_ = c.Close()
			}
		}()
		host, port, _ := net.SplitHostPort(ln.Addr().String())
		d := newDesk(t, l)
		_, err = d.dial(Native, d.kwargs(&server{host: host, port: port}, nil))
		wantText(t, err, "ssh: connect to host "+host+" port "+port+": …")
	})
}

// A name that Go cannot resolve is given to ssh, whose system may know more.
func TestUnknownNamePassesToBinary(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	d := newDesk(t, l)
	ssh := &recorder{Spawner: &local.Spawner{}}
	_, err := d.dialer(d.kwargs(&server{host: "nowhere.invalid", port: "22"}, nil)).Dial(t.Context(), ssh, echoProgram())
	wantText(t, err, "ssh: Could not resolve hostname nowhere.invalid: …")
}

// recorder is a spawner that is not the local one, and keeps what it was asked for.
type recorder struct {
	transports.Spawner
	commands []transports.Command
}

func (r *recorder) Spawn(ctx context.Context, c transports.Command) (transports.Link, error) {
	r.commands = append(r.commands, c)
	return r.Spawner.Spawn(ctx, c)
}

// On an intermediary it is always ssh that connects: its keys and its known_hosts count, not ours.
func TestElsewhereIsBinary(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	d := newDesk(t, l)
	d.knows(s.known())
	there := &recorder{Spawner: &local.Spawner{}}
	b, err := d.dialer(d.kwargs(s, kw{"identity_file": d.identity()})).Dial(t.Context(), there, echoProgram())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Link.Close()
	exchange(t, b)
	if b.How != Binary || len(there.commands) != 1 || there.commands[0].Argv[0] != "ssh" {
		t.Errorf("%s by %v", b.How, there.commands)
	}
	if _, ok := ClientOf(b.Link); ok {
		t.Error("an ssh process has a native connection")
	}
}

func TestEarlyEnd(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	bothWays(t, func(t *testing.T, way string) {
		d := newDesk(t, l)
		d.knows(s.known())
		k := d.kwargs(s, kw{"identity_file": d.identity()})
		if way == Binary {
			k["spindle_ssh"] = "binary"
		}
		p := echoProgram()
		p.Argv = []string{"/bin/sh", "-c", "echo out of order; echo 'cd: Permission denied' >&2; exit 3"}
		_, err := d.dialer(k).Dial(t.Context(), &local.Spawner{}, p)
		ce, ok := errors.AsType[*transports.ConnectError](err)
		if !ok || !strings.HasPrefix(ce.Text, transports.TextEOF) || !strings.Contains(ce.Text, "out of order") ||
			!strings.Contains(ce.Text, "cd: Permission denied") {
			t.Errorf("got %v", err)
		}
	})
}

// The server goes away in the middle of booting.
func TestConnectionLostWhileBooting(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	bothWays(t, func(t *testing.T, way string) {
		s := l.startServer(t)
		d := newDesk(t, l)
		d.knows(s.known())
		k := d.kwargs(s, kw{"identity_file": d.identity()})
		if way == Binary {
			k["spindle_ssh"] = "binary"
		}
		p := echoProgram()
		p.Argv = []string{"/bin/sh", "-c", "echo half way; exec sleep 100"}
		failed := make(chan error, 1)
		go func() {
			_, err := d.dialer(k).Dial(context.Background(), &local.Spawner{}, p)
			failed <- err
		}()
		s.waitLog(t, "Starting session: command")
		for _, pid := range descendants(s.cmd.Process.Pid) {
			kill(pid)
		}
		select {
		case err := <-failed:
			wantText(t, err, transports.TextEOF+"…")
		case <-time.After(8 * time.Second):
			t.Fatal("nobody noticed")
		}
	})
}

func TestProgramMissing(t *testing.T) {
	d := &desk{t: t, dir: t.TempDir(), lab: &theLab, make: NewFactory()}
	_, err := d.dialer(d.kwargs(&server{host: "web1", port: "22"}, kw{"ssh_path": "/nowhere/ssh"})).
		Dial(t.Context(), &local.Spawner{}, transports.Program{Argv: []string{"true"}, Nonce: "n"})
	wantText(t, err, "Child start failed: [Errno 2] No such file or directory: '/nowhere/ssh'. Command was: /nowhere/ssh …")
}

func TestCancel(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := silent(t)
	bothWays(t, func(t *testing.T, way string) {
		d := newDesk(t, l)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		k := d.kwargs(s, nil)
		if way == Binary {
			k["spindle_ssh"] = "binary"
		}
		started := time.Now()
		_, err := d.dialer(k).Dial(ctx, &local.Spawner{}, echoProgram())
		wantText(t, err, "Connection cancelled.")
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestSecretsStayOut(t *testing.T) {
	raw, _ := json.Marshal(kw{"hostname": "h", "password": "s3cret", "port": 22})
	made, err := NewFactory()(raw)
	if err != nil {
		t.Fatal(err)
	}
	d := made.(*Dialer)
	for _, text := range append(d.settings.argv([]string{"x"}, manner{}), d.Name(), d.settings.password.String(), strconv.Itoa(0)) {
		if strings.Contains(text, "s3cret") {
			t.Errorf("the password is in %q", text)
		}
	}
}
