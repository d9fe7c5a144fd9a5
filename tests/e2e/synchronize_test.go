//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

const synchronizePlay = `
- hosts: far
  gather_facts: false
  tasks:
    - name: push
      ansible.posix.synchronize: {src: tree/, dest: /tmp/pushed/, recursive: true}
    - name: push again
      ansible.posix.synchronize: {src: tree/, dest: /tmp/pushed/, recursive: true}
    - name: push as root
      ansible.posix.synchronize: {src: tree/, dest: /root/pushed/, owner: false, group: false}
      become: true
    - name: push as root by another account's login
      ansible.posix.synchronize: {src: tree/, dest: /root/by-path/, rsync_path: sudo rsync}
    - name: from the controller
      ansible.posix.synchronize: {src: tree/, dest: /tmp/delegated/}
      delegate_to: localhost
    - name: pull
      ansible.posix.synchronize: {mode: pull, src: /root/pushed/, dest: "{{ playbook_dir }}/pulled/"}
      become: true
    - name: there
      ansible.builtin.shell: cat /root/pushed/sub/file /root/by-path/one /tmp/delegated/one; stat -c %U /root/pushed/one /tmp/pushed/one /tmp/delegated/one
      become: true
    - name: way
      spindle_rsh:
    - name: root's way
      spindle_rsh:
      become: true
      register: way
    - name: as ssh
      ansible.builtin.shell: |
        {{ way.command }} -p 22 -l nobody -o A=b far id -un
        printf 'a\nb' | {{ way.command }} far 'cat; echo complaint >&2; exit 7' 2>&1
        echo " $?"
        head -c 3000000 /dev/zero | {{ way.command }} far cat | wc -c
        {{ way.command }} -n far cat
      delegate_to: localhost
    - name: rsync by itself
      ansible.builtin.command: rsync -a -e '{{ way.command }}' tree/ anything:/root/by-hand/
      delegate_to: localhost
    - name: somewhere else
      ansible.posix.synchronize: {src: tree/, dest: "deploy@{{ nas }}:/tmp/elsewhere/"}
    - name: somewhere else, from the controller
      ansible.posix.synchronize: {src: tree/, dest: "deploy@{{ nas }}:/tmp/elsewhere-delegated/"}
      delegate_to: localhost
    - name: missing
      ansible.posix.synchronize: {src: tree/nothing, dest: /tmp/x}
      ignore_errors: true
- hosts: plain
  gather_facts: false
  remote_user: deploy
  tasks:
    - name: by the account of the play
      ansible.posix.synchronize: {src: tree/, dest: /tmp/by-keyword/}
      delegate_to: localhost
`

// TestSynchronizeHasNoLoginOfItsOwn moves trees to a host behind another one: rsync goes by the connections that are there.
func TestSynchronizeHasNoLoginOfItsOwn(t *testing.T) {
	l := env.New(t)
	back := l.Segment(t)
	root := env.WithEngines.Root(t)
	gate := l.Host(t, env.HostOptions{Name: "gate", Root: root, On: []*env.Segment{l.Front(), back}})
	far := l.Host(t, env.HostOptions{Name: "far", Root: root, On: []*env.Segment{back}})
	nas := l.Host(t, env.HostOptions{Name: "nas", Root: root})
	c := l.Controller(t, env.WithEngines, gate, far, nas)
	gate.Trust(t, "deploy", far)
	c.Write(t, env.PlayDir+"/sync.yml", synchronizePlay, 0o644)
	for path, text := range map[string]string{"one": "1\n", "sub/file": "2\n", "big": strings.Repeat("x", 3<<20)} {
		c.Write(t, env.PlayDir+"/tree/"+path, text, 0o644)
	}
	plugins := strings.TrimSuffix(c.InstallSpindle(t), "strategy")
	r := c.Play(t, env.Play{
		Strategy: "mitogen_linear", Playbook: "sync.yml",
		Inventory: fmt.Sprintf("gate ansible_host=%s\nfar ansible_host=%s mitogen_via=gate nas=%[3]s\nlocalhost ansible_connection=local\n"+
			"plain ansible_host=%[3]s\n[login]\ngate\nfar\n[login:vars]\nansible_user=deploy\n[all:vars]\nansible_python_interpreter=/usr/bin/python3\n", gate.Addr, far.Addr, nas.Addr),
		Config: map[string]string{"collections_path": "/opt/collections", "action_plugins": plugins + "action", "library": plugins + "action"},
	})
	records, err := parity.Parse(r.Records)
	if err != nil || r.Code != 0 {
		t.Fatalf("play: %v %v", err, r)
	}
	result := func(task, event string) parity.Record {
		rec, ok := parity.Find(records, "far", task, event)
		if !ok {
			t.Errorf("no %s of %q", event, task)
		}
		return rec
	}
	for task, want := range map[string]bool{"push": true, "push again": false, "push as root": true, "from the controller": true, "pull": true} {
		if got := result(task, "ok").Result["changed"]; got != want {
			t.Errorf("%s: changed is %v, want %v", task, got, want)
		}
	}
	if got, want := result("there", "ok").Result["stdout"], "2\n1\n1\nroot\ndeploy\ndeploy"; got != want {
		t.Errorf("there: %q, want %q", got, want)
	}
	if got, want := result("as ssh", "ok").Result["stdout"], "root\na\nbcomplaint\n 7\n3000000"; got != want {
		t.Errorf("as ssh: %q, want %q", got, want)
	}
	if got := far.MustExec(t, "cat", "/root/by-hand/sub/file"); got != "2\n" {
		t.Errorf("rsync by itself: %q", got)
	}
	if got := result("missing", "failed").Result["msg"]; !strings.Contains(fmt.Sprint(got), "No such file") {
		t.Errorf("a missing source: %v", got)
	}
	if o := c.Exec(t, "diff", "-r", env.PlayDir+"/tree", env.PlayDir+"/pulled"); o.Code != 0 {
		t.Errorf("what was pulled differs: %+v", o)
	}
	if got := nas.MustExec(t, "sh", "-c", "cat /tmp/elsewhere/one /tmp/elsewhere-delegated/one /tmp/by-keyword/one; stat -c %U /tmp/by-keyword/one"); got != "1\n1\n1\ndeploy\n" {
		t.Errorf("on the third host: %q", got)
	}
	if o := far.Exec(t, "ls", "/tmp/elsewhere"); o.Code == 0 {
		t.Error("what was for another host is on this one")
	}
	for h, logins := range map[*env.Host]int{gate: 1, far: 1, nas: 3} {
		if n := strings.Count(h.Log(), "Accepted publickey"); n != logins {
			t.Errorf("%d connections to %s, want %d", n, h.Name, logins)
		}
		if left := h.Quiet(10 * time.Second); left != "" {
			t.Error(left)
		}
	}
	if left := c.Quiet(10 * time.Second); left != "" {
		t.Error(left)
	}
}
