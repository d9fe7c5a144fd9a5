package env

import (
	"fmt"
	"testing"
)

// lxdLike is LXD, or Incus, which was LXD once: a daemon, an image, a profile.
func lxdLike(daemon, admin []string, client, dir string) engineSpec {
	return engineSpec{
		up: func(t testing.TB, e *Engine) {
			e.On.daemon(t, nil, []string{client, "query", "/1.0"}, daemon...)
			preseed := `config: {}
storage_pools: [{name: default, driver: dir, config: {}}]
profiles:
- name: default
  devices: {root: {path: /, pool: default, type: disk}}
  config: {security.privileged: "true"}
`
			e.On.put(t, "/var/lib/engines/preseed.yaml", preseed, 0o644)
			e.On.shell(t, fmt.Sprintf("%s init --preseed </var/lib/engines/preseed.yaml && chmod 666 %s/unix.socket", admin[0], dir))
		},
		make: func(t testing.TB, e *Engine, name string) {
			e.On.shell(t, fmt.Sprintf(`%[1]s image info inner >/dev/null 2>&1 && exit
cd /var/lib/engines
printf 'architecture: %%s\ncreation_date: 1700000000\nproperties: {description: inner, os: debian, release: stable}\n' "$(uname -m)" >metadata.yaml
tar -cf meta.tar metadata.yaml
%[1]s image import meta.tar image.tar --alias inner </dev/null`, client))
			e.On.shell(t, fmt.Sprintf(`set -e
%[1]s init inner %[2]s </dev/null
printf 'lxc.init.cmd = %[3]s %[2]s\n' | %[1]s config set %[2]s raw.lxc -
%[1]s config device add %[2]s usr disk source=%[4]s path=/usr readonly=true </dev/null
%[1]s start %[2]s </dev/null`, client, name, initProgram, innerUsr))
		},
		enter: func(name, user string) []string {
			argv := []string{client, "exec", "--mode=non-interactive", name}
			if user != "" {
				argv = append(argv, "--user", user) // a number, here
			}
			return append(argv, "--")
		},
	}
}

var (
	lxdSpec   = lxdLike([]string{"lxd", "--group", "root"}, []string{"lxd"}, "lxc", "/var/lib/lxd")
	incusSpec = lxdLike([]string{"/usr/libexec/incus/incusd", "--group", "root"}, []string{"incus admin"}, "incus", "/var/lib/incus")
)

// shell runs a script on the machine as root; it has to succeed.
func (m *Machine) shell(t testing.TB, script string) {
	t.Helper()
	m.MustExec(t, "/bin/sh", "-c", script)
}
