package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"spindle/transports"
	"spindle/transports/local"
	"spindle/transports/transporttest"
)

// connect logs in natively.
func (d *desk) connect(t testing.TB, k kw) *Client {
	t.Helper()
	c, err := d.dialer(k).Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestSpawner(t *testing.T) {
	l := needLab(t)
	s := l.startServer(t)
	d := newDesk(t, l)
	d.knows(s.known())
	c := d.connect(t, d.kwargs(s, kw{"identity_file": d.identity()}))
	transporttest.Run(t, transporttest.Config{
		New:       func(*testing.T) transports.Spawner { return c },
		Modes:     []transports.Mode{transports.Pipes, transports.FullTTY},
		Alive:     transporttest.AliveHere,
		LateStart: true,
	})
}

// output runs a program to its end.
func output(t testing.TB, sp transports.Spawner, c transports.Command) string {
	t.Helper()
	l, err := sp.Spawn(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_ = l.CloseWrite()
	complaint := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(l.Side())
		complaint <- string(text)
	}()
	text, err := io.ReadAll(l)
	if err != nil {
		t.Fatal(err)
	}
	if exit, err := l.Wait(t.Context()); err != nil || exit.Code != 0 {
		t.Fatalf("%v ended with %+v, %v: %s", c.Argv, exit, err, <-complaint)
	}
	return string(text)
}

func TestCommandLine(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	d := newDesk(t, l)
	d.knows(s.known())
	c := d.connect(t, d.kwargs(s, kw{"identity_file": d.identity()}))
	odd := []string{"", "a b", `'"\$(x) !`, "new\nline", "*", "~", "-n", "ä"}
	got := output(t, c, transports.Command{Argv: append([]string{"printf", "%s|"}, odd...)})
	if want := strings.Join(odd, "|") + "|"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got = output(t, c, transports.Command{
		Argv: []string{"sh", "-c", `pwd; printf %s "$A"`}, Dir: "/usr/share", Env: []string{"A=x y'z"},
	})
	if want := "/usr/share\nx y'z"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEnvironmentIsSent(t *testing.T) {
	l := needLab(t)
	s := l.startServer(t, "AcceptEnv SPN_*")
	t.Setenv("SPN_ONE", "1 2")
	t.Setenv("SPN_TWO", "mine")
	t.Setenv("SPO_THREE", "no")
	d := newDesk(t, l)
	d.knows(s.known())
	d.config("SendEnv SPN_* LC_*\nSetEnv SPN_TWO=set\n")
	c := d.connect(t, d.kwargs(s, kw{"identity_file": d.identity()}))
	got := output(t, c, transports.Command{Argv: []string{"sh", "-c", `echo "$SPN_ONE $SPN_TWO $SPO_THREE"`}})
	if want := "1 2 set \n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAgentIsForwarded(t *testing.T) {
	l := needLab(t)
	s := l.startServer(t)
	for _, c := range []struct{ name, config, want string }{
		{"on", "ForwardAgent yes", "SHA256"},
		{"off", "", "no agent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t, l)
			d.knows(s.known())
			t.Setenv("SSH_AUTH_SOCK", d.agent(l.private))
			d.config(c.config)
			client := d.connect(t, d.kwargs(s, kw{"identity_file": d.identity()}))
			got := output(t, client, transports.Command{Argv: []string{"sh", "-c", "ssh-add -l || echo no agent"}})
			if !strings.Contains(got, c.want) {
				t.Errorf("ssh-add says %q", got)
			}
		})
	}
}

// freeze stops everything that a server has started, and itself.
func (s *server) freeze(t *testing.T) {
	pids := append(descendants(s.cmd.Process.Pid), s.cmd.Process.Pid)
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
	t.Cleanup(func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	})
}

// A link on which nothing is heard any more is given up, natively and by ssh.
func TestKeepalive(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	bothWays(t, func(t *testing.T, way string) {
		s := l.startServer(t)
		d := newDesk(t, l)
		d.knows(s.known())
		b := d.mustDial(way, d.kwargs(s, kw{"identity_file": d.identity(), "keepalive_interval": 1, "keepalive_count": 2}))
		s.freeze(t)
		started := time.Now()
		_, err := b.Frames.Next()
		took := time.Since(started)
		if err == nil || took > 8*time.Second {
			t.Errorf("%v after %s", err, took)
		}
		if way == Native && !errors.Is(err, errSilent) {
			t.Errorf("error is %v", err)
		}
		if _, err := b.Link.Wait(t.Context()); err != nil {
			t.Errorf("Wait: %v", err)
		}
	})
}

