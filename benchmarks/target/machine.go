package target

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Login is the account that a machine is used with. It may become anybody with sudo, without a password.
const Login = "deploy"

// Playground is where playbooks write on a machine.
const Playground = "/home/" + Login + "/playground"

// Files is where a machine shows the directory of Options.Files.
const Files = "/srv/files"

// firstBecome is the user id of the first of the accounts to become.
const firstBecome = 5000

// LoginID is the user and group id of Login.
const LoginID = 4000

// BecomeName is the name of the n-th account to become, from 1.
func BecomeName(n int) string { return fmt.Sprintf("user%03d", n) }

// enterMachine turns this process, which has namespaces of its own already, into process 1 of a machine: an overlay in memory over the root,
// which nobody else sees and which goes with the namespaces. It returns with "/" changed.
func enterMachine(o Options) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	base := filepath.Join(o.Dir, "machine")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", base, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount the machine's memory: %w", err)
	}
	for _, dir := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(base, dir), 0o755); err != nil {
			return err
		}
	}
	root := filepath.Join(base, "root")
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", o.Root, base, base)
	if err := unix.Mount("overlay", root, "overlay", 0, layers); err != nil {
		return fmt.Errorf("mount an overlay over %s: %w", o.Root, err)
	}
	if err := mountSystem(root); err != nil {
		return err
	}
	if o.Files != "" {
		shown := filepath.Join(root, Files)
		if err := os.MkdirAll(shown, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(o.Files, shown, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("show %s: %w", o.Files, err)
		}
	}
	if err := makeAccounts(root, o.Become); err != nil {
		return err
	}
	if o.Containers != 0 {
		if err := mountEngine(root, o); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		// Every address of this network is this machine, so that it can be as many hosts as are wanted.
		{"route", "add", "local", hostsNetwork, "dev", "lo"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
		}
	}
	if err := unix.Sethostname([]byte("node")); err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	// The old root is put onto the new one and then taken off.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	return os.Chdir("/")
}

// mountSystem mounts what programs expect of any Linux.
func mountSystem(root string) error {
	at := func(path string) string { return filepath.Join(root, path) }
	for _, m := range []struct {
		kind, at, options string
		flags             uintptr
	}{
		{"proc", "proc", "", 0},
		{"sysfs", "sys", "", unix.MS_RDONLY},
		{"tmpfs", "dev", "mode=755", 0},
		{"devpts", "dev/pts", "newinstance,ptmxmode=0666,mode=620,gid=5", 0},
		{"tmpfs", "dev/shm", "mode=1777", 0},
		{"tmpfs", "run", "mode=755", 0},
		{"tmpfs", "tmp", "mode=1777", 0},
	} {
		if err := os.MkdirAll(at(m.at), 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, at(m.at), m.kind, m.flags, m.options); err != nil {
			return fmt.Errorf("mount /%s: %w", m.at, err)
		}
	}
	for _, device := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if err := os.WriteFile(at("dev/"+device), nil, 0o666); err != nil {
			return err
		}
		if err := unix.Mount("/dev/"+device, at("dev/"+device), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount /dev/%s: %w", device, err)
		}
	}
	var all error
	for name, to := range map[string]string{"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		all = errors.Join(all, os.Symlink(to, at("dev/"+name)))
	}
	return errors.Join(all, os.MkdirAll(at("run/sshd"), 0o755), os.MkdirAll(at("run/lock"), 0o755))
}

// makeAccounts adds the login and the accounts to become.
func makeAccounts(root string, become int) error {
	var passwd, shadow, group strings.Builder
	account := func(name string, id int) error {
		fmt.Fprintf(&passwd, "%s:x:%d:%d::/home/%s:/bin/sh\n", name, id, id, name)
		fmt.Fprintf(&shadow, "%s:*:19000:0:99999:7:::\n", name)
		fmt.Fprintf(&group, "%s:x:%d:\n", name, id)
		home := filepath.Join(root, "home", name)
		return errors.Join(os.MkdirAll(home, 0o755), os.Chown(home, id, id))
	}
	if err := account(Login, LoginID); err != nil {
		return err
	}
	for n := range become {
		if err := account(BecomeName(n+1), firstBecome+n); err != nil {
			return err
		}
	}
	playground := filepath.Join(root, Playground)
	all := errors.Join(os.Mkdir(playground, 0o755), os.Chown(playground, LoginID, LoginID))
	for path, text := range map[string]string{"etc/passwd": passwd.String(), "etc/shadow": shadow.String(), "etc/group": group.String()} {
		all = errors.Join(all, appendTo(filepath.Join(root, path), text))
	}
	write := func(path, text string, mode os.FileMode) {
		all = errors.Join(all, os.WriteFile(filepath.Join(root, path), []byte(text), mode))
	}
	write("etc/sudoers.d/benchmark", Login+" ALL=(ALL:ALL) NOPASSWD: ALL\n", 0o440)
	write("etc/hostname", "node\n", 0o644)
	write("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 node\n", 0o644)
	return all
}

func appendTo(path, text string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// reap waits for every ended child of this process that no one else waits for: process 1 of a machine has orphans.
func (s *inetd) reap(ended <-chan os.Signal) {
	for range ended {
		s.mu.Lock()
		mine := map[int]bool{}
		for process := range s.running {
			mine[process.Pid] = true
		}
		children, _ := os.ReadFile("/proc/self/task/" + fmt.Sprint(os.Getpid()) + "/children")
		pids := strings.Fields(string(children))
		tasks, _ := filepath.Glob("/proc/self/task/*/children")
		for _, path := range tasks {
			text, _ := os.ReadFile(path)
			pids = append(pids, strings.Fields(string(text))...)
		}
		for _, text := range pids {
			var pid int
			if _, err := fmt.Sscan(text, &pid); err == nil && !mine[pid] {
				syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
			}
		}
		s.mu.Unlock()
	}
}
