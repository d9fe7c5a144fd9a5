package container

import (
	"encoding/json"

	"spindle/transports"
)

// Docker is the method "docker".
func Docker(kwargs json.RawMessage) (transports.Dialer, error) {
	s := Read("docker", kwargs)
	user, name := s.Name("username"), s.Needed("container")
	argv := append(s.tool("docker_path", "docker"), "exec", "--interactive")
	argv = append(argv, s.Words("exec_args")...)
	argv = append(append(argv, asUser(user)...), name)
	return s.made(dialer{user: user, container: name, argv: argv, env: s.Env("env")})
}

// Podman is the method "podman".
func Podman(kwargs json.RawMessage) (transports.Dialer, error) {
	s := Read("podman", kwargs)
	user, name := s.Name("username"), s.Needed("container")
	argv := append(s.tool("podman_path", "podman"), "exec")
	argv = append(append(argv, asUser(user)...), "--interactive", "--", name)
	return s.made(dialer{user: user, container: name, argv: argv, env: s.Env("env")})
}

// Buildah is the method "buildah": it runs a program in a container that is being built.
func Buildah(kwargs json.RawMessage) (transports.Dialer, error) {
	s := Read("buildah", kwargs)
	user, name := s.Name("username"), s.Needed("container")
	argv := append(s.tool("buildah_path", "buildah"), "run")
	argv = append(append(argv, asUser(user)...), "--", name)
	return s.made(dialer{user: user, container: name, argv: argv, env: s.Env("env")})
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
