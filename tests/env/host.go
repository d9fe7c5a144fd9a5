package env

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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
}

// Host is a target machine with a real sshd.
type Host struct {
	*Machine
	Addr     string // on the switch
	KnownKey string // its line in a known_hosts file
}

// Host starts a target on the switch and waits until its sshd listens on port 22.
func (l *Lab) Host(t testing.TB, o HostOptions) *Host {
	t.Helper()
	if o.Root == "" {
		o.Root = "/"
	}
	l.mu.Lock()
	n := l.nextAddr
	l.nextAddr++
	l.mu.Unlock()
	h := &Host{Addr: fmt.Sprintf("10.99.%d.%d", n/250, n%250)}
	key, err := newKey()
	if err != nil {
		t.Fatalf("host key: %v", err)
	}
	h.KnownKey = h.Addr + " " + strings.Join(strings.Fields(key.authorized)[:2], " ")
	sshd := "exec /usr/sbin/sshd -D -e -f /etc/ssh/spindle-tests.conf"
	for _, s := range o.SSHD {
		sshd += " -o '" + s + "'"
	}
	h.Machine = l.start(t, machineSpec{
		name:   o.Name,
		layer:  layerOf(t, o.Root, "target"),
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
		plug: func(pid int) error {
			leg := "v" + strconv.Itoa(n)
			for _, step := range [][]string{
				{"link", "add", leg, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(pid)},
				{"link", "set", leg, "master", "br0", "up"},
			} {
				if err := l.ip(step...); err != nil {
					return err
				}
			}
			for _, step := range []string{"link set lo up", "addr add " + h.Addr + "/16 dev eth0", "link set eth0 up"} {
				if err := ipIn(pid, strings.Fields(step)...); err != nil {
					return err
				}
			}
			return nil
		},
		argv: []string{"/bin/sh", "-c", o.Boot + "\n" + sshd},
		up:   "Server listening on",
	})
	return h
}

// Unplug cuts the host's network cable (or plugs it in again): packets vanish, nothing is closed.
func (h *Host) Unplug(cut bool) error {
	state := "up"
	if cut {
		state = "down"
	}
	return ipIn(h.pid, "link", "set", "eth0", state)
}
