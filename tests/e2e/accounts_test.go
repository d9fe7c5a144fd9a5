//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// TestChangesOfALoginAreSeen changes what a login gives an account, and looks whether the next task has it, as it would under a stock strategy.
func TestChangesOfALoginAreSeen(t *testing.T) {
	const play = `
- hosts: web1
  gather_facts: false
  become: true
  tasks:
    - {name: before, become_user: app, ansible.builtin.command: id -Gn}
    - {name: same, become_user: app, ansible.builtin.shell: "ps -o ppid= -p $PPID"}
    - {name: group, ansible.builtin.group: {name: extra}}
    - {name: other user, ansible.builtin.user: {name: someone, groups: extra}}
    - {name: same still, become_user: app, ansible.builtin.shell: "ps -o ppid= -p $PPID"}
    - {name: join, ansible.builtin.user: {name: app, groups: extra, append: true}}
    - {name: after, become_user: app, ansible.builtin.command: id -Gn}
    - {name: profile, ansible.builtin.copy: {dest: /home/app/.profile, content: "export SPOKEN=yes\n", owner: app, mode: "0644"}}
    - {name: login, become_user: app, become_flags: -i, ansible.builtin.shell: "echo $SPOKEN"}
    - {name: profile again, ansible.builtin.copy: {dest: /home/app/.profile, content: "export SPOKEN=again\n", owner: app, mode: "0644"}}
    - {name: login again, become_user: app, become_flags: -i, ansible.builtin.shell: "echo $SPOKEN"}
    - {name: variables, ansible.builtin.copy: {dest: /etc/environment, content: "EVERYWHERE=1\n", mode: "0644"}}
    - {name: seen, become: false, ansible.builtin.shell: "echo $EVERYWHERE"}
    - {name: own variables, become: false, ansible.builtin.copy: {dest: ~/.pam_environment, content: "MINE=2\nEVERYWHERE=other\n", mode: "0644"}}
    - {name: own seen, become: false, ansible.builtin.shell: "echo $MINE $EVERYWHERE"}
    - {name: no variables, become: false, ansible.builtin.file: {path: ~/.pam_environment, state: absent}}
    - {name: own gone, become: false, ansible.builtin.shell: "echo ${MINE-unset} $EVERYWHERE"}
    - {name: rename, ansible.builtin.user: {name: app, home: /srv/app, move_home: true}}
    - {name: home, become_user: app, ansible.builtin.shell: "echo ~"}
    - {name: remove, ansible.builtin.user: {name: app, state: absent, remove: true}}
    - {name: gone, ansible.builtin.command: "id app", ignore_errors: true}
    - {name: someone, become_user: someone, ansible.builtin.command: id -un}
    - {name: userdel, ansible.builtin.command: userdel -r someone}
`
	for _, v := range env.Versions {
		t.Run(v.Name, func(t *testing.T) {
			l := env.New(t)
			h := l.Host(t, env.HostOptions{Name: "web1"})
			c := l.Controller(t, v, h)
			c.Write(t, env.PlayDir+"/accounts.yml", play, 0o644)
			r := c.Play(t, env.Play{
				Strategy: "mitogen_linear", Playbook: "accounts.yml",
				Inventory: "web1 ansible_host=" + h.Addr + " ansible_user=deploy ansible_python_interpreter=/usr/bin/python3\n",
				SSH:       map[string]string{"pipelining": "True"},
			})
			records, err := parity.Parse(r.Records)
			if err != nil || r.Code != 0 {
				t.Fatalf("play: %v %v", err, r)
			}
			said := func(task string) string {
				rec, _ := parity.Find(records, "web1", task, "ok")
				return fmt.Sprint(rec.Result["stdout"])
			}
			for task, want := range map[string]string{
				"before": "app", "after": "app extra", "login": "yes", "login again": "again", "seen": "1", "own seen": "2 1", "own gone": "unset 1", "home": "/srv/app", "someone": "someone",
			} {
				if got := said(task); got != want {
					t.Errorf("%s: %q, want %q", task, got, want)
				}
			}
			if a, b := strings.TrimSpace(said("same")), strings.TrimSpace(said("same still")); a == "" || a != b {
				t.Errorf("somebody else's groups have ended the agent: its process was %s, and is %s", a, b)
			}
			if left := h.Quiet(10 * time.Second); left != "" {
				t.Error(left)
			}
		})
	}
}

