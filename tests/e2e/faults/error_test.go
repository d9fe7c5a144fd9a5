//go:build e2e

package faults

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
	"spindle/tests/proxy"
)

// slack is what Ansible itself, on a busy machine, may take on top of a deadline.
const slack = 15 * time.Second

// trouble is one way in which a host can be bad.
type trouble struct {
	name  string
	line  func(t *testing.T, s *scene) string // inventory variables of the bad host
	tasks string                              // "" is one command
	event string                              // what its result has to be
	text  string                              // regular expression on its message
	limit time.Duration                       // from the start of the run
	not   []string                            // what must not be in any output
}

// bad is a third host, over the same root, with something wrong with it.
func bad(t *testing.T, s *scene, o env.HostOptions) *env.Host {
	t.Helper()
	o.Name = "bad"
	h := s.lab.Host(t, o)
	s.controller.Known(t, s.hosts[0].KnownKey, s.hosts[1].KnownKey, h.KnownKey)
	return h
}

func at(h *env.Host, more string) string { return "ansible_host=" + h.Addr + " " + more }

// fixed makes a function of a trouble that needs no machine of its own.
func fixed(more string) func(*testing.T, *scene) string {
	return func(_ *testing.T, s *scene) string { return at(s.hosts[0], more) }
}

const becomeTask = "    - ansible.builtin.command: id\n      become: true\n"

