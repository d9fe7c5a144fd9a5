//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
	"spindle/tests/proxy"
)

// wherePlay asks where a task runs and as whom.
const wherePlay = `
- hosts: %s
  gather_facts: false
  ignore_unreachable: true
  tasks:
    - name: where
      ansible.builtin.command: sh -c 'echo $(hostname) $(id -un)'
    - name: raw
      ansible.builtin.raw: echo $(hostname) $(id -un)
    - name: administrator
      ansible.builtin.command: id -un
      become: true
`

// assertWhere checks the results of wherePlay.
func assertWhere(t *testing.T, r env.Run, want map[string]string) {
	t.Helper()
	records, err := parity.Parse(r.Records)
	if err != nil || r.Code != 0 || r.Hung {
		t.Fatalf("play: %v %v", err, r)
	}
	for host, where := range want {
		for task, want := range map[string]string{"where": where, "raw": where, "administrator": "root"} {
			rec, _ := parity.Find(records, host, task, "ok")
			if got := strings.TrimSpace(fmt.Sprint(rec.Result["stdout"])); got != want {
				t.Errorf("%s: %s: %q, want %q: %v", host, task, got, want, parity.Of(records, host))
			}
		}
	}
}

// TestTerminalsOfSSHConfigs asks for terminals in the ssh_config of the controller, where the ssh program has to be used, and in that of a machine
// on the way.
func TestTerminalsOfSSHConfigs(t *testing.T) {
	l := env.New(t)
	back := l.Segment(t)
	gate := l.Host(t, env.HostOptions{Name: "gate", On: []*env.Segment{l.Front(), back}})
	web := l.Host(t, env.HostOptions{Name: "web1", On: []*env.Segment{back}})
	gate.Trust(t, "deploy", web)
	gate.MustExec(t, "sh", "-c", "printf 'Host *\n\tRequestTTY force\n' >/home/deploy/.ssh/config; chown deploy: /home/deploy/.ssh/config; chmod 600 /home/deploy/.ssh/config")
	for how, more := range map[string]string{"native": "", "binary": "\tRekeyLimit 1G\n"} { // which the native client leaves to ssh
		t.Run(how, func(t *testing.T) {
			c := l.Controller(t, env.Versions[0], gate, web)
			c.Write(t, "/home/ops/.ssh/config", "Host *\n\tRequestTTY force\n"+more, 0o600)
			c.Write(t, env.PlayDir+"/where.yml", fmt.Sprintf(wherePlay, "all"), 0o644)
			r := c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "where.yml", Args: []string{"-vvv"}, Env: []string{"MITOGEN_LOG_LEVEL=DEBUG"}, Inventory: fmt.Sprintf(
				"gate ansible_host=%s\nweb1 ansible_host=%s mitogen_via=gate\n[all:vars]\nansible_user=deploy\nansible_python_interpreter=/usr/bin/python3\n", gate.Addr, web.Addr)})
			assertWhere(t, r, map[string]string{"gate": "gate deploy", "web1": "web1 deploy"})
			if !strings.Contains(r.Stdout, "by way of "+how) {
				t.Errorf("the connection to the gate is not %s: %v", how, r)
			}
			for _, h := range []*env.Host{gate, web} {
				if left := h.Quiet(10 * time.Second); left != "" {
					t.Error(left)
				}
			}
		})
	}
}

