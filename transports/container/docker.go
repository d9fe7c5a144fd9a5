package container

import (
	"encoding/json"
	"strings"

	"spindle/transports"
)

// Docker is the method "docker".
func Docker(kwargs json.RawMessage) (transports.Dialer, error) {
	s := Read("docker", kwargs)
	user, name := s.Name("username"), s.Needed("container")
	argv := append(s.tool("docker_path", "docker"), "exec", "--interactive")
	args := s.Words("exec_args")
	argv = append(append(append(argv, args...), asUser(user)...), name)
	return s.made(dialer{user: user, container: name, argv: argv, env: s.Env("env"), hidden: values(args)})
}

// values are the arguments that set a variable, whose value may be a secret and is for whoever is in the container. Values are
// not hidden by themselves, since one may be as short as "1".
func values(args []string) (found []hidden) {
	for _, arg := range args {
		assigned, isEnv := strings.CutPrefix(arg, "--env=")
		if name, value, _ := strings.Cut(assigned, "="); isEnv && value != "" {
			found = append(found, hidden{arg, "--env=" + name + "=***"})
		}
	}
	return found
}

// Podman is the method "podman". Its "escalation" is how the account becomes root inside, without being asked anything.
func Podman(kwargs json.RawMessage) (transports.Dialer, error) {
	s := Read("podman", kwargs)
	user, name, how := s.Name("username"), s.Needed("container"), s.Name("escalation")
	argv := append(s.tool("podman_path", "podman"), "exec")
	args := s.Words("exec_args")
	argv = append(append(append(append(argv, asUser(user)...), "--interactive"), args...), "--", name)
	var su []string
	switch how {
	case "":
	case "sudo":
		argv = append(argv, "sudo", "-n")
	case "su":
		su = []string{"su", "-c"}
	default:
		s.fail("escalation %q is neither sudo nor su", how)
	}
	return s.made(dialer{user: user, container: name, argv: argv, su: su, env: s.Env("env"), hidden: values(args), loses: true})
}

// Buildah is the method "buildah": it runs a program in a container that is being built.
func Buildah(kwargs json.RawMessage) (transports.Dialer, error) {
	s := Read("buildah", kwargs)
	user, name := s.Name("username"), s.Needed("container")
	argv := append(s.tool("buildah_path", "buildah"), "run")
	args := s.Words("exec_args")
	argv = append(append(append(argv, asUser(user)...), args...), "--", name)
	return s.made(dialer{user: user, container: name, argv: argv, env: s.Env("env"), hidden: values(args)})
}

// tool is the beginning of a command line: the program, and options of its own that stand ahead of its verb.
func (s *Settings) tool(key, otherwise string) []string {
	return append([]string{s.Path(key, otherwise)}, s.Words("extra_args")...)
}

func asUser(user string) []string {
	if user == "" {
		return nil // whom the image names
	}
	return []string{"--user=" + user}
}