// An idle connection is not given up as long as the server answers.
func TestKeepaliveIsAnswered(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	d := newDesk(t, l)
	d.knows(s.known())
	dialer := d.dialer(d.kwargs(s, kw{"identity_file": d.identity()}))
	_, target, err := dialer.plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	target.aliveEvery, target.aliveCount = 50*time.Millisecond, 400
	c, err := dialer.connect(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// Nobody else makes the server say anything.
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(15 * time.Second)
	heard, last := 0, c.conn.last.Load()
	for heard < 3 {
		select {
		case <-tick.C:
			if now := c.conn.last.Load(); now != last {
				heard, last = heard+1, now
			}
		case <-c.Done():
			t.Fatalf("given up: %v", c.Err())
		case <-late:
			t.Fatalf("heard %d times of the server", heard)
		}
	}
}

// Closing a link ends the far program and the connection, and leaves no goroutine (see TestMain).
func TestCloseEndsAll(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	bothWays(t, func(t *testing.T, way string) {
		s := l.startServer(t)
		d := newDesk(t, l)
		d.knows(s.known())
		b := d.mustDial(way, d.kwargs(s, kw{"identity_file": d.identity()}))
		read := make(chan error, 1)
		go func() {
			_, err := b.Frames.Next()
			read <- err
		}()
		for range 2 {
			if err := b.Link.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := <-read; err == nil {
			t.Error("a read went on")
		}
		if _, err := b.Link.Write([]byte("x")); err == nil {
			t.Error("a write went on")
		}
		s.waitLog(t, map[string]string{Native: "Close session", Binary: "Disconnected from user"}[way])
		if c, ok := ClientOf(b.Link); ok {
			<-c.Done()
			if !errors.Is(c.Err(), net.ErrClosed) {
				t.Errorf("client ended by %v", c.Err())
			}
		}
	})
}

// A server that goes away is told apart from a program that ends.
func TestLostConnectionIsAnError(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	d := newDesk(t, l)
	d.knows(s.known())
	b := d.mustDial(Native, d.kwargs(s, kw{"identity_file": d.identity()}))
	for _, pid := range descendants(s.cmd.Process.Pid) {
		kill(pid)
	}
	if _, err := b.Link.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("Read gave %v", err)
	}
	exit, err := b.Link.Wait(t.Context())
	if err != nil || exit.Code != -1 || !strings.Contains(exit.Text, "lost") {
		t.Errorf("Wait gave %+v, %v", exit, err)
	}
}

func TestParallel(t *testing.T) {
	l := needLab(t)
	s := l.startServer(t)
	d := newDesk(t, l)
	d.knows(s.known())
	dialer := d.dialer(d.kwargs(s, kw{"identity_file": d.identity(), "connect_timeout": 60}))
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			b, err := dialer.Dial(context.Background(), &local.Spawner{}, echoProgram())
			if err != nil {
				t.Error(err)
				return
			}
			exchange(t, b)
			_ = b.Link.Close()
		})
	}
	wg.Wait()
}

// The server has only what the library lacks: the ssh program gets its turn within the same dial.
func TestNoCommonAlgorithmPassesToBinary(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	for _, line := range []string{"KexAlgorithms sntrup761x25519-sha512@openssh.com", "Ciphers aes128-ctr\nMACs umac-128-etm@openssh.com"} {
		s := l.startServer(t, line)
		d := newDesk(t, l)
		d.knows(s.known())
		b, err := d.dialer(d.kwargsAuto(s)).Dial(t.Context(), &local.Spawner{}, echoProgram())
		if err != nil {
			t.Fatal(err)
		}
		defer b.Link.Close()
		exchange(t, b)
		if b.How != Binary || !strings.Contains(b.Why, "in common") {
			t.Errorf("went %s because %s", b.How, b.Why)
		}
	}
}

// kwargsAuto leave the choice of the way open.
func (d *desk) kwargsAuto(s *server) kw { return d.kwargs(s, kw{"identity_file": d.identity()}) }

// stubborn is an agent that knows its keys and refuses to use them, as agents do with keys that are bound to a host.
type stubborn struct{ agent.Agent }

func (stubborn) Sign(gossh.PublicKey, []byte) (*gossh.Signature, error) {
	return nil, errors.New("not for you")
}

func TestRefusingAgentPassesToBinary(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t, "PasswordAuthentication no")
	d := newDesk(t, l)
	d.knows(s.known())
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: l.private}); err != nil {
		t.Fatal(err)
	}
	d.config("IdentityAgent " + d.serveAgent(stubborn{ring}))
	c := d.dialer(d.kwargs(s, nil))
	_, err := c.Connect(t.Context())
	if !errors.Is(err, ErrBinary) {
		t.Errorf("Connect gave %v", err)
	}
	_, err = c.Dial(t.Context(), &local.Spawner{}, echoProgram())
	wantText(t, err, textRefused)
	// Another key still gets its chance before that.
	b := d.mustDial(Native, d.kwargsAuto(s))
	if b.Why != whyNative {
		t.Errorf("because %s", b.Why)
	}
}

