//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
	"spindle/tests/proxy"
)

// fleetSize is how many containers stand behind one bastion.
const fleetSize = 20

// attach takes the place of lxc-attach. It goes on when as many as the file "all" says stand beside it; "late" goes on when
// every other container has done a task, and "dead" never.
const attach = `#!/bin/sh
dir=/var/lib/engines/barrier
name=''
for word; do
	[ "$before" = --name ] && name=$word
	before=$word
done
: >"$dir/$name"
case $name in
dead) exec sleep 1000 ;;
late) there() { ls -d /var/lib/lxc/c*/rootfs/tmp/done 2>/dev/null | wc -l; } ;;
*) there() { ls -d $dir/c* 2>/dev/null | wc -l; } ;;
esac
n=0
until [ "$(there)" -ge "$(cat $dir/all)" ]; do
	n=$((n + 1))
	[ $n -lt 1200 ] || { echo "$name waits in vain" >&2; exit 9; }
	sleep 0.1
done
exec lxc-attach "$@"
`

// fleet is a gateway, a bastion and a machine with containers, each in sight of the next one only. A proxy counts what the controller sends.
type fleet struct {
	c                     *env.Controller
	gateway, bastion, box *env.Host
	containers            map[string]*env.Container
	proxy                 *proxy.Proxy
	inventory             string // of the machines on the way
}

func newFleet(t *testing.T) fleet {
	t.Helper()
	l := env.New(t)
	middle, back := l.Segment(t), l.Segment(t)
	f := fleet{
		gateway:    l.Host(t, env.HostOptions{Name: "gateway", On: []*env.Segment{l.Front(), middle}}),
		bastion:    l.Host(t, env.HostOptions{Name: "bastion", On: []*env.Segment{middle, back}}),
		box:        l.Host(t, env.HostOptions{Name: "box", On: []*env.Segment{back}, Engines: true}),
		containers: map[string]*env.Container{},
	}
	f.c = l.Controller(t, env.Versions[0], f.gateway)
	f.gateway.Trust(t, "deploy", f.bastion)
	f.bastion.Trust(t, "deploy", f.box)
	listener, err := l.Listen(env.ControllerAddr + ":0")
	if err != nil {
		t.Fatal(err)
	}
	f.proxy = proxy.New(proxy.Options{Listener: listener, Dial: func(ctx context.Context) (net.Conn, error) { return l.Dial(ctx, f.gateway.Addr+":22") }})
	t.Cleanup(f.proxy.Close)
	port := f.proxy.Addr().Port
	f.c.Known(t, fmt.Sprintf("[%s]:%d %s", env.ControllerAddr, port, strings.SplitN(f.gateway.KnownKey, " ", 2)[1]))
	f.inventory = fmt.Sprintf(`gateway ansible_host=%s ansible_port=%d
bastion ansible_host=%s mitogen_via=gateway
box ansible_host=%s mitogen_via=bastion
[all:vars]
ansible_user=deploy
ansible_python_interpreter=/usr/bin/python3
[fleet:vars]
ansible_connection=lxc
ansible_user=root
mitogen_via=root@box
mitogen_lxc_attach_path=/usr/local/bin/attach
[fleet]
`, env.ControllerAddr, port, f.bastion.AddrOn(middle), f.box.Addr)
	f.box.MustExec(t, "sh", "-c", "cat >/usr/local/bin/attach <<'E'\n"+attach+"E\nchmod 755 /usr/local/bin/attach; mkdir -p /var/lib/engines/barrier")
	engine := f.box.Engine(t, env.LXC)
	names := []string{"late", "dead"}
	for i := range fleetSize {
		names = append(names, fmt.Sprintf("c%d", i+1))
	}
	for _, name := range names {
		f.containers[name] = engine.Run(t, name)
		mark(t, f.containers[name])
	}
	return f
}

// uplink is what has reached the bastion on the side of the controller, frames and all.
func (f fleet) uplink(t *testing.T) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimSpace(f.bastion.MustExec(t, "cat", "/sys/class/net/eth0/statistics/rx_bytes")), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// play plays in some of the containers, each of which waits for n of them to be set up, and returns what the controller sent and what
// came to the bastion.
func (f fleet) play(t *testing.T, n int, lines string) (sent, came int64, r env.Run) {
	t.Helper()
	f.box.MustExec(t, "sh", "-c", fmt.Sprintf("cd /var/lib/engines/barrier; rm -f * /var/lib/lxc/*/rootfs/tmp/done; echo %d >all", n))
	f.c.InstallSpindle(t)
	f.proxy.Reset()
	before := f.uplink(t)
	r = f.c.Play(t, env.Play{
		Strategy: "mitogen_linear", Playbook: "fleet.yml", Inventory: f.inventory + lines,
		Config: map[string]string{"forks": "30", "timeout": patient},
	})
	counters := f.proxy.Counters()
	if counters.Connections != 1 {
		t.Errorf("%d connections from the controller, want one", counters.Connections)
	}
	return counters.Up, f.uplink(t) - before, r
}