// memoryOf samples the resident memory, in MiB, of the process of a machine whose command line has a text, until it is told to stop.
func memoryOf(m *env.Machine, text string, stop <-chan struct{}) <-chan []int {
	out := make(chan []int, 1)
	go func() {
		var samples []int
		tick := time.NewTicker(time.Second / 10)
		defer tick.Stop()
		pid := 0
		for {
			select {
			case <-stop:
				out <- samples
				return
			case <-tick.C:
			}
			var size, resident int
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
			if _, scan := fmt.Sscan(string(b), &size, &resident); err == nil && scan == nil {
				samples = append(samples, resident*os.Getpagesize()>>20)
				continue
			}
			for _, p := range m.Processes() {
				if p.Matches(text) {
					pid = p.PID
				}
			}
		}
	}()
	return out
}

// TestManyAccountsInOneLoop becomes thirty users, one after the other and again (or ten thousand, with SPINDLE_TEST_ALL), and keeps no more
// agents than it may, nor anything of those that are gone.
func TestManyAccountsInOneLoop(t *testing.T) {
	users, every, limitOfRun := 30, 1, 3*time.Minute
	if os.Getenv("SPINDLE_TEST_ALL") != "" {
		users, every, limitOfRun = 10000, 16, 4*time.Hour // a look at all processes costs as much as a sixth of an account
	}
	l := env.New(t)
	h := l.Host(t, env.HostOptions{Name: "web1"})
	c := l.Controller(t, env.Versions[0], h)
	c.Write(t, env.PlayDir+"/many.yml", strings.NewReplacer("USERS", fmt.Sprint(users), "EVERY", fmt.Sprint(every)).Replace(`
- hosts: web1
  gather_facts: false
  become: true
  tasks:
    - ansible.builtin.shell: |
        for i in $(seq 1 USERS); do
          echo "u$i:x:$((20000 + i)):$((20000 + i))::/home/u$i:/bin/sh" >>/etc/passwd
          echo "u$i:*:19000:0:99999:7:::" >>/etc/shadow
          echo "u$i:x:$((20000 + i)):" >>/etc/group
        done
    - name: work
      ansible.builtin.shell: |
        id -un; [ $(({{ item }} % EVERY)) = 0 ] || exec echo 1
        ps -eo uid,args | awk '$1 > 20000 && /mitogen:/ {print $1}' | sort -u | wc -l
      become_user: u{{ item }}
      loop: "{{ range(1, USERS + 1) | list + range(1, 31) | list }}"
`), 0o644)
	const limit = 4
	stop := make(chan struct{})
	sampled := memoryOf(c.Machine, "spindle serve", stop)
	r := c.Play(t, env.Play{
		Strategy: "mitogen_linear", Playbook: "many.yml", Env: []string{fmt.Sprintf("MITOGEN_MAX_INTERPRETERS=%d", limit)}, Limit: limitOfRun,
		Inventory: "web1 ansible_host=" + h.Addr + " ansible_user=deploy ansible_python_interpreter=/usr/bin/python3\n",
	})
	close(stop)
	memory := <-sampled
	records, err := parity.Parse(r.Records)
	if err != nil || r.Code != 0 {
		t.Fatalf("play: %v %v", err, r)
	}
	if len(memory) < 6 {
		t.Fatalf("the multiplexer was seen %d times only", len(memory))
	}
	third := len(memory) / 3
	early, late := slices.Max(memory[:third]), slices.Max(memory[2*third:])
	t.Logf("%d accounts in %v: the multiplexer had at most %d MiB in the first third of the run, and %d in the last", users, r.Took.Round(time.Second), early, late)
	if late > early+early/4+8 {
		t.Errorf("the multiplexer had at most %d MiB in the first third of the run, and %d in the last", early, late)
	}
	items := 0
	for _, rec := range records {
		if rec.Event != "item_ok" {
			continue
		}
		var user string
		var agents int
		if _, err := fmt.Sscan(fmt.Sprint(rec.Result["stdout"]), &user, &agents); err != nil {
			t.Fatalf("%v: %v", err, rec.Result)
		}
		items++
		if want := fmt.Sprintf("u%v", rec.Result["item"]); user != want {
			t.Errorf("item ran as %s, want %s", user, want)
		}
		if agents > limit+1 || agents < 1 { // one may be on its way out
			t.Errorf("%s: agents of %d accounts, want at most %d", user, agents, limit+1)
		}
	}
	if want := users + 30; items != want {
		t.Errorf("%d items, want %d", items, want)
	}
	if left := h.Quiet(10 * time.Second); left != "" {
		t.Error(left)
	}
}
