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
	if user == "" {
		return s.made(dialer{container: name, argv: append(argv, name)})
	}
	// jexec changes the account and leaves the caller's HOME, as community.general's plugin knows, too.
	home := "h=~" + user + `;[ -d "$h" ]&&HOME=$h;exec "$@"`
	return s.made(dialer{user: user, container: name, argv: append(argv, "-U", user, name, "/bin/sh", "-c", home, "sh")})
}
