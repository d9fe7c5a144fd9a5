package env

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Loopback is the target for those who have no root: an sshd of the calling user, for that user alone, on a loopback address and a
// free port, with a key, a host key and a known_hosts file of its own. No file of the user's home is read or written.
type Loopback struct {
	User, Addr string
	Port       int
	Dir        string // key, known_hosts, and the HOME of what runs against it
}

// NewLoopback starts the sshd, and ends it with the test. It gives no terminals: only root may hand one over where devpts is mounted plainly.
func NewLoopback(t testing.TB) *Loopback {
	t.Helper()
	sshd, err := lookTool("sshd")
	if err != nil {
		Unavailable(t, "the program sshd is missing")
	}
	if _, err := lookTool("ansible-playbook"); err != nil {
		Unavailable(t, "the program ansible-playbook is missing")
	}
	if os.Geteuid() == 0 {
		// An sshd of root's wants this directory, which a running system has.
		if _, err := os.Stat("/run/sshd"); err != nil {
			Unavailable(t, "there is no /run/sshd; with root, the tests in namespaces do more than this one")
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	l := &Loopback{User: me.Username, Addr: "127.0.0.1", Dir: t.TempDir()}
	free, err := net.Listen("tcp", l.Addr+":0")
	if err != nil {
		t.Fatal(err)
	}
	l.Port = free.Addr().(*net.TCPAddr).Port
	free.Close()
	hostKey, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	keys := userKeys(t)
	for name, text := range map[string]string{
		"host_key": string(hostKey.private), "id": string(keys.private), "authorized_keys": keys.authorized + "\n",
		"known_hosts": fmt.Sprintf("[%s]:%d %s\n", l.Addr, l.Port, hostKey.authorized),
		"sshd_config": fmt.Sprintf("ListenAddress %s:%d\nHostKey %[3]s/host_key\nAuthorizedKeysFile %[3]s/authorized_keys\nUsePAM no\nStrictModes no\n"+
			"PasswordAuthentication no\nSubsystem sftp internal-sftp\nPermitTTY no\nPidFile none\nUseDNS no\nMaxSessions 100\n", l.Addr, l.Port, l.Dir),
	} {
		if err := os.WriteFile(filepath.Join(l.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(l.Dir, "sshd_config"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	ready := make(chan string, 1)
	go func() {
		defer close(ended)
		in, said := bufio.NewScanner(errs), ""
		for in.Scan() {
			said += in.Text() + "\n"
			if strings.Contains(in.Text(), "Server listening") {
				ready <- ""
			}
		}
		_ = cmd.Wait()
		select {
		case ready <- said + "sshd ended":
		default:
		}
	}()
	select {
	case why := <-ready:
		if why != "" {
			t.Fatalf("sshd of user %s: %s", l.User, why)
		}
	case <-time.After(stepLimit):
		t.Fatalf("sshd of user %s is not ready after %v", l.User, stepLimit)
	}
	return l
}

// Inventory is the line of the target, under some name.
func (l *Loopback) Inventory(name string) string {
	return fmt.Sprintf("%s ansible_host=%s ansible_port=%d ansible_user=%s ansible_ssh_private_key_file=%s/id "+
		"ansible_ssh_args='-o ControlMaster=auto -o ControlPersist=1s' "+ // a master holds our pipes
		"ansible_ssh_common_args='-o UserKnownHostsFile=%[5]s/known_hosts' ansible_python_interpreter=/usr/bin/python3\n", name, l.Addr, l.Port, l.User, l.Dir)
}

// Run runs a program with the given ansible.cfg, in a HOME of its own.
func (l *Loopback) Run(t testing.TB, config string, argv ...string) Output {
	t.Helper()
	cfg := filepath.Join(l.Dir, "ansible.cfg")
	if err := os.WriteFile(cfg, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute*Patience())
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = l.Dir
	cmd.Env = []string{"HOME=" + l.Dir, "ANSIBLE_CONFIG=" + cfg, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "USER=" + l.User}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("%v: %v", argv, err)
	}
	return Output{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}
