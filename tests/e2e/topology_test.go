//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// chain is controller, gateway, bastion, hosts, each in sight of the next one only, and a machine with containers beside the hosts.
type chain struct {
	c                *env.Controller
	gateway, bastion *env.Host
	hosts            []*env.Host
	inventory        string
}

func newChain(t *testing.T, v env.Version, hosts int) chain {
	t.Helper()
	l := env.New(t)
	middle, back := l.Segment(t), l.Segment(t)
	ch := chain{
		gateway: l.Host(t, env.HostOptions{Name: "gateway", On: []*env.Segment{l.Front(), middle}}),
		bastion: l.Host(t, env.HostOptions{Name: "bastion", On: []*env.Segment{middle, back}}),
	}
	all := []*env.Host{ch.gateway, ch.bastion}
	var lines strings.Builder
	host := func(h *env.Host, addr, more string) {
		fmt.Fprintf(&lines, "%s ansible_host=%s ansible_user=deploy ansible_python_interpreter=/usr/bin/python3 %s\n", h.Name, addr, more)
	}
	host(ch.gateway, ch.gateway.Addr, "")
	host(ch.bastion, ch.bastion.AddrOn(middle), "mitogen_via=gateway")
	for i := range hosts {
		h := l.Host(t, env.HostOptions{Name: fmt.Sprintf("web%d", i+1), On: []*env.Segment{back}})
		ch.hosts, all = append(ch.hosts, h), append(all, h)
		host(h, h.Addr, "mitogen_via=bastion")
	}
	ch.inventory = lines.String()
	ch.c = l.Controller(t, v, all...)
	// Each machine on the way can go on to the next.
	for _, h := range all[:2] {
		h.Trust(t, "deploy", all...)
	}
	return ch
}

// TestNoWayButTheChain makes sure that the other tests of this file test something.
func TestNoWayButTheChain(t *testing.T) {
	ch := newChain(t, env.Versions[0], 1)
	for _, h := range []*env.Host{ch.bastion, ch.hosts[0]} {
		if o := ch.c.ExecAs(t, env.Operator, "ssh", "-o", "ConnectTimeout=2", "deploy@"+h.Addr, "true"); o.Code != 255 {
			t.Errorf("the controller reaches %s: %+v", h.Name, o)
		}
	}
	if o := ch.gateway.ExecAs(t, "deploy", "ssh", "-o", "ConnectTimeout=2", "deploy@"+ch.hosts[0].Addr, "true"); o.Code != 255 {
		t.Errorf("the gateway reaches the host: %+v", o)
	}
	o := ch.c.ExecAs(t, env.Operator, "ssh", "deploy@"+ch.gateway.Addr, "ssh", "deploy@"+ch.bastion.Addr, "ssh", "deploy@"+ch.hosts[0].Addr, "hostname")
	if o.Code != 0 || strings.TrimSpace(o.Stdout) != "web1" {
		t.Errorf("by way of all of them: %+v", o)
	}
}

