package env

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Segment is an Ethernet switch: a network namespace with a bridge in it. The first one of a lab is the one that its controllers are on;
// between segments, there is no way but a host with a leg in each, and hosts do not forward.
type Segment struct {
	lab  *Lab
	pid  int // the process that keeps the namespace alive
	net  string
	bits int
	next int // the next free address
}

// newSwitch makes a namespace with a bridge.
func (l *Lab) newSwitch(t testing.TB, net string, bits int) *Segment {
	t.Helper()
	cmd := exec.Command("sleep", "infinity")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL, Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("switch: %v", err)
	}
	s := &Segment{lab: l, pid: cmd.Process.Pid, net: net, bits: bits, next: 11}
	go func() { _ = cmd.Wait() }()
	l.mu.Lock()
	l.segments = append(l.segments, s)
	l.mu.Unlock()
	for _, step := range []string{"link set lo up", "link add br0 type bridge", "link set br0 up"} {
		if err := s.ip(strings.Fields(step)...); err != nil {
			t.Fatalf("switch: %v", err)
		}
	}
	return s
}

// Segment adds a switch to the lab that controllers have no way to. Hosts are plugged into it with [HostOptions].On.
func (l *Lab) Segment(t testing.TB) *Segment {
	t.Helper()
	l.mu.Lock()
	n := len(l.segments)
	l.mu.Unlock()
	return l.newSwitch(t, fmt.Sprintf("10.98.%d", n), 24)
}

// Front is the segment that the lab's controllers are on.
func (l *Lab) Front() *Segment { return l.segments[0] }

// ip runs ip(8) in the namespace of the switch.
func (s *Segment) ip(args ...string) error { return ipIn(s.pid, args...) }

// address takes the next free address.
func (s *Segment) address() (addr string, n int) {
	s.lab.mu.Lock()
	defer s.lab.mu.Unlock()
	n = s.next
	s.next++
	if s.bits == 16 {
		return fmt.Sprintf("%s.%d.%d", s.net, n/250, n%250), n
	}
	return fmt.Sprintf("%s.%d", s.net, n), n
}

// leg is a host's socket in a segment.
type leg struct {
	segment *Segment
	addr    string
	port    string // the name of its end on the switch
}

// plug connects the machine of a process to the segments, in order: eth0, eth1...
func plug(pid int, legs []leg) error {
	if err := ipIn(pid, "link", "set", "lo", "up"); err != nil {
		return err
	}
	for i, g := range legs {
		eth := fmt.Sprintf("eth%d", i)
		if err := g.segment.ip("link", "add", g.port, "type", "veth", "peer", "name", eth, "netns", fmt.Sprint(pid)); err != nil {
			return err
		}
		if err := g.segment.ip("link", "set", g.port, "master", "br0", "up"); err != nil {
			return err
		}
		for _, step := range []string{
			fmt.Sprintf("addr add %s/%d dev %s", g.addr, g.segment.bits, eth),
			"link set " + eth + " up",
		} {
			if err := ipIn(pid, strings.Fields(step)...); err != nil {
				return err
			}
		}
	}
	return nil
}