var troubles = []trouble{
	{
		name: "wrong password", line: fixed("ansible_user=plain ansible_password=wrong-secret ansible_ssh_private_key_file=/dev/null"),
		event: "unreachable", text: `SSH password is incorrect`, limit: 10 * time.Second, not: []string{"wrong-secret"},
	},
	{
		name: "no password given", line: fixed("ansible_user=plain ansible_ssh_private_key_file=/dev/null"),
		event: "unreachable", text: `SSH authentication is incorrect|SSH password was requested, but none specified`, limit: 10 * time.Second,
	},
	{
		name: "unknown host key", line: func(t *testing.T, s *scene) string {
			h := s.lab.Host(t, env.HostOptions{Name: "bad"}) // and no line in known_hosts
			return at(h, "")
		},
		event: "unreachable", text: `Host key checking is enabled, and SSH reported an unrecognized or mismatching host key\.`, limit: 10 * time.Second,
	},
	{
		name: "changed host key", line: func(t *testing.T, s *scene) string {
			h := s.lab.Host(t, env.HostOptions{Name: "bad"})
			other := strings.SplitN(s.hosts[0].KnownKey, " ", 2)[1]
			s.controller.Known(t, s.hosts[0].KnownKey, s.hosts[1].KnownKey, h.Addr+" "+other)
			return at(h, "")
		},
		event: "unreachable", text: `Host key checking is enabled, and SSH reported an unrecognized or mismatching host key\.`, limit: 10 * time.Second,
	},
	{
		name: "refused", line: func(*testing.T, *scene) string { return "ansible_host=" + env.RefusedAddr },
		event: "unreachable", text: `(?i)refused`, limit: 10 * time.Second,
	},
	{
		name: "nobody answers", line: func(*testing.T, *scene) string { return "ansible_host=" + env.BlackholeAddr + " ansible_timeout=3" },
		event: "unreachable", text: `Connection timed out\.`, limit: 3 * time.Second,
	},
	{
		name: "a server that says nothing", line: func(t *testing.T, s *scene) string {
			l, err := s.lab.Listen(env.ControllerAddr + ":0") // the kernel accepts, nobody speaks
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			return fmt.Sprintf("ansible_host=%s ansible_port=%d ansible_timeout=3", env.ControllerAddr, l.Addr().(*net.TCPAddr).Port)
		},
		event: "unreachable", text: `Connection timed out\.`, limit: 3 * time.Second,
	},
	{
		name: "no Python", line: func(t *testing.T, s *scene) string {
			return at(bad(t, s, env.HostOptions{Boot: "rm -f /usr/bin/python* /usr/local/bin/python*"}), "ansible_python_interpreter=auto_silent")
		},
		event: "failed", text: `(?i)interpreter`, limit: 15 * time.Second,
	},
	{
		name: "the interpreter given is not there", line: fixed("ansible_python_interpreter=/opt/none/bin/python"),
		event: "failed", text: `(?i)interpreter`, limit: 15 * time.Second,
	},
	{
		name: "sudo wants a password", line: fixed("ansible_user=admin"), tasks: becomeTask,
		event: "failed", text: `sudo password is required`, limit: 10 * time.Second,
	},
	{
		name: "sudo password wrong", line: fixed("ansible_user=admin ansible_become_password=wrong-secret"), tasks: becomeTask,
		event: "failed", text: `sudo password is incorrect`, limit: 15 * time.Second, not: []string{"wrong-secret"},
	},
	{
		name: "no sudo", line: fixed("ansible_user=plain ansible_become_password=pw-plain"), tasks: becomeTask,
		event: "failed", text: `(?i)sudo`, limit: 15 * time.Second, not: []string{"pw-plain"},
	},
	{
		name: "sudo password right", line: fixed("ansible_user=admin ansible_become_password=pw-admin"), tasks: becomeTask,
		event: "ok", limit: 15 * time.Second,
	},
	{
		name: "sudo on a terminal only", line: fixed("ansible_user=console"), tasks: becomeTask,
		event: "ok", limit: 15 * time.Second,
	},
	{
		name: "disk full", line: func(t *testing.T, s *scene) string {
			return at(bad(t, s, env.HostOptions{Boot: "mkdir /mnt/full; mount -t tmpfs -o size=64k,mode=777 tmpfs /mnt/full; echo old >/mnt/full/file"}), "")
		},
		tasks: "    - ansible.builtin.copy: {content: \"{{ 'x' * 1000000 }}\", dest: /mnt/full/file}\n",
		event: "failed", text: `(?i)No space left on device`, limit: 15 * time.Second,
	},
	{
		name: "home is full", line: func(t *testing.T, s *scene) string {
			return at(bad(t, s, env.HostOptions{Boot: "mount -t tmpfs -o size=64k,mode=755 tmpfs /home/deploy; install -d -m 700 /home/deploy/.ssh; cp /root/.ssh/authorized_keys /home/deploy/.ssh/; " +
				"chown -R deploy:deploy /home/deploy; head -c 100000 /dev/zero >/home/deploy/fill || true"}), "")
		},
		tasks: "    - ansible.builtin.copy: {content: \"{{ 'x' * 300000 }}\", dest: /tmp/file}\n    - ansible.builtin.command: wc -c /tmp/file\n",
		event: "failed", text: `/.*: No space left on device`, limit: 20 * time.Second,
	},
	{
		name: "everything is read-only", line: func(t *testing.T, s *scene) string {
			return at(bad(t, s, env.HostOptions{Boot: "mount -o remount,ro /; mount -o remount,ro /tmp; mount -o remount,ro /var/tmp; mount -o remount,ro /dev/shm"}), "")
		},
		tasks: "    - ansible.builtin.command: echo still works\n", event: "ok", limit: 15 * time.Second,
	},
	{
		name: "destination is read-only", line: func(t *testing.T, s *scene) string {
			return at(bad(t, s, env.HostOptions{Boot: "mkdir /mnt/ro; mount -t tmpfs -o ro tmpfs /mnt/ro"}), "")
		},
		tasks: "    - ansible.builtin.copy: {content: x, dest: /mnt/ro/file}\n      become: true\n",
		event: "failed", text: `(?i)read-only|not writable`, limit: 15 * time.Second,
	},
	{
		name: "a login that ends at once", line: shell("exit 3"),
		event: "unreachable", text: `EOF on stream; last 100 lines received:`, limit: 10 * time.Second,
	},
	{
		name: "a login that says why it ends", line: shell("echo 'this account is closed for the winter'; exit 3"),
		event: "unreachable", text: `closed for the winter`, limit: 10 * time.Second,
	},
	{
		name: "a login that hangs", line: shell("sleep 1000", "ansible_timeout=4"),
		event: "unreachable", text: `Connection timed out\.`, limit: 4 * time.Second,
	},
	{
		name: "a login that prints without end", line: shell("exec yes garbage", "ansible_timeout=4"),
		event: "unreachable", text: ``, limit: 4 * time.Second,
	},
	{
		name: "a banner before the work", line: shell("echo 'Welcome!'; echo 'to this machine' >&2; exec /bin/sh -c \"$2\""),
		event: "ok", limit: 15 * time.Second,
	},
	{
		name: "garbage instead of an agent", line: shell("head -c 200000 /dev/urandom; sleep 1000", "ansible_timeout=4"),
		event: "unreachable", text: ``, limit: 4 * time.Second,
	},
	{
		name: "garbage behind the marker", line: shell(marker+"head -c 200000 /dev/urandom; sleep 1000", "ansible_timeout=4"),
		event: "unreachable", text: ``, limit: 4 * time.Second,
	},
	{
		name: "a frame of 4 GiB behind the marker", line: shell(marker+`printf '\377\377\377\377'; head -c 1000000 /dev/zero; sleep 1000`, "ansible_timeout=4"),
		event: "unreachable", text: ``, limit: 4 * time.Second,
	},
	{
		name: "an agent that ends in the middle of its first frame", line: shell(marker+`printf '\000\000\001\000\001'; exit 0`, "ansible_timeout=4"),
		event: "unreachable", text: ``, limit: 10 * time.Second,
	},
	{
		name: "an agent that says nothing", line: shell(marker+"sleep 1000", "ansible_timeout=4"),
		event: "unreachable", text: `Connection timed out\.`, limit: 4 * time.Second,
	},
}

