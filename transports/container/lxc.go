package container

import (
	"encoding/json"

	"spindle/transports"
)

// LXC is the method "lxc": the classic tools, lxc-attach among them.
func LXC(kwargs json.RawMessage) (transports.Dialer, error) {
	s := Read("lxc", kwargs)
	name := s.Needed("container")
	argv := append(s.tool("lxc_attach_path", "lxc-attach"), "--clear-env", "--name", name, "--")
	return s.made(dialer{container: name, argv: argv, hint: hint("lxc-attach", "lxc-info -n "+name)})
}

// LXD is the method "lxd", whose client is called lxc.
func LXD(kwargs json.RawMessage) (transports.Dialer, error) {
	s := Read("lxd", kwargs)
	return s.daemon(s.tool("lxc_path", "lxc"), "--mode=noninteractive", "lxc")
}

// Incus is the method "incus".
func Incus(kwargs json.RawMessage) (transports.Dialer, error) {
	s := Read("incus", kwargs)
	return s.daemon(s.tool("incus_path", "incus"), "--mode=non-interactive", "incus")
}

// daemon is what the clients of LXD and Incus have in common: containers live in projects, on remotes. They enter as root, and for another
// account it takes su, as the plugins of community.general have it.
func (s *Settings) daemon(argv []string, mode, client string) (transports.Dialer, error) {
	name, remote, project := s.Needed("container"), s.Name("remote"), s.Name("project")
	var su []string
	user := s.Name("username")
	if user != "" {
		su = []string{s.Path("su", "/bin/su"), user, "-c"}
	}
	ask := client + " info "
	if project != "" {
		argv = append(argv, "--project", project)
		ask = client + " --project " + project + " info "
	}
	if remote != "" {
		name = remote + ":" + name
	}
	argv = append(argv, "exec", mode, name, "--")
	return s.made(dialer{user: user, container: name, argv: argv, su: su, hint: hint(client, ask+name+" --show-log")})
}

// hint helps on where a tool is of few words.
func hint(tool, ask string) string {
	return "Note: " + tool + " seldom tells why it could not run a program in a container. See whether the container runs and has a " +
		"/bin/sh (`" + ask + "`), and look into the logs of the host that it runs on."
}
