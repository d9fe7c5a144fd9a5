package target

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The two ends of a line, and the network that is behind the target's. All of it exists in namespaces only.
const (
	nearAddress  = "10.97.0.1"
	farAddress   = "10.97.0.2"
	hostsNetwork = "10.98.0.0/16"
	nearHardware = "02:00:00:00:00:01"
	farHardware  = "02:00:00:00:00:02"
	// Device is the controller's end of a line.
	Device = "line0"
)

// HostAddress is the address of the n-th host that a machine is, from 1.
func HostAddress(n int) string { return fmt.Sprintf("10.98.%d.%d", n/250, n%250+1) }

// lineVariable asks a program that calls ServeIfAsked to be a line. It holds the LineOptions as JSON.
const lineVariable = "SPINDLE_BENCHMARK_LINE"

// LineOptions says what a line is like.
type LineOptions struct {
	Target int           `json:"target"` // the process whose network is at the other end
	Delay  time.Duration `json:"delay"`  // one way, of every packet
	Rate   int           `json:"rate"`   // bytes a second each way; 0 is unlimited
}

// Line is a network namespace for controllers with a cable to a machine. Its process keeps both.
//
// Without delay and limit the cable is the kernel's own (veth). Otherwise it is a pair of TAP devices with this program between, which holds
// every packet back for as long as the line is long. What is under way is not limited, so the delay alone limits no throughput: that is up to
// the windows of TCP and SSH, as it is on a real line. Both ends know each other's hardware address, since no real line is so long that it would take
// a round trip to ask for that.
type Line struct{ *child }

// SpawnLine starts a line.
func SpawnLine(ctx context.Context, options LineOptions) (*Line, error) {
	attributes := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	c, _, err := startChild(ctx, childSpec{what: "line", variable: lineVariable, wish: options, attributes: attributes})
	if err != nil {
		return nil, err
	}
	return &Line{child: c}, nil
}

// Network is the process whose network namespace a controller has to be in.
func (l *Line) Network() int { return l.PID() }

// Enter is what to put before a command so that it runs at the controller's end.
func (l *Line) Enter() []string {
	return []string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", l.Network()), "--"}
}

// serveLine is the line's process.
func serveLine(wish string) error {
	var o LineOptions
	if err := json.Unmarshal([]byte(wish), &o); err != nil {
		return err
	}
	far := []string{"nsenter", "-t", strconv.Itoa(o.Target), "-n", "--"}
	if o.Delay == 0 && o.Rate == 0 {
		if err := ip(nil, "link add "+Device+" type veth peer name eth0 netns "+strconv.Itoa(o.Target)); err != nil {
			return err
		}
	} else if err := startCable(o); err != nil {
		return err
	}
	for _, one := range []struct {
		in   []string
		args string
	}{
		{nil, "link set lo up"},
		{nil, "link set " + Device + " address " + nearHardware},
		{far, "link set eth0 address " + farHardware},
		{nil, "addr add " + nearAddress + "/30 dev " + Device},
		{nil, "link set " + Device + " txqueuelen 10000 up"},
		{far, "addr add " + farAddress + "/30 dev eth0"},
		{far, "link set eth0 txqueuelen 10000 up"},
		{nil, "neigh replace " + farAddress + " lladdr " + farHardware + " dev " + Device + " nud permanent"},
		{far, "neigh replace " + nearAddress + " lladdr " + nearHardware + " dev eth0 nud permanent"},
		{nil, "route add " + hostsNetwork + " via " + farAddress},
	} {
		if err := ip(one.in, one.args); err != nil {
			return err
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(announcement{}); err != nil {
		return err
	}
	io.Copy(io.Discard, os.Stdin)
	return nil
}

// ip runs ip(8) with words, behind a prefix.
func ip(prefix []string, words string) error {
	argv := append(append([]string{}, prefix...), append([]string{"ip"}, strings.Fields(words)...)...)
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