// marker makes a login shell print the line behind which frames are expected, as the first stage would: the nonce is in its command.
const marker = `n=$(printf %s "$2" | sed -n 's/.*SPINDLE1 \([A-Za-z0-9_.-]*\).*/\1/p' | head -n 1); echo "SPINDLE1 $n"; `

// shell makes a host whose account has a login shell of its own. The shell gets -c and the command, as sshd does it.
func shell(script string, more ...string) func(*testing.T, *scene) string {
	return func(t *testing.T, s *scene) string {
		quoted := "'" + strings.ReplaceAll("#!/bin/sh\n"+script+"\n", "'", `'\''`) + "'"
		h := bad(t, s, env.HostOptions{Boot: "printf %s " + quoted + " >/usr/local/bin/odd; chmod 755 /usr/local/bin/odd; usermod -s /usr/local/bin/odd deploy"})
		return at(h, strings.Join(more, " "))
	}
}

// TestTroubles runs a play on a good and a bad host. The bad one gets the right error in time, the good one does its work, nothing stays.
func TestTroubles(t *testing.T) {
	s := newScene(t)
	s.controller.InstallSpindle(t)
	s.sweep(t)
	for _, c := range troubles {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			line := c.line(t, s)
			tasks := c.tasks
			if tasks == "" {
				tasks = "    - ansible.builtin.command: echo works\n"
			}
			// Both hosts have every task; what is troublesome is done by the bad one.
			s.controller.Write(t, env.PlayDir+"/trouble.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n  - name: trouble\n"+
				"    when: inventory_hostname == 'bad'\n    block:\n"+tasks+"  - name: good\n    ansible.builtin.command: echo good\n", 0o644)
			inventory := "bad " + line + "\ngood ansible_host=" + s.hosts[1].Addr + "\n[all:vars]\n"
			if !strings.Contains(line, "ansible_user=") {
				inventory += "ansible_user=deploy\n"
			}
			if strings.Contains(line, "ansible_user=") {
				inventory = strings.Replace(inventory, "good ", "good ansible_user=deploy ", 1)
			}
			if !strings.Contains(line, "ansible_python_interpreter") {
				inventory += "ansible_python_interpreter=/usr/bin/python3\n"
			}
			run := s.controller.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "trouble.yml", Inventory: inventory, Limit: 90 * time.Second})
			judge(t, c, run)
			if left := s.leftovers(t, settle); left != "" {
				t.Errorf("left behind:\n%s", left)
			}
			for _, secret := range c.not {
				if strings.Contains(run.Stdout+run.Stderr, secret) {
					t.Errorf("the output has the secret %q", secret)
				}
			}
			if t.Failed() {
				t.Log(run)
			}
			s.sweep(t)
		})
	}
}

