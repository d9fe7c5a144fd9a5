package env

import "testing"

// bootSystemd makes a host fit for systemd as process 1, in the manner of systemd-nspawn: what is the kernel's own is read-only, and nothing
// starts but the bus, what lets people log in, and what is asked for over the bus.
const bootSystemd = `
for f in /proc/sys /proc/sysrq-trigger; do
	mount --bind $f $f
	mount -o remount,bind,ro $f
done
printf '[Unit]\nRequires=dbus.service systemd-user-sessions.service\nAfter=dbus.service systemd-user-sessions.service\n' >/etc/systemd/system/tests.target
for u in systemd-udevd systemd-journald systemd-networkd systemd-resolved systemd-timesyncd; do
	ln -sf /dev/null /etc/systemd/system/$u.service
done
`

// execSystemd is the last thing that the shell of process 1 does.
const execSystemd = "exec env container=spindle-tests /usr/lib/systemd/systemd --unit=tests.target --log-target=console --show-status=false"

// systemdUp waits until systemd has started what it was told to. All that runs then belongs to the host.
func (h *Host) systemdUp(t testing.TB) {
	t.Helper()
	late := Poll(stepLimit*Patience(), func() string {
		o := h.Exec(t, "systemctl", "is-active", "tests.target")
		if o.Code != 0 {
			return o.Stdout + o.Stderr
		}
		return ""
	})
	if late != "" {
		t.Fatalf("%s: systemd does not come up: %s\n%s", h.Name, late, h.log.last(30))
	}
	h.Settle()
}