// TestRetries reaches a host whose first connections come to nothing, as often as ansible_ssh_retries says, and no oftener.
func TestRetries(t *testing.T) {
	l := env.New(t)
	h := l.Host(t, env.HostOptions{Name: "web1"})
	c := l.Controller(t, env.Versions[0], h)
	c.Write(t, env.PlayDir+"/where.yml", fmt.Sprintf(wherePlay, "all"), 0o644)
	for _, tt := range []struct {
		name           string
		refused        int64 // connections that end at once
		retries, more  string
		reached        bool
		connections    int64
		configured, in string // [ssh_connection], and the environment
	}{
		{name: "enough", refused: 2, retries: "ansible_ssh_retries=2", reached: true, connections: 3},
		{name: "more than enough", refused: 1, retries: "ansible_ssh_retries=5", reached: true, connections: 2},
		{name: "too few", refused: 100, retries: "ansible_ssh_retries=1", connections: 2},
		{name: "none", refused: 100, connections: 1},
		{name: "by configuration", refused: 1, configured: "1", reached: true, connections: 2},
		{name: "by the environment", refused: 1, in: "ANSIBLE_SSH_RETRIES=1", reached: true, connections: 2},
		{name: "by ssh itself", refused: 2, retries: "ansible_ssh_retries=2", more: "-o RekeyLimit=1G", reached: true, connections: 3},
		{name: "no use with a wrong key", retries: "ansible_ssh_retries=3", more: "-o UserKnownHostsFile=/dev/null", connections: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			front, err := l.Listen(env.ControllerAddr + ":0")
			if err != nil {
				t.Fatal(err)
			}
			var seen atomic.Int64
			p := proxy.New(proxy.Options{Listener: front, Dial: func(ctx context.Context) (net.Conn, error) {
				if seen.Add(1) <= tt.refused {
					return nil, fmt.Errorf("not yet")
				}
				return l.Dial(ctx, h.Addr+":22")
			}})
			defer p.Close()
			port := fmt.Sprint(p.Addr().Port)
			c.Known(t, strings.Replace(h.KnownKey, h.Addr, "["+env.ControllerAddr+"]:"+port, 1))
			settings := map[string]string{}
			if tt.configured != "" {
				settings["retries"] = tt.configured
			}
			r := c.Play(t, env.Play{
				Strategy: "mitogen_linear", Playbook: "where.yml", SSH: settings, Env: strings.Fields(tt.in),
				Inventory: fmt.Sprintf("web1 ansible_host=%s ansible_port=%s ansible_user=deploy ansible_python_interpreter=/usr/bin/python3 ansible_ssh_common_args='%s' %s\n",
					env.ControllerAddr, port, tt.more, tt.retries),
			})
			if n := seen.Load(); tt.reached && n != tt.connections || !tt.reached && n != 3*tt.connections { // there are three tasks
				t.Errorf("%d connections were made, want %d", n, tt.connections)
			}
			if tt.reached {
				assertWhere(t, r, map[string]string{"web1": "web1 deploy"})
			} else if !strings.Contains(r.Stdout, "UNREACHABLE") {
				t.Errorf("the host should be unreachable: %v", r)
			}
		})
	}
}

// TestHostKeysByTheUsersWord reaches hosts whose keys nobody knows, where the user's own words let that pass, and no others.
func TestHostKeysByTheUsersWord(t *testing.T) {
	c, h := one(t, env.Versions[0])
	c.Write(t, env.PlayDir+"/where.yml", fmt.Sprintf(wherePlay, "all"), 0o644)
	c.Write(t, "/home/ops/.ssh/known_hosts", "", 0o600)
	for _, tt := range []struct {
		name, vars, config string
		reached            bool
	}{
		{name: "nothing is said"},
		{name: "arguments", vars: "ansible_ssh_common_args='-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null'", reached: true},
		{name: "arguments, by ssh", vars: "spindle_ssh=binary ansible_ssh_common_args='-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null'", reached: true},
		{name: "ssh_config asks", config: "StrictHostKeyChecking ask\n"},
		{name: "ssh_config", config: "StrictHostKeyChecking accept-new\nUserKnownHostsFile /dev/null\n", reached: true},
		{name: "ssh_config, by ssh", vars: "spindle_ssh=binary", config: "StrictHostKeyChecking accept-new\nUserKnownHostsFile /dev/null\n", reached: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.Write(t, "/home/ops/.ssh/config", tt.config, 0o600)
			r := c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "where.yml", Inventory: line(h, tt.vars)})
			if tt.reached {
				assertWhere(t, r, map[string]string{"web1": "web1 deploy"})
			} else if !strings.Contains(r.Stdout, "UNREACHABLE") || !strings.Contains(r.Stdout, "Host key checking is enabled") {
				t.Errorf("the host should be unreachable: %v", r)
			}
		})
	}
}

// configPlay writes an ssh_config while it runs: of a host that there is no connection to yet, and of one that there is.
const configPlay = `
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.copy:
        dest: ~/.ssh/config
        content: "Host vm\n\tHostName %[1]s\n\tUser deploy\n"
    - ansible.builtin.add_host: {name: vm, ansible_python_interpreter: /usr/bin/python3}
- hosts: vm
  gather_facts: false
  tasks:
    - name: first
      ansible.builtin.command: id -un
    - ansible.builtin.copy:
        dest: ~/.ssh/config
        content: "Host vm\n\tHostName %[1]s\n\tUser admin\n"
      delegate_to: localhost
    - name: still
      ansible.builtin.command: id -un
    - ansible.builtin.meta: reset_connection
    - name: anew
      ansible.builtin.command: id -un
`