// judge compares the results with what has to be.
func judge(t *testing.T, c trouble, run env.Run) {
	t.Helper()
	records, err := parity.Parse(run.Records)
	if err != nil {
		t.Fatal(err)
	}
	if run.Hung {
		t.Errorf("the run hung")
	}
	if limit := (c.limit + slack) * env.Patience(); run.Took > limit {
		t.Errorf("the run took %v, want at most %v", run.Took, limit)
	}
	of := parity.Of(records, "bad")
	var last parity.Record
	for _, r := range of {
		if r.Event != "recap" && r.Task != "good" {
			last = r
		}
	}
	msg, _ := last.Result["msg"].(string)
	if last.Event != c.event {
		t.Errorf("the bad host is %q (%s), want %q", last.Event, msg, c.event)
	}
	if !regexp.MustCompile(c.text).MatchString(msg) {
		t.Errorf("its message is %q, want %q", msg, c.text)
	}
	if strings.Contains(msg, "Traceback") {
		t.Errorf("its message has a traceback: %s", msg)
	}
	t.Logf("%v: %s: %.200q", run.Took.Round(time.Second/10), last.Event, msg)
	good := parity.Done(records, "good")
	if len(good) == 0 || fmt.Sprint(good[0].Result["stdout"]) != "good" {
		t.Errorf("the good host did not do its work: %v", good)
	}
}

// TestOldFileStaysWhenTheDiskIsFull looks at the destination, and at its directory, behind a copy that had no room.
func TestOldFileStaysWhenTheDiskIsFull(t *testing.T) {
	s := newScene(t)
	h := bad(t, s, env.HostOptions{Boot: "mkdir /mnt/full; mount -t tmpfs -o size=2m,mode=777 tmpfs /mnt/full; echo old >/mnt/full/file; chown deploy /mnt/full/file"})
	for name, become := range map[string]string{"small": "", "large": "", "large as root": "      become: true\n"} {
		size := map[bool]int{true: 3000000, false: 100000}[strings.HasPrefix(name, "large")]
		if name == "small" {
			h.MustExec(t, "sh", "-c", "head -c 2000000 /dev/zero >/mnt/full/filler; true")
		}
		s.controller.Write(t, env.PlayDir+"/full.yml", fmt.Sprintf("- hosts: bad\n  gather_facts: false\n  tasks:\n"+
			"    - ansible.builtin.copy: {content: \"{{ 'x' * %d }}\", dest: /mnt/full/file}\n%s", size, become), 0o644)
		run := s.controller.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "full.yml", Inventory: "bad " + at(h, "ansible_user=deploy ansible_python_interpreter=/usr/bin/python3\n")})
		if run.Code != 2 || !strings.Contains(run.Stdout, "No space left on device") {
			t.Errorf("%s: %v", name, run)
		}
		if got := h.MustExec(t, "sh", "-c", "cd /mnt/full; cat file; ls -A | grep -v filler"); got != "old\nfile\n" {
			t.Errorf("%s: the directory has %q", name, got)
		}
		h.MustExec(t, "sh", "-c", "rm -f /mnt/full/filler")
	}
}

