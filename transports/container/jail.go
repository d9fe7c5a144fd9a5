package container

import (
	"encoding/json"

	"spindle/transports"
)

// Jail is the method "jail", on FreeBSD.
func Jail(kwargs json.RawMessage) (transports.Dialer, error) {
	s := Read("jail", kwargs)
	user, name := s.Name("username"), s.Needed("container")
	argv := []string{s.Path("jexec_path", "/usr/sbin/jexec")}
	if user != "" {
		argv = append(argv, "-U", user)
	}
	return s.made(dialer{user: user, container: name, argv: append(argv, name)})
}
