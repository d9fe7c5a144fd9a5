package env

import (
	_ "embed"
	"testing"
)

//go:embed jail.sh
var jailScript string

// jailSpec is a stand-in: there are no jails on Linux. The programs are called as FreeBSD's are, and enter a container of systemd-nspawn's.
var jailSpec = engineSpec{
	up: func(t testing.TB, e *Engine) {
		e.On.put(t, "/usr/sbin/jexec", jailScript, 0o755)
		e.On.put(t, "/usr/sbin/jls", jailScript, 0o755)
	},
	make: func(t testing.TB, e *Engine, name string) { e.On.nspawn(t, name, false) },
	enter: func(name, user string) []string {
		if user == "" {
			user = "root"
		}
		return []string{"/usr/sbin/jexec", "-U", user, name}
	},
}
