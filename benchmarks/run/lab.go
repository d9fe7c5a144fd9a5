package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"spindle/benchmarks/target"
)

// Options says what all engines of a Lab share.
type Options struct {
	// Dir is an existing private directory. Its path should be short: sockets go below it.
	Dir string
	// Target is where playbooks run.
	Target target.Facts
	// Addresses are the ways to it, one inventory host "node<n>" for each.
	Addresses []target.Address
	// Containers, if set, are the hosts "node<n>" instead, behind the only address, which is "box1" then.
	Containers *Containers
	// Forks as in ansible.cfg.
	Forks int
	// Python fixes the target's interpreter; empty lets Ansible discover one.
	Python string
	// Compression asks SSH for it, as Ansible's default ssh_args do.
	Compression bool
}

// Lab is a place to run playbooks in. NewLab makes one.
type Lab struct {
	Options
	// Enter goes before every command, to run it in other namespaces.
	Enter []string
	// Watch, if set, is called when a run starts and may look at it until its context ends.
	Watch func(context.Context)

	inventory string
	control   string
}

// NewLab writes the inventory.
func NewLab(options Options) (*Lab, error) {
	if options.Forks == 0 {
		options.Forks = 5
	}
	l := &Lab{
		Options:   options,
		inventory: filepath.Join(options.Dir, "hosts"),
		control:   filepath.Join(options.Dir, "cp"),
	}
	for _, dir := range []string{l.control, filepath.Join(options.Dir, "home")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if err := l.clear(); err != nil {
		return nil, err
	}
	known := filepath.Join(options.Dir, "known")
	if err := os.WriteFile(known, []byte(options.Target.KnownHosts(options.Addresses)), 0o600); err != nil {
		return nil, err
	}
	if options.Containers != nil {
		if err := options.Containers.prepare(l.docker(), l, known); err != nil {
			return nil, err
		}
	}
	return l, os.WriteFile(l.inventory, []byte(l.hosts(known)), 0o600)
}

// Remote is a directory for what playbooks write on the target.
func (l *Lab) Remote() string {
	if l.Target.Playground != "" {
		return l.Target.Playground
	}
	return filepath.Join(l.Dir, "remote")
}

// Fetched is a directory for what playbooks bring from the target.
func (l *Lab) Fetched() string { return filepath.Join(l.Dir, "fetched") }

// clear makes everything as it was before the first run. A machine is new for every run anyway.
func (l *Lab) clear() error {
	dirs := []string{l.Fetched()}
	if l.Target.Playground == "" {
		dirs = append(dirs, l.Remote())
	}
	var all error
	for _, dir := range dirs {
		all = errors.Join(all, os.RemoveAll(dir), os.Mkdir(dir, 0o700))
	}
	return all
}

// remoteTmp is where Ansible keeps temporary files on the target.
func (l *Lab) remoteTmp() string {
	if l.Target.Playground != "" {
		return "~/.ansible/tmp"
	}
	return filepath.Join(l.Remote(), "tmp")
}

// docker is a directory for its client.
func (l *Lab) docker() string { return filepath.Join(l.Dir, "docker") }

func (l *Lab) hosts(known string) string {
	var text strings.Builder
	name, group, everybody := "node", "nodes", "nodes"
	if l.Containers != nil {
		text.WriteString(l.Containers.hosts())
		name, group, everybody = "box", "boxes", "all"
	}
	fmt.Fprintf(&text, "[%s]\n", group)
	for i, address := range l.Addresses {
		fmt.Fprintf(&text, "%s%d ansible_host=%s ansible_port=%d\n", name, i+1, address.Host, address.Port)
	}
	// -F none and the rest: the user's SSH settings, keys and agents take no part.
	fmt.Fprintf(&text, `
[%s:vars]
ansible_user=%s
ansible_ssh_private_key_file=%s
ansible_ssh_common_args=-F none -o UserKnownHostsFile=%s -o GlobalKnownHostsFile=none -o IdentitiesOnly=yes -o IdentityAgent=none

[%s:vars]
playground=%s
fetched=%s
`, group, l.Target.User, l.Target.PrivateKey, known, everybody, l.Remote(), l.Fetched())
	if l.Python != "" {
		fmt.Fprintf(&text, "ansible_python_interpreter=%s\n", l.Python)
	}
	if !l.Compression {
		text.WriteString("mitogen_ssh_compression=false\n")
	}
	return text.String()
}

// configure writes the engine's ansible.cfg and returns its path. Ten seconds, Ansible's own limit for a connection, is less than what Mitogen
// needs for the last of 20 at once on a busy machine: its hosts would be unreachable there.
func (l *Lab) configure(e Engine) (string, error) {
	args := "-o ControlMaster=auto -o ControlPersist=60s"
	if l.Compression {
		args = "-C " + args // these three are Ansible's own default
	}
	transfer := "smart"
	if !l.Target.SFTP {
		transfer = "piped"
	}
	plugins := ""
	if e.Plugins != "" {
		plugins = "strategy_plugins = " + e.Plugins + "\n"
	}
	if l.Containers != nil {
		plugins += l.Containers.settings()
	}
	text := fmt.Sprintf(`[defaults]
inventory = %[1]s/hosts
forks = %[2]d
strategy = %[3]s
%[4]slocal_tmp = %[1]s/home/tmp
remote_tmp = %[8]s
timeout = 60
host_key_checking = True
retry_files_enabled = False
deprecation_warnings = False
localhost_warning = False
nocows = True
[ssh_connection]
pipelining = True
ssh_args = %[5]s
control_path_dir = %[6]s
transfer_method = %[7]s
`, l.Dir, l.Forks, e.Strategy, plugins, args, l.control, transfer, l.remoteTmp())
	path := filepath.Join(l.Dir, e.Name+".cfg")
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// environment is the caller's, less everything that would steer Ansible, Mitogen, Spindle or SSH from outside.
func (l *Lab) environment(e Engine, config string) []string {
	var env []string
	for _, one := range os.Environ() {
		name, _, _ := strings.Cut(one, "=")
		switch {
		case strings.HasPrefix(name, "ANSIBLE_"), strings.HasPrefix(name, "MITOGEN_"), strings.HasPrefix(name, "SPINDLE_"),
			strings.HasPrefix(name, "LC_"), strings.HasPrefix(name, "SSH_"), strings.HasPrefix(name, "XDG_"),
			strings.HasPrefix(name, "PYTHON"), strings.HasPrefix(name, "DOCKER_"), name == "LANG", name == "LANGUAGE", name == "DISPLAY":
		default:
			env = append(env, one)
		}
	}
	if l.Containers != nil && e.Name == "stock" {
		env = append(env, l.Containers.environment(l.docker(), l)...)
	}
	return append(append(env,
		"LC_ALL=C.UTF-8",
		"ANSIBLE_CONFIG="+config,
		"ANSIBLE_HOME="+filepath.Join(l.Dir, "home"),
		"ANSIBLE_NOCOLOR=1",
	), e.Env...)
}
