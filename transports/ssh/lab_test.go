package ssh

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	gossh "golang.org/x/crypto/ssh"

	"spindle/transports"
	"spindle/transports/local"
	"spindle/transports/wire"
)

func TestMain(m *testing.M) {
	// Nearly all of what the tests do is waiting.
	flag.Parse()
	_ = flag.Set("test.parallel", "12")
	log.SetOutput(io.Discard) // the library's agent logs what it refuses
	// As spindle serve does: a program that inherits that SIGHUP is ignored (nohup) does not end with its terminal, and ssh
	// takes that for an empty password.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	code := m.Run()
	if theLab.up {
		theLab.tearDown()
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// lab is what the tests share: accounts, keys and servers.
type lab struct {
	once sync.Once
	skip string
	up   bool

	dir      string
	user     string // has a password and keys
	slow     string // the same, with a login script that takes long
	password string
	private  ed25519.PrivateKey
	key      gossh.Signer // of private; opens both
	userCA   gossh.Signer
	hostCA   gossh.Signer
	other    gossh.Signer // opens nothing

	mu      sync.Mutex
	servers []*server
}

var theLab lab

// needLab skips the test, and says why, where there can be no lab.
func needLab(t *testing.T) *lab {
	t.Helper()
	theLab.once.Do(theLab.setUp)
	if theLab.skip != "" {
		t.Skip("SKIPPED, real servers are needed: " + theLab.skip)
	}
	return &theLab
}

func (l *lab) setUp() {
	switch {
	case os.Getuid() != 0:
		l.skip = "not root"
		return
	case !exists("/usr/sbin/sshd"):
		l.skip = "no /usr/sbin/sshd"
		return
	}
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var err error
	l.dir, err = os.MkdirTemp("", "spindle-ssh-")
	check(err)
	check(os.Chmod(l.dir, 0o755))
	check(os.MkdirAll("/run/sshd", 0o755))
	l.up = true
	removeStale()
	tag := strconv.Itoa(os.Getpid())
	l.user, l.slow, l.password = "spn-"+tag, "sps-"+tag, "pw-"+tag+"-x"
	l.private = newPrivate()
	l.key, l.userCA, l.hostCA, l.other = signer(l.private), newKey(), newKey(), newKey()
	for _, name := range []string{l.user, l.slow} {
		run("useradd", "-m", "-s", "/bin/bash", name)
		cmd := exec.Command("chpasswd", "-c", "SHA512")
		cmd.Stdin = strings.NewReader(name + ":" + l.password + "\n")
		check(cmd.Run())
		check(os.WriteFile(l.path("keys-"+name), gossh.MarshalAuthorizedKey(l.key.PublicKey()), 0o644))
	}
	check(os.WriteFile("/home/"+l.slow+"/.bashrc", []byte("sleep 20\n"), 0o644))
	check(os.WriteFile(l.path("user-ca"), gossh.MarshalAuthorizedKey(l.userCA.PublicKey()), 0o644))
}

func (l *lab) tearDown() {
	for _, s := range l.servers {
		s.stop()
	}
	for _, name := range []string{l.user, l.slow} {
		killAll(name)
		run("userdel", "-f", "-r", name)
	}
	_ = os.RemoveAll(l.dir)
}

// removeStale removes the accounts of runs that did not come to their end.
func removeStale() {
	text, _ := os.ReadFile("/etc/passwd")
	for _, line := range strings.Split(string(text), "\n") {
		name, _, _ := strings.Cut(line, ":")
		pid, ours := strings.CutPrefix(strings.Replace(name, "sps-", "spn-", 1), "spn-")
		if ours && !exists("/proc/"+pid) {
			killAll(name)
			run("userdel", "-f", "-r", name)
		}
	}
}

// killAll ends what an account of ours has left running.
func killAll(name string) {
	out, err := exec.Command("id", "-u", name).Output()
	if err != nil {
		return
	}
	uid := strings.TrimSpace(string(out))
	dirs, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, file := range dirs {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(text, []byte("\nUid:\t"+uid+"\t")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func run(argv ...string) {
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	// An account without mail is fine.
	if err != nil && !bytes.Contains(out, []byte("mail spool")) {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", argv, err, out)
	}
}

func newKey() gossh.Signer { return signer(newPrivate()) }

func newPrivate() ed25519.PrivateKey {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return private
}

func signer(key any) gossh.Signer {
	s, err := gossh.NewSignerFromKey(key)
	if err != nil {
		panic(err)
	}
	return s
}

// server is one sshd.
type server struct {
	host, port string
	cmd        *exec.Cmd
	hostKey    gossh.Signer
	pipe       io.Closer     // its log
	read       chan struct{} // closed when that is read no more

	mu   sync.Mutex
	log  bytes.Buffer
	more *sync.Cond
	gone bool
	once sync.Once
}

var lastHost struct {
	sync.Mutex
	n int
}

// nextHost is an address that no other server of this run has.
func nextHost() string {
	lastHost.Lock()
	defer lastHost.Unlock()
	lastHost.n++
	return fmt.Sprintf("127.0.0.%d", 20+lastHost.n)
}

// startServer runs an sshd on an address of its own, with these lines first in its configuration.
func (l *lab) startServer(t testing.TB, lines ...string) *server {
	t.Helper()
	return l.startServerAt(t, nextHost(), lines...)
}

func (l *lab) startServerAt(t testing.TB, host string, lines ...string) *server {
	t.Helper()
	probe, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(probe.Addr().String())
	_ = probe.Close()
	private := newPrivate()
	s := &server{host: host, port: port, hostKey: signer(private)}
	s.more = sync.NewCond(&s.mu)
	base := l.path("sshd-" + host + "-" + port)
	writePrivate(t, base+".key", private, "")
	config := strings.Join(append(lines,
		"ListenAddress "+net.JoinHostPort(host, port),
		"HostKey "+base+".key",
		"PidFile none",
		"UsePAM no",
		"AuthorizedKeysFile "+l.dir+"/keys-%u",
		"TrustedUserCAKeys "+l.path("user-ca"),
		"PasswordAuthentication yes",
		"KbdInteractiveAuthentication no",
		"MaxStartups 300", "MaxSessions 100", "UseDNS no", "PrintMotd no", "LogLevel VERBOSE", "StrictModes no",
	), "\n") + "\n"
	if err := os.WriteFile(base+".conf", []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", base+".conf")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	pipe, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.pipe, s.read = pipe, make(chan struct{})
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	l.servers = append(l.servers, s)
	l.mu.Unlock()
	go func() {
		defer close(s.read)
		lines := bufio.NewScanner(pipe)
		for lines.Scan() {
			s.mu.Lock()
			s.log.WriteString(lines.Text() + "\n")
			s.more.Broadcast()
			s.mu.Unlock()
		}
		s.mu.Lock()
		s.gone = true
		s.more.Broadcast()
		s.mu.Unlock()
	}()
	t.Cleanup(s.stop)
	s.waitLog(t, "Server listening on")
	return s
}

func (s *server) stop() {
	s.once.Do(func() {
		sessions := descendants(s.cmd.Process.Pid)
		_ = s.cmd.Process.Signal(syscall.SIGCONT)
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_, _ = s.cmd.Process.Wait()
		for _, pid := range sessions {
			kill(pid)
		}
		_ = s.pipe.Close()
		<-s.read
	})
}

// waitLog waits until the log has text, and returns the log.
func (s *server) waitLog(t testing.TB, text string) string {
	t.Helper()
	late := time.AfterFunc(10*time.Second, func() {
		s.mu.Lock()
		s.gone = true
		s.more.Broadcast()
		s.mu.Unlock()
	})
	defer late.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !strings.Contains(s.log.String(), text) {
		if s.gone {
			t.Fatalf("%q is not in the server's log:\n%s", text, s.log.String())
		}
		s.more.Wait()
	}
	return s.log.String()
}

func (s *server) logText() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// name is how known_hosts knows the server.
func (s *server) name() string { return "[" + s.host + "]:" + s.port }

// known is the server's line in known_hosts.
func (s *server) known() string { return s.name() + " " + authorized(s.hostKey.PublicKey()) }

func authorized(key gossh.PublicKey) string {
	return strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key)))
}

// writePrivate writes a private key in OpenSSH's format, encrypted if passphrase is not empty.
func writePrivate(t testing.TB, path string, key any, passphrase string) {
	t.Helper()
	block, err := gossh.MarshalPrivateKey(key, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	if passphrase != "" {
		// Go's own way of doing it takes seconds under the race detector.
		if out, err := exec.Command("ssh-keygen", "-q", "-p", "-P", "", "-N", passphrase, "-f", path).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
	}
}

func newECDSA(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// desk is one test's controller: its ssh_config, its known_hosts, its keys.
type desk struct {
	t    testing.TB
	lab  *lab
	dir  string
	make transports.Factory
}

func newDesk(t testing.TB, l *lab) *desk {
	t.Helper()
	d := &desk{t: t, lab: l, dir: t.TempDir(), make: NewFactory()}
	d.write("known_hosts", "")
	d.config("")
	return d
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *desk) write(name, text string) string {
	d.t.Helper()
	if err := os.WriteFile(d.path(name), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return d.path(name)
}

// knows fills known_hosts.
func (d *desk) knows(lines ...string) { d.write("known_hosts", strings.Join(lines, "\n")+"\n") }

// config writes ssh_config: text first, and then what keeps the machine's own files out of the test.
func (d *desk) config(text string) {
	d.write("ssh_config", text+"\nHost *\n  UserKnownHostsFile "+d.path("known_hosts")+
		"\n  GlobalKnownHostsFile none\n  IdentityAgent none\n  IdentityFile none\n")
}

type kw = map[string]any

// kwargs are those for a server, with more on top.
func (d *desk) kwargs(s *server, more kw) kw {
	port, _ := strconv.Atoi(s.port)
	k := kw{
		"hostname": s.host, "port": port, "username": d.lab.user, "password": nil, "identity_file": nil,
		"check_host_keys": "enforce", "compression": true, "connect_timeout": 10, "identities_only": false,
		"keepalive_interval": 30, "keepalive_count": 10, "python_path": []string{"python3"}, "remote_name": nil,
		"ssh_args":        []string{"-C", "-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-F", d.path("ssh_config")},
		"ssh_debug_level": 0, "ssh_path": "ssh",
	}
	for name, v := range more {
		k[name] = v
	}
	return k
}

// identity writes the lab's key and returns its path.
func (d *desk) identity() string {
	path := d.path("id")
	if !exists(path) {
		writePrivate(d.t, path, d.lab.private, "")
	}
	return path
}

func (d *desk) dialer(k kw) *Dialer {
	d.t.Helper()
	raw, err := json.Marshal(k)
	if err != nil {
		d.t.Fatal(err)
	}
	dialer, err := d.make(raw)
	if err != nil {
		d.t.Fatal(err)
	}
	return dialer.(*Dialer)
}

// dial boots by the way that is asked for, and fails if it was another. Native is what is chosen where nothing is said.
func (d *desk) dial(way string, k kw) (*transports.Booted, error) {
	d.t.Helper()
	if way == Binary {
		k["spindle_ssh"] = "binary"
	}
	b, err := d.dialer(k).Dial(context.Background(), &local.Spawner{}, echoProgram())
	if err == nil {
		d.t.Cleanup(func() { _ = b.Link.Close() })
		if b.How != way {
			d.t.Errorf("went %s because %s, want %s", b.How, b.Why, way)
		}
	}
	return b, err
}

// mustDial dials and exchanges a frame.
func (d *desk) mustDial(way string, k kw) *transports.Booted {
	d.t.Helper()
	b, err := d.dial(way, k)
	if err != nil {
		d.t.Fatalf("%s: %v (%v)", way, err, unwrapped(err))
	}
	exchange(d.t, b)
	return b
}

func unwrapped(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok {
		return u.Unwrap()
	}
	return nil
}

// bothWays runs fn for the native client and for the binary.
func bothWays(t *testing.T, fn func(t *testing.T, way string)) {
	for _, way := range []string{Native, Binary} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			fn(t, way)
		})
	}
}

const testNonce = "n0nce"

// echoProgram stands for an agent: it takes the flight, says the marker and HELLO, and then says back what it hears.
func echoProgram() transports.Program {
	flight := bytes.Repeat([]byte("agent code "), 2000)
	hello, err := wire.Append(nil, wire.Frame{
		Header: wire.Hello{Proto: wire.Proto, Role: "agent", PID: 1, Version: "3.11.2"}, Body: []byte(`{"user":"x"}`),
	})
	if err != nil {
		panic(err)
	}
	var octal strings.Builder
	for _, c := range hello {
		fmt.Fprintf(&octal, `\%03o`, c)
	}
	script := fmt.Sprintf("head -c %d >/dev/null; printf 'SPINDLE1 %s\\n'; printf '%s'; exec cat", len(flight), testNonce, octal.String())
	return transports.Program{Argv: []string{"/bin/sh", "-c", script}, Flight: flight, Nonce: testNonce}
}

// exchange sends a frame and wants it back.
func exchange(t testing.TB, b *transports.Booted) {
	t.Helper()
	out, err := wire.Append(nil, wire.Frame{ID: 7, Header: wire.Data{Channel: 1}, Body: []byte("\x00\xff\r\n!")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Link.Write(out); err != nil {
		t.Fatal(err)
	}
	f, err := b.Frames.Next()
	if err != nil {
		t.Fatal(err)
	}
	if f.ID != 7 || string(f.Body) != "\x00\xff\r\n!" {
		t.Errorf("got frame %+v back", f)
	}
}
