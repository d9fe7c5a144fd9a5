package env

import (
	"context"
	"fmt"
	"testing"
)

// machinectlSpec is systemd-machined, on a system bus, without systemd: the containers are systemd-nspawn's, registered with it. It learns from
// a container's control group of which unit that is, so each gets one that looks like it.
var machinectlSpec = engineSpec{
	up: func(t testing.TB, e *Engine) {
		// machinectl looks for this directory before it does anything, and takes it for a sign of systemd.
		e.On.MustExec(t, "mkdir", "-p", "/run/dbus", "/run/systemd/system", "/run/systemd/machines")
		e.On.daemon(t, nil, []string{"busctl", "--system", "list"}, "dbus-daemon", "--system", "--nofork", "--nopidfile")
		e.On.daemon(t, nil, []string{"machinectl", "list"}, "/usr/lib/systemd/systemd-machined")
	},
	make: func(t testing.TB, e *Engine, name string) { e.On.nspawn(t, name, true) },
	// There is no way in without systemd in the container: what Ansible knows by this name enters the namespaces of its first process.
	enter: func(name, user string) []string {
		if user == "" {
			user = "root"
		}
		return []string{"/bin/sh", "-c", fmt.Sprintf(
			`exec nsenter -t "$(machinectl show %[1]s -p Leader --value)" -m -u -i -n -p -r -w -S "$(id -u %[2]s)" -G "$(id -g %[2]s)" -- "$@"`, name, user), "enter"}
	},
}

// nspawn starts a container of systemd-nspawn's.
func (m *Machine) nspawn(t testing.TB, name string, register bool) {
	t.Helper()
	root := m.fresh(t, "/var/lib/machines/"+name)
	m.MustExec(t, "cp", "-a", imageDir+"/.", root)
	yes := map[bool]string{true: "yes", false: "no"}[register]
	cmd, err := m.Command(context.Background(), "", "/", []string{"UNIFIED_CGROUP_HIERARCHY=yes"}, "/bin/sh", "-c",
		`for d in /sys/fs/cgroup/unified /sys/fs/cgroup/systemd /sys/fs/cgroup; do
	if [ -e $d/cgroup.procs ]; then mkdir -p "$d/machine.slice/$0.scope" && echo 0 >"$d/machine.slice/$0.scope/cgroup.procs"; fi
done; exec "$@"`, name, "systemd-nspawn", "-q", "-M", name, "--register="+yes, "--keep-unit", "-D", root, "--private-network", "--bind-ro="+innerUsr+":/usr",
		"--console=pipe", "--resolv-conf=off", "--timezone=off", "--link-journal=no", initProgram, name)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = m.log, m.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
}
