package run

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Containers are docker's, on the machine that is at a lab's only address, and the inventory's hosts.
//
// Mitogen and Spindle run docker's client on that machine (mitogen_via). Stock Ansible has no way to: its plugin runs the client on the controller, and
// that reaches the engine by SSH (DOCKER_HOST=ssh://...), through a master that stays, as docker's manual recommends it.
type Containers struct {
	Names []string
	// Tools is a Debian root that has what stock Ansible needs on the controller: docker's client, and the plugin for it in /opt/collections.
	Tools string
}

// hosts are the inventory's lines for them. Without an ansible_user, stock Ansible need not ask for the engine's version before every task.
func (c *Containers) hosts() string {
	var text strings.Builder
	text.WriteString("[nodes]\n")
	for i, name := range c.Names {
		fmt.Fprintf(&text, "node%d ansible_host=%s\n", i+1, name)
	}
	text.WriteString("\n[nodes:vars]\nansible_connection=docker\nmitogen_via=box1\n\n")
	return text.String()
}

// settings are lines for ansible.cfg's defaults. The plugin may be newer than Ansible, and does not look into the section of SSH.
func (c *Containers) settings() string {
	return "pipelining = True\ncollections_path = " + filepath.Join(c.Tools, "opt/collections") + "\ncollections_on_ansible_version_mismatch = ignore\n"
}

// sshConfig is for the ssh that docker's client starts: what the inventory and ansible.cfg say for all others.
const sshConfig = `IdentityFile %s
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile %s
GlobalKnownHostsFile none
ConnectTimeout 60
Compression %s
ControlMaster auto
ControlPersist 60s
ControlPath %s/%%C
`

// prepare makes a directory with docker's client and its settings. The client hands no options to ssh, which would read the user's own, so
// there is an ssh of ours before the real one.
func (c *Containers) prepare(dir string, l *Lab, known string) error {
	client, err := exec.LookPath("ssh")
	if err != nil {
		return err
	}
	compression := "no"
	if l.Compression {
		compression = "yes"
	}
	for _, sub := range []string{"bin", "docker"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	config := filepath.Join(dir, "ssh_config")
	if err := os.WriteFile(config, fmt.Appendf(nil, sshConfig, l.Target.PrivateKey, known, compression, l.control), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "bin/ssh"), fmt.Appendf(nil, "#!/bin/sh\nexec %s -F %s \"$@\"\n", client, config), 0o700); err != nil {
		return err
	}
	return os.Symlink(filepath.Join(c.Tools, "usr/bin/docker"), filepath.Join(dir, "bin/docker"))
}

// environment is what stock Ansible needs to reach the engine from here.
func (c *Containers) environment(dir string, l *Lab) []string {
	box := l.Addresses[0]
	return []string{
		"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"),
		fmt.Sprintf("DOCKER_HOST=ssh://%s@%s:%d", l.Target.User, box.Host, box.Port),
		"DOCKER_CONFIG=" + filepath.Join(dir, "docker"),
	}
}
