package target

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"spindle/benchmarks/sshtarget"
	"spindle/tests/cgroups"

	gossh "golang.org/x/crypto/ssh"
)

// Options says what kind of target is wanted.
type Options struct {
	// Dir is an existing private directory for keys and settings.
	Dir string
	// Embedded takes the built-in server even where there is an sshd.
	Embedded bool
	// Addresses are the loopback addresses to listen on, 127.0.0.1 if none are given. All get the same port.
	Addresses []string
	// Root is a Debian root file system: the target becomes a machine of its own over it, with every address of the hosts' network
	// (HostAddress) and port 22. Root's own files are not changed.
	Root string
	// Files is a directory that such a machine shows as Files.
	Files string
	// Become is how many accounts to become such a machine has.
	Become int
	// Containers is how many containers such a machine runs (ContainerName), on a docker that is in Root and that the login may use. They are
	// made of Inner, another Debian root.
	Containers int
	Inner      string
	// Groups are the control groups of a machine with containers. Spawn makes them.
	Groups *cgroups.Groups
}

// Facts is what a client needs to use a target.
type Facts struct {
	User       string   `json:"user"` // the only account that may log in
	Port       int      `json:"port"`
	Addresses  []string `json:"addresses"`
	PrivateKey string   `json:"private_key"` // path of the client's key
	HostKey    string   `json:"host_key"`    // the public host key, as a known_hosts line has it behind the name
	Server     string   `json:"server"`      // what serves, for people: "OpenSSH_9.2p1" or "the built-in SSH server"
	SFTP       bool     `json:"sftp"`        // whether files can go by sftp
	Playground string   `json:"playground"`  // where playbooks may write on a machine; empty where the target is this machine
}

// Address is one way to the target: the target's own, or a proxy's in front of it.
type Address struct {
	Host string
	Port int
}

// KnownHosts returns the known_hosts lines for the target seen under the given addresses.
func (f Facts) KnownHosts(addresses []Address) string {
	var lines strings.Builder
	for _, one := range addresses {
		name := fmt.Sprintf("[%s]:%d", one.Host, one.Port)
		if one.Port == 22 {
			name = one.Host // the usual port is not written
		}
		fmt.Fprintf(&lines, "%s %s\n", name, f.HostKey)
	}
	return lines.String()
}

// Target is a running SSH server. Start makes one in this process, Spawn in another.
type Target struct {
	Facts
	stop      []func() error
	hostKey   gossh.Signer
	clientKey gossh.Signer
}

