package env

import (
	"fmt"
	"testing"
)

// lxcSpec is classic LXC: no daemon, a directory for each container.
var lxcSpec = engineSpec{
	make: func(t testing.TB, e *Engine, name string) {
		dir := "/var/lib/lxc/" + name
		e.On.MustExec(t, "cp", "-a", imageDir+"/.", e.On.fresh(t, dir+"/rootfs"))
		e.On.put(t, dir+"/config", fmt.Sprintf(`lxc.uts.name = %[1]s
lxc.rootfs.path = dir:%[2]s/rootfs
lxc.mount.entry = %[3]s usr none bind,ro 0 0
lxc.mount.auto = proc:mixed sys:ro
lxc.net.0.type = empty
lxc.apparmor.profile = unconfined
lxc.pty.max = 1024
lxc.init.cmd = %[4]s %[1]s
`, name, dir, innerUsr, initProgram), 0o644)
		if o := e.On.Exec(t, "lxc-start", "-n", name, "-o", dir+"/log", "-l", "INFO"); o.Code != 0 {
			Unavailable(t, "LXC starts no container here: "+o.Stderr+e.On.Exec(t, "tail", "-n", "30", dir+"/log").Stdout)
		}
	},
	enter: func(name, _ string) []string { return []string{"lxc-attach", "--clear-env", "--name", name, "--"} },
}

// fresh makes an empty directory on the machine.
func (m *Machine) fresh(t testing.TB, dir string) string {
	t.Helper()
	m.MustExec(t, "mkdir", "-p", dir)
	return dir
}