// TestConfigsOfTheRun: hosts that a play has made are reached as it has written into ssh_config.
func TestConfigsOfTheRun(t *testing.T) {
	for how, setting := range map[string]string{"native": "auto", "binary": "binary"} {
		t.Run(how, func(t *testing.T) {
			c, h := one(t, env.Versions[0])
			c.Write(t, env.PlayDir+"/made.yml", fmt.Sprintf(configPlay, h.Addr), 0o644)
			r := c.Play(t, env.Play{
				Strategy: "mitogen_linear", Playbook: "made.yml",
				Inventory: "localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n[all:vars]\nspindle_ssh=" + setting + "\n",
			})
			records, err := parity.Parse(r.Records)
			if err != nil || r.Code != 0 || r.Hung {
				t.Fatalf("play: %v %v", err, r)
			}
			for task, want := range map[string]string{"first": "deploy", "still": "deploy", "anew": "admin"} {
				rec, _ := parity.Find(records, "vm", task, "ok")
				if got := strings.TrimSpace(fmt.Sprint(rec.Result["stdout"])); got != want {
					t.Errorf("%s: %q, want %q: %v", task, got, want, r)
				}
			}
		})
	}
}

// TestControlPath goes by the connection that somebody has opened already, where ansible_control_path or an ssh_config names its socket.
func TestControlPath(t *testing.T) {
	const socket = "/home/ops/cp.sock"
	for name, set := range map[string]struct {
		vars, config string
		ssh          map[string]string
		env          []string
	}{
		"variable":    {vars: "ansible_control_path=" + socket},
		"environment": {env: []string{"ANSIBLE_SSH_CONTROL_PATH=" + socket}},
		"ansible.cfg": {ssh: map[string]string{"control_path": socket}},
		"ssh_config":  {config: "Host *\n\tControlPath " + socket + "\n"},
		"arguments":   {vars: `ansible_ssh_common_args="-o ControlPath=` + socket + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			c, h := one(t, env.Versions[0])
			c.Write(t, "/home/ops/.ssh/config", set.config, 0o600)
			c.Write(t, env.PlayDir+"/where.yml", fmt.Sprintf(wherePlay, "all"), 0o644)
			if o := c.ExecAs(t, env.Operator, "sh", "-c", "ssh -o ControlMaster=yes -o ControlPersist=yes -o ControlPath="+socket+" -f -N deploy@"+h.Addr+" >/dev/null 2>&1"); o.Code != 0 {
				t.Fatalf("the master does not start: %+v", o)
			}
			r := c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "where.yml", Inventory: line(h, set.vars), SSH: set.ssh, Env: set.env})
			assertWhere(t, r, map[string]string{"web1": "web1 deploy"})
			if n := strings.Count(h.Log(), "Accepted publickey"); n != 1 {
				t.Errorf("%d connections, want the one that was there: %v", n, r)
			}
			if o := c.ExecAs(t, env.Operator, "ssh", "-o", "ControlPath="+socket, "-O", "check", "deploy@"+h.Addr); o.Code != 0 {
				t.Errorf("the master is gone: %+v", o)
			}
			if o := c.ExecAs(t, env.Operator, "ssh", "-o", "ControlPath="+socket, "-O", "exit", "deploy@"+h.Addr); o.Code != 0 {
				t.Errorf("the master does not end: %+v", o)
			}
			if left := c.Quiet(10*time.Second) + h.Quiet(10*time.Second); left != "" {
				t.Error(left)
			}
		})
	}
}

// TestControlPathAfterReset resets a host in the worker of one task; those of later tasks log in anew, as with stock Ansible, where the shared connection
// takes nothing more. Who has opened it does not matter: it may have been our own ssh, by what the user has set.
func TestControlPathAfterReset(t *testing.T) {
	const socket = "/home/ops/cp.sock"
	for name, set := range map[string]struct {
		vars, config string
		ours         bool
	}{
		"variable":       {vars: "ansible_control_path=" + socket},
		"ssh_config":     {config: "Host *\n\tControlPath " + socket + "\n"},
		"our arguments":  {ours: true, vars: `ansible_ssh_args="-o ControlMaster=auto -o ControlPersist=60s -o ControlPath=` + socket + `"`},
		"our -S":         {ours: true, vars: `ansible_ssh_args="-S ` + socket + ` -o ControlMaster=auto -o ControlPersist=60s"`},
		"our ssh_config": {ours: true, config: "Host *\n\tControlMaster auto\n\tControlPersist 60s\n\tControlPath " + socket + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c, h := one(t, env.Versions[0])
			c.Write(t, "/home/ops/.ssh/config", set.config, 0o600)
			c.Write(t, env.PlayDir+"/reset.yml", `
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.command: printenv SSH_CONNECTION
      register: before
    - ansible.builtin.wait_for_connection:
    - name: after
      ansible.builtin.command: printenv SSH_CONNECTION
      register: after
      failed_when: after.stdout == before.stdout
    - ansible.builtin.debug:
        var: after.stdout
    - name: and again
      ansible.builtin.raw: printenv SSH_CONNECTION
      register: again
      failed_when: again.stdout_lines != after.stdout_lines
`, 0o644)
			if !set.ours {
				if o := c.ExecAs(t, env.Operator, "sh", "-c", "ssh -o ControlMaster=yes -o ControlPersist=yes -o ControlPath="+socket+" -f -N deploy@"+h.Addr+" >/dev/null 2>&1"); o.Code != 0 {
					t.Fatalf("the master does not start: %+v", o)
				}
			}
			r := c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "reset.yml", Inventory: line(h, set.vars)})
			if n := strings.Count(h.Log(), "Accepted publickey"); r.Code != 0 || r.Hung || n != 2 {
				t.Errorf("%d connections: %v", n, r)
			}
			if o := c.ExecAs(t, env.Operator, "ssh", "-o", "ControlPath="+socket, "-O", "exit", "deploy@"+h.Addr); o.Code != 0 {
				t.Errorf("the master does not end: %+v", o)
			}
			if left := c.Quiet(10*time.Second) + h.Quiet(10*time.Second); left != "" {
				t.Error(left)
			}
		})
	}
}