// countingProxy delays what passes by half a round trip each way, and counts how often the direction turns.
type countingProxy struct {
	ln    net.Listener
	to    string
	delay time.Duration
	wg    sync.WaitGroup
}

func startProxyTo(t testing.TB, s *server, rtt time.Duration) (*countingProxy, *server) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &countingProxy{ln: ln, to: net.JoinHostPort(s.host, s.port), delay: rtt / 2}
	p.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); p.wg.Wait() })
	host, port, _ := net.SplitHostPort(ln.Addr().String())
	return p, &server{host: host, port: port, hostKey: s.hostKey}
}

func (p *countingProxy) serve(c net.Conn) {
	defer c.Close()
	// The handshake of TCP itself.
	time.Sleep(2 * p.delay)
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer up.Close()
	var wg sync.WaitGroup
	wg.Go(func() { p.relay(up, c) })
	wg.Go(func() { p.relay(c, up) })
	wg.Wait()
}

// relay passes bytes on, each chunk a fixed time after it came.
func (p *countingProxy) relay(dst, src net.Conn) {
	type chunk struct {
		due  time.Time
		data []byte
	}
	queue := make(chan chunk, 1024)
	go func() {
		defer close(queue)
		for {
			buf := make([]byte, 32<<10)
			n, err := src.Read(buf)
			if n > 0 {
				queue <- chunk{time.Now().Add(p.delay), buf[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for c := range queue {
		time.Sleep(time.Until(c.due))
		if _, err := dst.Write(c.data); err != nil {
			break
		}
	}
	_ = dst.Close()
	_ = src.Close()
	for range queue {
	}
}

// Dialing and booting costs what TCP and the login cost by themselves, and three round trips: to open a channel, to start
// the program (OpenSSH's server takes no input for it before), and to send the agent and hear of it. The first two are
// those of any command on any client.
func TestRoundTrips(t *testing.T) {
	l := needLab(t)
	s := l.startServer(t)
	const rtt = 250 * time.Millisecond // far above what the processes take
	_, far := startProxyTo(t, s, rtt)
	d := newDesk(t, l)
	d.knows(far.known())
	dialer := d.dialer(d.kwargsAuto(far))
	if _, err := dialer.Explain(t.Context()); err != nil { // ssh -G is not the network's
		t.Fatal(err)
	}
	// What the library takes for a login with the one right key.
	login := func() {
		conn, err := gossh.Dial("tcp", net.JoinHostPort(far.host, far.port), &gossh.ClientConfig{
			User: l.user, Auth: []gossh.AuthMethod{gossh.PublicKeys(l.key)},
			HostKeyCallback: gossh.FixedHostKey(s.hostKey.PublicKey()),
		})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	all := func() {
		b, err := dialer.Dial(t.Context(), &local.Spawner{}, echoProgram())
		if err != nil {
			t.Fatal(err)
		}
		_ = b.Link.Close()
	}
	trips := func(fn func()) float64 {
		started := time.Now()
		fn()
		return float64(time.Since(started)) / float64(rtt)
	}
	// A busy machine adds to it, and takes nothing away: the best of a few counts.
	more := 100.0
	for try := 0; try < 4 && more > 3.5; try++ {
		l, a := trips(login), trips(all)
		t.Logf("login %.1f round trips, all %.1f", l, a)
		more = min(more, a-l)
	}
	if more > 3.7 {
		t.Errorf("booting took %.1f round trips above a login", more)
	}
}

func TestExplain(t *testing.T) {
	l := needLab(t)
	d := newDesk(t, l)
	web := &server{host: "web1", port: "2222"}
	script := d.write("wrapper", "#!/bin/sh\nexec ssh \"$@\"\n")
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, config string
		more         kw
		why          string // empty for native
		path         string
		preload      string
	}{
		{name: "preload", preload: "libc.so.6", why: "LD_PRELOAD is set"},
		{name: "plain", path: "u@web1:2222"},
		{name: "jump", config: "Host web1\nProxyJump a@first,second:23", path: "a@first:22 u@second:23 u@web1:2222"},
		{name: "control-path", config: "ControlPath ~/cm-%C", why: `option "controlpath `},
		{name: "host-based", config: "HostbasedAuthentication yes", why: `option "hostbasedauthentication yes"`},
		{name: "fd-pass", config: "ProxyUseFdpass yes\nProxyCommand x", why: `option "proxyusefdpass yes"`},
		{name: "known-hosts-command", config: "KnownHostsCommand /bin/x", why: `option "knownhostscommand /bin/x"`},
		{name: "revoked", config: "RevokedHostKeys /x", why: `option "revokedhostkeys /x"`},
		{name: "sshfp", config: "VerifyHostKeyDNS yes", why: `option "verifyhostkeydns`},
		{name: "forward", config: "LocalForward 1234 a:2", why: `option "localforward`},
		{name: "smartcard", config: "PKCS11Provider /x.so", why: `option "pkcs11provider /x.so"`},
		{name: "kex", config: "KexAlgorithms sntrup761x25519-sha512@openssh.com", why: `option "kexalgorithms`},
		{name: "kex-partly", config: "KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256", path: "u@web1:2222"},
		{name: "cipher", config: "Ciphers aes256-gcm@openssh.com", path: "u@web1:2222"},
		{name: "mac", config: "MACs umac-64@openssh.com", why: `option "macs umac-64@openssh.com"`},
		{name: "rekey", config: "RekeyLimit 1G", why: `option "rekeylimit`},
		{name: "log", config: "", more: kw{"ssh_debug_level": 2}, why: "ssh_debug_level"},
		{name: "verbose", more: kw{"ssh_args": []string{"-v"}}, why: "option -v in ssh_args"},
		{name: "stdio-forward", more: kw{"ssh_args": []string{"-W", "a:1"}}, why: "option -W in ssh_args"},
		{name: "stray-word", more: kw{"ssh_args": []string{"-C", "other"}}, why: `the word "other" in ssh_args`},
		{name: "bad-option", more: kw{"ssh_args": []string{"-o", "Nonsense=1"}}, why: "ssh -G: "},
		{name: "wrapper", more: kw{"ssh_path": script}, why: script + " is a script"},
		{name: "not-ssh", more: kw{"ssh_path": "true"}, why: "ssh -G printed no configuration"},
		{name: "missing", more: kw{"ssh_path": "/nowhere"}, why: `exec: "/nowhere"`},
		{name: "jump-needs-it", config: "Host second\nPKCS11Provider /x\nHost web1\nProxyJump second", why: `jump host second: option "pkcs11provider`},
		{name: "circle", config: "ProxyJump second", why: "ssh -G: jumphost loop via second"},
		{name: "forced", more: kw{"spindle_ssh": "binary"}, why: "spindle_ssh is binary"},
		{name: "default-args", more: nil, path: "u@web1:2222"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.config(c.config + "\n")
			t.Setenv("LD_PRELOAD", c.preload)
			d.make = NewFactory()
			more := kw{"username": "u"}
			for k, v := range c.more {
				more[k] = v
			}
			k := d.kwargs(web, more)
			if c.config != "" && strings.Contains(c.config, "Proxy") {
				// Jump hosts get no user from the command line.
				d.config(c.config + "\nHost *\nUser u\n")
			}
			p, err := d.dialer(k).Explain(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			how := Binary
			if c.why == "" {
				how, c.why = Native, whyNative
			}
			if p.How != how || !strings.HasPrefix(p.Why, c.why) || strings.Join(p.Path, " ") != c.path {
				t.Errorf("%s because %s by %v, want %s because %s by %s", p.How, p.Why, p.Path, how, c.why, c.path)
			}
		})
	}
}

// ssh -G is asked once for equal questions, however many ask at the same time.
func TestResolveSharesAnswers(t *testing.T) {
	dir := t.TempDir()
	count := filepath.Join(dir, "count")
	exe := filepath.Join(dir, "ssh")
	text := fmt.Sprintf("#!/bin/sh\necho x >>%s\nprintf 'user u\\nhostname h\\nport 22\\n'\n", count)
	if err := os.WriteFile(exe, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	r := newResolver()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := r.resolve(t.Context(), exe, []string{"-C"}, "h"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, _ := os.ReadFile(count); !bytes.Equal(got, []byte("x\n")) {
		t.Errorf("asked %d times", bytes.Count(got, []byte("\n")))
	}
}

// mitogen_ssh_compression is for our own frames natively; the program sees to itself.
func TestCompressionIsOfFramesNatively(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	bothWays(t, func(t *testing.T, way string) {
		s := l.startServer(t)
		d := newDesk(t, l)
		d.knows(s.known())
		for _, on := range []bool{true, false} {
			b := d.mustDial(way, d.kwargs(s, kw{"identity_file": d.identity(), "compression": on}))
			if want := on && way == Native; b.Packs() != want {
				t.Errorf("%s, compression %v: packs %v", way, on, b.Packs())
			}
			if b.Plain != (way == Binary) {
				t.Errorf("%s: plain %v", way, b.Plain)
			}
			if err := b.Link.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
