package env

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Passwords of the accounts on every host.
const (
	PlainPassword   = "pw-plain"
	DeployPassword  = "pw-deploy"
	AdminPassword   = "pw-admin"
	ConsolePassword = "pw-console"
	AppPassword     = "pw-app"
)

// HostOptions describe a target. The zero value is a host over the machine's own "/".
type HostOptions struct {
	Name string   // its host name; also its name in inventories
	Root string   // root file system; "" is "/"
	SSHD []string // more options of sshd, as "Key=value"
	Boot string   // shell commands run on the machine before its sshd starts

	On      []*Segment // where it is plugged in; nil is the lab's Front
	Engines bool       // make room for container engines; the root is then the one that has them
	Systemd bool       // process 1 is systemd, and with it come the bus, polkit and machined; from the same root
}

// Host is a target machine with a real sshd.
type Host struct {
	*Machine
	Addr     string // on its first segment
	KnownKey string // its line in a known_hosts file, with all its addresses

	legs []leg
	spec machineSpec
}

// AddrOn is the host's address on a segment, or "".
func (h *Host) AddrOn(s *Segment) string {
	for _, g := range h.legs {
		if g.segment == s {
			return g.addr
		}
	}
	return ""
}

// Host starts a target on the switch and waits until its sshd listens on port 22.
func (l *Lab) Host(t testing.TB, o HostOptions) *Host {
	t.Helper()
	if o.Root == "" {
		o.Root = "/"
	}
	var inner *layer
	if o.Engines {
		o.Root = RootOf(t, "engines")
		inner = layerOf(t, o.Root, "target")
	}
	if o.Systemd {
		o.Root = RootOf(t, "engines")
		o.Boot += bootSystemd
	}
	if o.On == nil {
		o.On = []*Segment{l.Front()}
	}
	h := &Host{}
	var addrs []string
	for i, segment := range o.On {
		addr, n := segment.address()
		addrs = append(addrs, addr)
		h.legs = append(h.legs, leg{segment, addr, fmt.Sprintf("v%d", n)})
		if i == 0 {
			h.Addr = addr
		}
	}
	key, err := newKey()
	if err != nil {
		t.Fatalf("host key: %v", err)
	}
	h.KnownKey = strings.Join(addrs, ",") + " " + strings.Join(strings.Fields(key.authorized)[:2], " ")
	sshd := "exec /usr/sbin/sshd -D -e -f /etc/ssh/spindle-tests.conf"
	for _, s := range o.SSHD {
		sshd += " -o '" + s + "'"
	}
	argv := []string{"/bin/sh", "-c", o.Boot + "\n" + sshd}
	if o.Systemd {
		argv[2] = o.Boot + "\n(" + sshd + ") &\n" + execSystemd
	}
	h.spec = machineSpec{
		systemd: o.Systemd,

		name:   o.Name,
		layer:  layerOf(t, o.Root, "target"),
		inner:  inner,
		ownNet: true,
		prepare: func(upper string) error {
			if err := os.MkdirAll(filepath.Join(upper, "etc/ssh"), 0o755); err != nil {
				return err
			}
			files := map[string]string{
				"etc/hostname":              o.Name + "\n",
				"etc/hosts":                 "127.0.0.1 localhost\n127.0.1.1 " + o.Name + "\n",
				"etc/ssh/spindle-tests.key": string(key.private),
			}
			for name, text := range files {
				mode := os.FileMode(0o644)
				if strings.HasSuffix(name, ".key") {
					mode = 0o600
				}
				if err := os.WriteFile(filepath.Join(upper, name), []byte(text), mode); err != nil {
					return err
				}
			}
			return nil
		},
		plug: func(pid int) error { return plug(pid, h.legs) },
		argv: argv,
		up:   "Server listening on",
	}
	h.Machine = l.start(t, h.spec)
	if o.Systemd {
		h.systemdUp(t)
	}
	return h
}

// Restart waits until process 1 of the host has ended, which ends the host, and starts it again as the same machine: with the files, keys and
// addresses that it had, but nothing in memory. Nobody else may use the host meanwhile.
func (h *Host) Restart(ctx context.Context) error {
	select {
	case <-h.dead:
	case <-ctx.Done():
		return fmt.Errorf("%s does not go down: %w", h.Name, context.Cause(ctx))
	}
	for _, g := range h.legs {
		_ = g.segment.ip("link", "del", g.port) // the kernel may not have come to it yet
	}
	m, err := h.lab.boot(h.spec, h.dir)
	if err != nil {
		return fmt.Errorf("%s does not come up again: %w", h.Name, err)
	}
	m.log.add(h.log.String())
	h.Machine = m
	return nil
}

// Unplug cuts the host's network cables (or plugs them in again): packets vanish, nothing is closed.
func (h *Host) Unplug(cut bool) error {
	state := "up"
	if cut {
		state = "down"
	}
	for i := range h.legs {
		if err := ipIn(h.pid, "link", "set", fmt.Sprintf("eth%d", i), state); err != nil {
			return err
		}
	}
	return nil
}

// Trust gives an account of the host the key that every account of every host accepts, and the keys of the hosts that it may go on to.
func (h *Host) Trust(t testing.TB, user string, hosts ...*Host) {
	t.Helper()
	u, err := h.lookup(user)
	if err != nil {
		t.Fatal(err)
	}
	known := ""
	for _, other := range hosts {
		known += other.KnownKey + "\n"
	}
	h.put(t, u.home+"/.ssh/id_ed25519", string(userKeys(t).private), 0o600)
	h.put(t, u.home+"/.ssh/known_hosts", known, 0o644)
	h.MustExec(t, "chown", "-R", u.uid+":"+u.gid, u.home+"/.ssh")
}