// TestIPv6 reaches a host by its IPv6 addresses, at the usual port and another, and by that of the link, natively and by the ssh program. Each has
// to be found in known_hosts under its own name: with brackets where there is a port, and with the link's name.
func TestIPv6(t *testing.T) {
	const here, there, unknown = "fd00:99::1", "fd00:99::11", "fd00:99::12"
	l := env.New(t)
	h := l.Host(t, env.HostOptions{Name: "web1", SSHD: []string{"Port=22", "Port=2222"}})
	c := l.Controller(t, env.Versions[0], h)
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		env.Unavailable(t, "there is no IPv6")
	}
	h.MustExec(t, "ip", "-6", "addr", "add", there+"/64", "dev", "eth0", "nodad")
	h.MustExec(t, "ip", "-6", "addr", "add", unknown+"/64", "dev", "eth0", "nodad")
	c.MustExec(t, "ip", "-6", "addr", "add", here+"/64", "dev", "br0", "nodad")
	link := strings.Fields(h.MustExec(t, "sh", "-c", "ip -6 -o addr show dev eth0 scope link | awk '{print $4}' | cut -d/ -f1"))
	if len(link) != 1 {
		t.Fatalf("addresses of the link: %v", link)
	}
	onLink := link[0] + "%br0"
	for _, m := range []*env.Machine{c.Machine, h.Machine} { // the kernel first looks for others that have the same ones
		if late := env.Poll(20*time.Second, func() string { return m.Exec(t, "ip", "-6", "addr", "show", "tentative").Stdout }); late != "" {
			t.Fatalf("%s: addresses that are not to be used yet: %s", m.Name, late)
		}
	}
	key := strings.SplitN(h.KnownKey, " ", 2)[1]
	c.Known(t, there+" "+key, "["+there+"]:2222 "+key, onLink+" "+key)
	c.Write(t, env.PlayDir+"/where.yml", fmt.Sprintf(wherePlay, "all"), 0o644)
	hosts := map[string]string{
		"plain": "ansible_host=" + there, "port": "ansible_host=" + there + " ansible_port=2222", "link": "ansible_host=" + onLink,
	}
	for how, more := range map[string]string{"native": "", "binary": "ansible_ssh_common_args='-o RekeyLimit=1G'"} {
		t.Run(how, func(t *testing.T) {
			var inventory strings.Builder
			want := map[string]string{}
			for name, vars := range hosts {
				fmt.Fprintf(&inventory, "%s %s %s ansible_user=deploy ansible_python_interpreter=/usr/bin/python3\n", name, vars, more)
				want[name] = "web1 deploy"
			}
			r := c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "where.yml", Inventory: inventory.String(), Args: []string{"-vvv"}, Env: []string{"MITOGEN_LOG_LEVEL=DEBUG"}})
			assertWhere(t, r, want)
			if strings.Contains(r.Stdout, "by way of binary") != (how == "binary") {
				t.Errorf("not all connections are %s: %v", how, r)
			}
			wrong := c.Play(t, env.Play{
				Strategy: "mitogen_linear", Playbook: "where.yml",
				Inventory: fmt.Sprintf("unknown ansible_host=%s ansible_user=deploy %s\nport ansible_host=%[1]s ansible_port=2222 ansible_user=deploy %[2]s\n", unknown, more),
			})
			if n := strings.Count(wrong.Stdout, "Host key checking is enabled, and SSH reported an unrecognized"); n != 6 { // two hosts, three tasks
				t.Errorf("the same host by an address that is not known: %v", wrong)
			}
			if left := h.Quiet(10 * time.Second); left != "" {
				t.Error(left)
			}
		})
	}
}
