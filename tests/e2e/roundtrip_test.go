//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/proxy"
)

// far is a target that is reached through a proxy on the switch.
type far struct {
	c     *env.Controller
	h     *env.Host
	proxy *proxy.Proxy
	line  string // its inventory
}

func newFar(t *testing.T) far {
	t.Helper()
	l := env.New(t)
	f := far{h: l.Host(t, env.HostOptions{Name: "web1"})}
	f.c = l.Controller(t, env.Versions[0], f.h)
	listener, err := l.Listen(env.ControllerAddr + ":0")
	if err != nil {
		t.Fatal(err)
	}
	f.proxy = proxy.New(proxy.Options{Listener: listener, Dial: func(ctx context.Context) (net.Conn, error) { return l.Dial(ctx, f.h.Addr+":22") }})
	t.Cleanup(f.proxy.Close)
	port := f.proxy.Addr().Port
	f.line = fmt.Sprintf("web1 ansible_host=%s ansible_port=%d ansible_user=deploy ansible_python_interpreter=/usr/bin/python3\n", env.ControllerAddr, port)
	key := strings.SplitN(f.h.KnownKey, " ", 2)[1]
	f.c.Known(t, fmt.Sprintf("[%s]:%d %s", env.ControllerAddr, port, key))
	return f
}

// tasks runs a play of the given tasks through the proxy with a latency, and returns what passed.
func (f far) tasks(t *testing.T, delay time.Duration, text string) (proxy.Counters, env.Run) {
	t.Helper()
	f.c.Write(t, env.PlayDir+"/far.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n"+text, 0o644)
	f.c.InstallSpindle(t)
	f.proxy.SetDelay(delay)
	f.proxy.Reset()
	r := f.c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "far.yml", Inventory: f.line})
	if r.Code != 0 {
		t.Fatalf("play: %v", r)
	}
	n := f.proxy.Counters()
	t.Logf("delay %v: %+v in %v", delay, n, r.Took.Round(time.Millisecond))
	return n, r
}

func loop(n int, module string) string {
	return fmt.Sprintf("    - %s\n      loop: \"{{ range(0, %d) | list }}\"\n", module, n)
}

// TestOneRoundTripPerCall compares loops of different lengths: what a longer one needs more is the price of a call.
func TestOneRoundTripPerCall(t *testing.T) {
	f := newFar(t)
	const few, many = 5, 45
	for _, c := range []struct {
		name, module string
		each         float64 // round trips of one call, at most
	}{
		{"command", "ansible.builtin.command: echo {{ item }}", 1},
		{"command as root", "ansible.builtin.command: echo {{ item }}\n      become: true", 1},
		{"stat", "ansible.builtin.stat: {path: \"/etc/passwd{{ item }}\"}", 1},
		{"a module with module_utils beside the playbook", "tour_adjacent: {word: \"w{{ item }}\"}", 1},
		{"a small file", "ansible.builtin.copy: {content: \"{{ item }}\", dest: \"/home/deploy/f{{ item }}\"}", 2},
		{"a template", "ansible.builtin.template: {src: roles/tour/templates/page.j2, dest: \"/home/deploy/t{{ item }}\"}\n      vars: {tour_words: [a]}", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			short, _ := f.tasks(t, 0, loop(few, c.module))
			long, _ := f.tasks(t, 0, loop(many, c.module))
			each := float64(long.Flights-short.Flights) / (many - few)
			t.Logf("%.2f round trips and %d bytes a call", each, (long.Up+long.Down-short.Up-short.Down)/(many-few))
			if each > c.each+0.05 {
				t.Errorf("%.2f round trips a call, want %.0f", each, c.each)
			}
		})
	}
}

// TestHundredItemsOverAFarLink: at 50 ms one way, a loop of 100 commands costs no more round trips than at 0 ms: one an item, and setting up.
func TestHundredItemsOverAFarLink(t *testing.T) {
	f := newFar(t)
	const oneWay = 50 * time.Millisecond
	text := loop(100, "ansible.builtin.command: echo {{ item }}")
	near, _ := f.tasks(t, 0, loop(1, "ansible.builtin.command: echo {{ item }}"))
	n0, r0 := f.tasks(t, 0, text)
	n50, r50 := f.tasks(t, oneWay, text)
	setup := near.Flights // with one call in it
	if n0.Flights > setup+99+2 || n50.Flights > setup+99+2 {
		t.Errorf("%d round trips at 0 ms, %d at 50 ms; want 99 more than the %d of a run with one item", n0.Flights, n50.Flights, setup)
	}
	// The clock says the same where the machine has nothing else to do.
	t.Logf("the delay cost %.0f round trips' worth of time", float64(r50.Took-r0.Took)/float64(2*oneWay))
	if n0.Connections != 1 || n50.Connections != 1 {
		t.Errorf("%d and %d connections, want one", n0.Connections, n50.Connections)
	}
}

// TestSettingUp: connecting, becoming root and the first task cost what TCP and SSH cost by themselves, and two round trips.
func TestSettingUp(t *testing.T) {
	f := newFar(t)
	// With a latency, what is sent one behind another is one flight, however busy this machine is.
	const oneWay = 20 * time.Millisecond
	// What plain ssh needs for "true" over the same proxy is the price of TCP and SSH.
	f.proxy.SetDelay(oneWay)
	f.proxy.Reset()
	port := fmt.Sprint(f.proxy.Addr().Port)
	if o := f.c.ExecAs(t, env.Operator, "ssh", "-p", port, "deploy@"+env.ControllerAddr, "true"); o.Code != 0 {
		t.Fatalf("ssh: %+v", o)
	}
	plain := f.proxy.Counters()
	// Not everything that is sent is waited for: what counts is what it can be done in.
	least := func(text string) proxy.Counters {
		best, _ := f.tasks(t, oneWay, text)
		for range 2 {
			if n, _ := f.tasks(t, oneWay, text); n.Flights < best.Flights {
				best = n
			}
		}
		return best
	}
	first := least("    - ansible.builtin.command: \"true\"\n")
	root := least("    - ansible.builtin.command: \"true\"\n      become: true\n")
	t.Logf("ssh %+v", plain)
	// ssh's own count has one request in it that waits for an answer: the command.
	if limit := plain.Flights + 2; first.Flights > limit {
		t.Errorf("%d round trips to the first result, want at most %d: plain ssh needs %d", first.Flights, limit, plain.Flights)
	}
	if limit := plain.Flights + 3; root.Flights > limit {
		t.Errorf("%d round trips to the first result as root, want at most %d: plain ssh needs %d", root.Flights, limit, plain.Flights)
	}
}

// TestCallsAreSmall: code is sent once, so what a hundred commands need more than ten is arguments.
//
// The budget for 100 × command is 120 KiB. That takes one compressed stream for the calls of a link, which is not built
// yet: the total is logged here, and what is built is held.
func TestCallsAreSmall(t *testing.T) {
	f := newFar(t)
	const few, many = 10, 100
	short, _ := f.tasks(t, 0, loop(few, "ansible.builtin.command: echo {{ item }}"))
	long, _ := f.tasks(t, 0, loop(many, "ansible.builtin.command: echo {{ item }}"))
	each := (long.Up - short.Up) / (many - few)
	t.Logf("%d bytes to the target for %d commands, %d for each", long.Up, many, each)
	if each > 1200 {
		t.Errorf("%d bytes were sent for each further command, want at most 1200", each)
	}
}
