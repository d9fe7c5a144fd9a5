//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"testing"

	"spindle/tests/env"
	"spindle/tests/parity"
)

const synchronizedPlay = `
- hosts: far
  gather_facts: false
  tasks:
    - name: push
      ansible.posix.synchronize: {src: tree/, dest: /tmp/pushed/}
    - name: push again
      ansible.posix.synchronize: {src: tree/, dest: /tmp/pushed/}
    - name: push files alone
      ansible.posix.synchronize: {src: tree/, dest: /tmp/flat/, archive: false, recursive: false, dirs: true}
    - name: push directories, without owners
      ansible.posix.synchronize: {src: tree, dest: /tmp/some, archive: false, recursive: true, times: true, checksum: true, rsync_opts: ["--exclude=sub"]}
    - name: push what is to be the same
      ansible.posix.synchronize: {src: tree/sub/, dest: /tmp/pushed/, delete: true}
    - name: push in check mode
      ansible.posix.synchronize: {src: tree/, dest: /tmp/pushed/}
      check_mode: true
    - name: push as root
      ansible.posix.synchronize: {src: tree/, dest: /root/pushed/, owner: false, group: false}
      become: true
    - name: pull
      ansible.posix.synchronize: {mode: pull, src: /tmp/some/, dest: "{{ playbook_dir }}/pulled/"}
    - name: pull as root
      ansible.posix.synchronize: {mode: pull, src: /root/pushed/, dest: "{{ playbook_dir }}/pulled-as-root/"}
      become: true
    - name: delegated to the controller
      ansible.posix.synchronize: {src: tree/, dest: /tmp/delegated/}
      delegate_to: localhost
    - name: delegated to the host
      ansible.posix.synchronize: {src: /tmp/pushed/, dest: /tmp/beside/}
      delegate_to: far
    - name: in a loop
      ansible.posix.synchronize: {src: "tree/{{ item }}", dest: "/tmp/flat/{{ item }}"}
      loop: [one, sub/]
    - name: without what is not there
      ansible.posix.synchronize: {src: tree/nothing, dest: /tmp/x}
      ignore_errors: true
    - name: there
      ansible.builtin.shell: find /tmp/pushed /tmp/flat /tmp/some /tmp/delegated /tmp/beside /root/pushed -printf '%p %m %u %s\n' | sort
      become: true
    - name: taken away again
      ansible.builtin.shell: rm -r /tmp/pushed /tmp/flat /tmp/some /tmp/delegated /tmp/beside /root/pushed
      become: true
    - name: here
      ansible.builtin.shell: find pulled pulled-as-root -printf '%p %m %u %s\n' | sort; rm -r pulled pulled-as-root
      delegate_to: localhost
`

// TestSynchronizeIsStocks compares what synchronize says and does with stock Ansible; by what ssh it goes is its own business. make soak takes every
// release that has an rsync beside it.
func TestSynchronizeIsStocks(t *testing.T) {
	versions := env.Versions
	if os.Getenv("SPINDLE_TEST_ALL") == "" {
		versions = versions[len(versions)-1:]
	}
	const way = "rsync is told to go by another ssh, which becomes who it has to be"
	rules := append(
		parity.All(), parity.Rule{Why: way, From: ` --rsh=('[^']*'|[^ ]+)`, To: ``}, parity.Rule{Why: way, From: ` --rsync-path='sudo -u root rsync'`, To: ``},
		parity.Rule{Why: way, Path: `(results\.\d+\.)?invocation\.module_args\.rsync_(opts|path)(\..*)?`},
		parity.Rule{Why: "the other one says that it knew no such host", From: `Warning: Permanently added .* to the list of known hosts\.\r\n`, To: ``},
	)
	for _, v := range versions {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel() // each has machines of its own
			l := env.New(t)
			far := l.Host(t, env.HostOptions{Name: "far", Root: v.Root(t)})
			c := l.Controller(t, v, far)
			const posix = "/ansible_collections/ansible/posix"
			c.Put(t, env.WithEngines.Root(t)+"/opt/collections"+posix, env.PlayDir+"/collections"+posix)
			c.Write(t, env.PlayDir+"/sync.yml", synchronizedPlay, 0o644)
			for path, text := range map[string]string{"one": "1\n", "sub/file": "2\n"} {
				c.Write(t, env.PlayDir+"/tree/"+path, text, 0o644)
			}
			run := func(strategy string) (env.Run, []parity.Record) {
				r := c.Play(t, env.Play{
					Strategy: strategy, Playbook: "sync.yml", SSH: map[string]string{"pipelining": "True"},
					Inventory: fmt.Sprintf("far ansible_host=%s ansible_user=deploy\n[all:vars]\nansible_python_interpreter=/usr/bin/python3\n", far.Addr),
				})
				records, err := parity.Parse(r.Records)
				if err != nil || r.Code != 0 {
					t.Fatalf("%s: %v %v", strategy, err, r)
				}
				return r, records
			}
			stock, want := run("linear")
			ours, got := run("mitogen_linear")
			if rec, _ := parity.Find(want, "far", "push", "ok"); rec.Result["changed"] != true || rec.Result["cmd"] == nil {
				t.Errorf("the stock run did not push: %v", rec.Result)
			}
			for _, line := range append(parity.Compare(want, got, rules), parity.Said(stock.Stderr, ours.Stderr, rules)...) {
				t.Error(line)
			}
		})
	}
}