// TestThroughGatewayAndBastion plays on hosts that are two machines away: one connection between each two neighbours, whatever is done.
func TestThroughGatewayAndBastion(t *testing.T) {
	for _, v := range everyVersion() {
		t.Run(v.Name, func(t *testing.T) {
			ch := newChain(t, v, 2)
			ch.c.Write(t, env.PlayDir+"/far.yml", `
- hosts: web1:web2
  gather_facts: false
  tasks:
    - name: who
      ansible.builtin.command: sh -c 'hostname; id -un'
    - name: root
      ansible.builtin.command: id -un
      become: true
    - name: large
      ansible.builtin.copy: {content: "{{ 'x' * 3000000 }}", dest: /tmp/large}
    - name: fetch
      ansible.builtin.fetch: {src: /tmp/large, dest: "fetched/{{ inventory_hostname }}", flat: true}
    - name: delegated
      ansible.builtin.command: hostname
      delegate_to: bastion
    - name: remove
      ansible.builtin.file: {path: /tmp/large, state: absent}
`, 0o644)
			r := ch.c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "far.yml", Inventory: ch.inventory})
			t.Logf("%v", r.Took.Round(time.Second/10))
			records, err := parity.Parse(r.Records)
			if err != nil || r.Code != 0 {
				t.Fatalf("play: %v %v", err, r)
			}
			for _, h := range ch.hosts {
				for task, want := range map[string]string{"who": h.Name + "\ndeploy", "root": "root", "delegated": "bastion"} {
					if rec, _ := parity.Find(records, h.Name, task, "ok"); rec.Result["stdout"] != want {
						t.Errorf("%s: %s: %v, want %q", h.Name, task, rec.Result["stdout"], want)
					}
				}
				if b, err := os.ReadFile(ch.c.Root() + env.PlayDir + "/fetched/" + h.Name); err != nil || len(b) != 3000000 {
					t.Errorf("fetched from %s: %d bytes, %v", h.Name, len(b), err)
				}
			}
			for _, h := range append([]*env.Host{ch.gateway, ch.bastion}, ch.hosts...) {
				if n := strings.Count(h.Log(), "Accepted publickey"); n != 1 {
					t.Errorf("%d connections to %s, want one", n, h.Name)
				}
				if left := h.Quiet(10 * time.Second); left != "" {
					t.Error(left)
				}
			}
			if left := ch.c.Quiet(10 * time.Second); left != "" {
				t.Error(left)
			}
		})
	}
}

// TestTheWayBreaks cuts the chain at each of its machines, under a task at its end.
func TestTheWayBreaks(t *testing.T) {
	for _, c := range []struct {
		name string
		cut  func(chain) error
	}{
		{"the gateway crashes", func(ch chain) error { ch.gateway.Crash(); return nil }},
		{"the bastion crashes", func(ch chain) error { ch.bastion.Crash(); return nil }},
		{"the bastion's cables are out", func(ch chain) error { return ch.bastion.Unplug(true) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			ch := newChain(t, env.Versions[0], 1)
			ch.c.Write(t, env.PlayDir+"/hold.yml", "- hosts: web1\n  gather_facts: false\n  tasks:\n    - ansible.builtin.command: sleep 1000\n      become: true\n", 0o644)
			ch.c.InstallSpindle(t)
			keepalive := " mitogen_ssh_keepalive_interval=1 mitogen_ssh_keepalive_count=3\n"
			cut := make(chan error, 1)
			r := ch.c.Play(t, env.Play{
				Strategy: "mitogen_linear", Playbook: "hold.yml", Inventory: strings.ReplaceAll(ch.inventory, "\n", keepalive), Limit: time.Minute,
				Started: func() {
					go func() {
						late := env.Poll(30*time.Second*env.Patience(), func() string {
							for _, p := range ch.hosts[0].Processes() {
								if p.Matches("sleep 1000") {
									return ""
								}
							}
							return "the task did not start"
						})
						if late != "" {
							cut <- fmt.Errorf("%s", late)
							return
						}
						cut <- c.cut(ch)
					}()
				},
			})
			if err := <-cut; err != nil {
				t.Errorf("%v: %v", err, r)
			}
			if r.Hung || r.Code != 4 || !strings.Contains(r.Stdout, "UNREACHABLE") {
				t.Errorf("the host should be unreachable: %v", r)
			}
			// An sshd whose client has gone without a word may wait for days. Nothing of ours does.
			for _, m := range []*env.Machine{ch.gateway.Machine, ch.bastion.Machine, ch.hosts[0].Machine, ch.c.Machine} {
				left := env.Poll(30*time.Second, func() string {
					said := ""
					for _, p := range m.Processes() {
						if !p.Runs("sshd") {
							said += fmt.Sprintf("%s: still running: %v: %s\n", m.Name, p, p.Waiting())
						}
					}
					return said
				})
				if left != "" {
					t.Error(left)
				}
			}
		})
	}
}