// TestFleet sets up twenty containers behind a gateway and a bastion: all at once, whatever becomes of another one, and with code that
// crosses the wires once.
func TestFleet(t *testing.T) {
	f := newFleet(t)
	random := make([]byte, 300000)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	// Nothing makes this smaller than half a megabyte over 19 links.
	f.c.Write(t, env.PlayDir+"/library/bulky.py", `#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
BULK = "`+hex.EncodeToString(random)+`"
module = AnsibleModule(argument_spec={})
module.exit_json(changed=False, length=len(BULK))
`, 0o644)
	f.c.Write(t, env.PlayDir+"/fleet.yml", `
- hosts: fleet
  gather_facts: false
  tasks:
    - name: done
      ansible.builtin.command: sh -c 'echo >/tmp/done; cat /etc/where'
    - name: bulky
      bulky: {}
    - name: as app
      ansible.builtin.command: sh -c 'id -un; cat /etc/where'
      become: true
      become_method: su
      become_user: app
      vars: {ansible_become_password: `+env.AppPassword+`}
    - name: nowhere else
      ansible.builtin.command: ls /sys/class/net
`, 0o644)
	one, oneCame, r := f.play(t, 1, "c1\n")
	if r.Code != 0 {
		t.Fatalf("one container: %v", r)
	}
	var lines strings.Builder
	for i := range fleetSize {
		fmt.Fprintf(&lines, "c%d\n", i+1)
	}
	all, allCame, r := f.play(t, fleetSize, lines.String())
	t.Logf("%v; one container: %d bytes sent, %d at the bastion; %d containers: %d and %d", r.Took.Round(time.Second/10), one, oneCame, fleetSize, all, allCame)
	f.check(t, r, 0)
	// What another container costs is its calls, and the words that set it up.
	const each = 16 << 10
	if limit := one + (fleetSize-1)*each; all > limit {
		t.Errorf("%d bytes for %d containers, want at most %d: one takes %d", all, fleetSize, limit, one)
	}
	if limit := oneCame + (fleetSize-1)*2*each; allCame > limit {
		t.Errorf("%d bytes came to the bastion for %d containers, want at most %d: one takes %d", allCame, fleetSize, limit, oneCame)
	}
	if one < int64(len(random)) {
		t.Errorf("%d bytes for one container: the module alone has more", one)
	}

	_, _, r = f.play(t, fleetSize, lines.String()+"late\ndead ansible_timeout=3\n")
	records := f.check(t, r, 4)
	if rec, ok := parity.Find(records, "late", "done", "ok"); !ok || rec.Result["stdout"] != "this is late" {
		t.Errorf("late: %v", rec.Result)
	}
	if _, ok := parity.Find(records, "dead", "done", "unreachable"); !ok {
		t.Error("dead is not unreachable")
	}
	for _, h := range []*env.Machine{f.gateway.Machine, f.bastion.Machine, f.box.Machine, f.c.Machine, f.containers["c1"].Machine, f.containers["dead"].Machine} {
		if left := h.Quiet(20 * time.Second); left != "" {
			t.Error(left)
		}
	}
	for _, h := range []*env.Host{f.gateway, f.bastion, f.box} {
		if n := strings.Count(h.Log(), "Accepted publickey"); n != 3 {
			t.Errorf("%d connections to %s, want one for each of three runs", n, h.Name)
		}
	}
}

// check looks at the results of all twenty.
func (f fleet) check(t *testing.T, r env.Run, code int) []parity.Record {
	t.Helper()
	records, err := parity.Parse(r.Records)
	if err != nil || r.Code != code {
		t.Fatalf("want code %d: %v %v", code, err, r)
	}
	for i := range fleetSize {
		name := fmt.Sprintf("c%d", i+1)
		for task, want := range map[string]string{"done": "this is " + name, "as app": "app\nthis is " + name, "nowhere else": "lo"} {
			if rec, ok := parity.Find(records, name, task, "ok"); !ok || rec.Result["stdout"] != want {
				t.Errorf("%s: %s: %v, want %q", name, task, rec.Result, want)
			}
		}
		if rec, ok := parity.Find(records, name, "bulky", "ok"); !ok || fmt.Sprint(rec.Result["length"]) != "600000" {
			t.Errorf("%s: %v", name, rec.Result)
		}
	}
	return records
}