// network runs a play of one slow task on a host behind a proxy, breaks the network while it runs, and returns what came of it.
func network(t *testing.T, s *scene, vars string, harm func(p *proxy.Proxy, h *env.Host)) (env.Run, []parity.Record, time.Duration) {
	t.Helper()
	h := s.hosts[0]
	l, err := s.lab.Listen(env.ControllerAddr + ":0")
	if err != nil {
		t.Fatal(err)
	}
	p := proxy.New(proxy.Options{Listener: l, Dial: func(ctx context.Context) (net.Conn, error) { return s.lab.Dial(ctx, h.Addr+":22") }})
	t.Cleanup(p.Close)
	key := strings.SplitN(h.KnownKey, " ", 2)[1]
	s.controller.Known(t, s.hosts[1].KnownKey, fmt.Sprintf("[%s]:%d %s", env.ControllerAddr, p.Addr().Port, key))
	s.controller.InstallSpindle(t)
	s.controller.Write(t, env.PlayDir+"/network.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n"+
		"    - ansible.builtin.command: echo before\n"+
		"    - ansible.builtin.command: sleep {{ nap }}\n      ignore_unreachable: true\n"+
		"    - ansible.builtin.command: echo after\n", 0o644)
	inventory := fmt.Sprintf("web1 ansible_host=%s ansible_port=%d nap=61 %s\nweb2 ansible_host=%s nap=1\n[all:vars]\nansible_user=deploy\nansible_python_interpreter=/usr/bin/python3\n",
		env.ControllerAddr, p.Addr().Port, vars, s.hosts[1].Addr)
	broken := make(chan time.Time, 1)
	run := s.controller.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "network.yml", Inventory: inventory, Limit: 2 * time.Minute, Started: func() {
		go func() {
			defer close(broken)
			late := env.Poll(time.Minute*env.Patience(), func() string {
				for _, q := range h.Processes() {
					if q.Runs("sleep") && q.Matches("sleep 61") {
						return ""
					}
				}
				return "no task"
			})
			if late == "" {
				harm(p, h)
				broken <- time.Now()
			}
		}()
	}})
	at, ok := <-broken
	if !ok {
		t.Fatalf("the task never ran: %v", run)
	}
	records, err := parity.Parse(run.Records)
	if err != nil {
		t.Fatal(err)
	}
	return run, records, time.Since(at)
}

// TestNetworkFaults breaks the connection in the middle of a task: the task is unreachable in time, the next one dials anew, the other
// host does not notice, and the target is cleaned.
func TestNetworkFaults(t *testing.T) {
	for _, c := range []struct {
		name, vars string
		harm       func(p *proxy.Proxy, h *env.Host)
		limit      time.Duration // from the fault to the end of the run
		again      bool          // whether the next task gets through
		closed     bool          // whether the target notices: it cannot know that a silent network will not come back
	}{
		{"cut", "", func(p *proxy.Proxy, _ *env.Host) { p.Cut() }, 5 * time.Second, true, true},
		{"garbled", "mitogen_ssh_keepalive_interval=1 mitogen_ssh_keepalive_count=3", func(p *proxy.Proxy, _ *env.Host) {
			p.Garble(proxy.Down, 0)
		}, 20 * time.Second, false, true},
		{"silent", "mitogen_ssh_keepalive_interval=1 mitogen_ssh_keepalive_count=3 ansible_timeout=4", func(p *proxy.Proxy, _ *env.Host) { p.Stall(true) }, 20 * time.Second, false, false},
		{"the machine's cable is out", "mitogen_ssh_keepalive_interval=1 mitogen_ssh_keepalive_count=3 ansible_timeout=4", func(_ *proxy.Proxy, h *env.Host) { _ = h.Unplug(true) }, 20 * time.Second, false, false},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			s := newScene(t)
			s.controller.InstallSpindle(t)
			s.snapshot(t)
			run, records, took := network(t, s, c.vars, c.harm)
			if limit := (c.limit + slack) * env.Patience(); run.Hung || took > limit {
				t.Errorf("the run ended %v after the fault, want at most %v", took, limit)
			}
			var events []string
			for _, r := range parity.Of(records, "web1") {
				events = append(events, r.Event)
			}
			want := "[ok unreachable ok recap]"
			if !c.again {
				want = "[ok unreachable unreachable recap]"
			}
			if got := fmt.Sprint(events); got != want {
				t.Errorf("results of the host: %s, want %s", got, want)
			}
			if r, ok := parity.Find(records, "web1", "ansible.builtin.command", "unreachable"); ok {
				t.Logf("%v after the fault: %.300q", took.Round(time.Second/10), r.Result["msg"])
			}
			if n := len(parity.Done(records, "web2")); n != 3 {
				t.Errorf("the other host has %d of 3 tasks done", n)
			}
			if c.name == "the machine's cable is out" {
				if err := s.hosts[0].Unplug(false); err != nil {
					t.Error(err)
				}
			}
			if c.closed {
				if left := s.leftovers(t, settle); left != "" {
					t.Errorf("left behind:\n%s", left)
				}
			}
			if t.Failed() {
				t.Log(run)
			}
		})
	}
}