// Start makes keys and settings in the directory and serves.
func Start(options Options) (*Target, error) {
	if len(options.Addresses) == 0 {
		options.Addresses = []string{"127.0.0.1"}
	}
	if options.Root != "" {
		return startMachine(options)
	}
	account, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("look up the current user: %w", err)
	}
	t := &Target{Facts: Facts{User: account.Username, Addresses: options.Addresses}}
	if err := t.makeKeys(options.Dir); err != nil {
		return nil, err
	}
	listeners, err := listen(options.Addresses)
	if err != nil {
		return nil, err
	}
	t.Port = listeners[0].Addr().(*net.TCPAddr).Port

	var serve func(net.Listener) (func() error, error)
	if sshd := findSSHD(); sshd != "" && !options.Embedded {
		serve, err = t.withSSHD(sshd, options.Dir, account.Uid == "0")
	} else {
		t.Server = "the built-in SSH server"
		serve = t.embedded
	}
	for _, listener := range listeners {
		var stop func() error
		if err == nil {
			stop, err = serve(listener)
		}
		if stop == nil {
			stop = listener.Close
		}
		t.stop = append([]func() error{stop}, t.stop...)
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// startMachine makes this process a machine and serves on it. Only Spawn has the namespaces that this takes.
func startMachine(options Options) (*Target, error) {
	t := &Target{Facts: Facts{User: Login, Port: 22, Playground: Playground}}
	if err := t.makeKeys(options.Dir); err != nil {
		return nil, err
	}
	const inside = "/etc/ssh/benchmark"
	keys := map[string][]byte{}
	for _, name := range []string{"host_key", "authorized_keys"} {
		text, err := os.ReadFile(filepath.Join(options.Dir, name))
		if err != nil {
			return nil, err
		}
		keys[name] = text
	}
	if err := enterMachine(options); err != nil {
		return nil, err
	}
	if err := os.Mkdir(inside, 0o755); err != nil {
		return nil, err
	}
	for name, text := range keys {
		mode := os.FileMode(0o600)
		if name == "authorized_keys" {
			mode = 0o644 // sshd reads it as the account
		}
		if err := os.WriteFile(filepath.Join(inside, name), text, mode); err != nil {
			return nil, err
		}
	}
	if options.Containers != 0 {
		if err := runContainers(options.Containers); err != nil {
			return nil, err
		}
	}
	listener, err := net.Listen("tcp", ":22")
	if err != nil {
		return nil, err
	}
	serve, err := t.withSSHD("/usr/sbin/sshd", inside, true)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	stop, err := serve(listener)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	t.stop = append(t.stop, stop)
	return t, nil
}

// Close ends the target. A second Close does nothing.
func (t *Target) Close() error {
	var all error
	for _, stop := range t.stop {
		all = errors.Join(all, stop())
	}
	t.stop = nil
	return all
}

func (t *Target) makeKeys(dir string) error {
	var err error
	if t.hostKey, err = newKey(filepath.Join(dir, "host_key")); err != nil {
		return err
	}
	t.HostKey = strings.TrimSpace(string(gossh.MarshalAuthorizedKey(t.hostKey.PublicKey())))
	t.PrivateKey = filepath.Join(dir, "id")
	if t.clientKey, err = newKey(t.PrivateKey); err != nil {
		return err
	}
	authorized := gossh.MarshalAuthorizedKey(t.clientKey.PublicKey())
	return os.WriteFile(filepath.Join(dir, "authorized_keys"), authorized, 0o600)
}

// newKey makes a key, or reads the one that an earlier target with the same directory had.
func newKey(path string) (gossh.Signer, error) {
	if text, err := os.ReadFile(path); err == nil {
		return gossh.ParsePrivateKey(text)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate a key: %w", err)
	}
	block, err := gossh.MarshalPrivateKey(private, "spindle benchmark, thrown away afterwards")
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return gossh.NewSignerFromKey(private)
}

// listen finds one port that is free on every address.
func listen(addresses []string) ([]net.Listener, error) {
	var err error
	for range 20 {
		var listeners []net.Listener
		port := 0
		for _, address := range addresses {
			var one net.Listener
			if one, err = net.Listen("tcp", fmt.Sprintf("%s:%d", address, port)); err != nil {
				break
			}
			listeners = append(listeners, one)
			port = one.Addr().(*net.TCPAddr).Port
		}
		if err == nil {
			return listeners, nil
		}
		for _, one := range listeners {
			one.Close()
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, fmt.Errorf("listen for the target: %w", err)
}

func (t *Target) embedded(listener net.Listener) (func() error, error) {
	server, err := sshtarget.Start(listener, sshtarget.Options{HostKey: t.hostKey, Authorized: t.clientKey.PublicKey()})
	if err != nil {
		return nil, err
	}
	return server.Close, nil
}

// findSSHD returns sshd's absolute path (it insists on one), or nothing.
func findSSHD() string {
	if path, err := exec.LookPath("sshd"); err == nil && filepath.IsAbs(path) {
		return path
	}
	// It is not in the PATH of an ordinary user on Debian.
	for _, path := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// settings are the few lines sshd needs. MaxSessions is high because some engines open one session per worker on one connection.
const settings = `HostKey %[1]s/host_key
AuthorizedKeysFile %[1]s/authorized_keys
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PubkeyAuthentication yes
PermitRootLogin prohibit-password
StrictModes no
MaxSessions 200
UseDNS no
PrintMotd no
PrintLastLog no
LogLevel ERROR
Subsystem sftp internal-sftp
`

func (t *Target) withSSHD(sshd, dir string, root bool) (func(net.Listener) (func() error, error), error) {
	config := filepath.Join(dir, "sshd_config")
	text := fmt.Sprintf(settings, dir)
	if !root {
		// Only root can hand a terminal to the right group where devpts does not do it by itself, and sshd ends the session otherwise.
		// Ansible asks for one now and then, and does as well without.
		text += "PermitTTY no\n"
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if root {
		remove, err := privilegeSeparation()
		if err != nil {
			return nil, err
		}
		t.stop = append(t.stop, remove)
	}
	if out, err := exec.Command(sshd, "-t", "-f", config).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s refuses its settings: %w: %s", sshd, err, strings.TrimSpace(string(out)))
	}
	t.Server = version(sshd)
	t.SFTP = true
	return func(listener net.Listener) (func() error, error) {
		s := &inetd{listener: listener, command: []string{sshd, "-i", "-e", "-f", config}, running: map[*os.Process]struct{}{}}
		s.log = filepath.Join(dir, "sshd.log")
		s.group.Go(s.accept)
		if os.Getpid() == 1 {
			ended := make(chan os.Signal, 1)
			signal.Notify(ended, syscall.SIGCHLD)
			go s.reap(ended)
		}
		return s.close, nil
	}, nil
}

// privilegeSeparation makes the empty directory that root's sshd wants, if the system has not made it, and returns what removes it again.
func privilegeSeparation() (func() error, error) {
	const dir = "/run/sshd"
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, os.ErrExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, fmt.Errorf("make the directory that sshd separates privileges in: %w", err)
	}
	return func() error {
		if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}, nil
}

var openssh = regexp.MustCompile(`OpenSSH_[^ ,]+`)

func version(sshd string) string {
	// -V is an unknown option to older versions, which then print the version above their usage.
	out, _ := exec.Command(sshd, "-V").CombinedOutput()
	if found := openssh.Find(out); found != nil {
		return string(found)
	}
	return "sshd"
}

// inetd starts one process for each connection, with the connection as its stdin and stdout.
type inetd struct {
	listener net.Listener
	command  []string
	log      string
	group    sync.WaitGroup

	mu      sync.Mutex
	running map[*os.Process]struct{}
	closed  bool
}

func (s *inetd) accept() {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		s.group.Go(func() { s.serve(conn.(*net.TCPConn)) })
	}
}

func (s *inetd) serve(conn *net.TCPConn) {
	file, err := conn.File()
	conn.Close()
	if err != nil {
		return
	}
	defer file.Close()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer log.Close()
	cmd := exec.Command(s.command[0], s.command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = file, file, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	if err := cmd.Start(); err != nil {
		s.mu.Unlock()
		fmt.Fprintln(log, err)
		return
	}
	s.running[cmd.Process] = struct{}{}
	s.mu.Unlock()
	file.Close()
	cmd.Wait()
	s.mu.Lock()
	delete(s.running, cmd.Process)
	s.mu.Unlock()
}

// close stops listening, asks every sshd to end, and kills what has not ended in time.
func (s *inetd) close() error {
	s.mu.Lock()
	s.closed = true
	err := s.listener.Close()
	s.signal(syscall.SIGTERM)
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	go func() {
		<-ctx.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.signal(syscall.SIGKILL)
	}()
	s.group.Wait()
	return err
}

// signal must be called with the lock held.
func (s *inetd) signal(sig syscall.Signal) {
	for process := range s.running {
		process.Signal(sig)
	}
}
