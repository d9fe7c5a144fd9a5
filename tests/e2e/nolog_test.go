//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
)

// secretPlay passes secrets on in every way that says no_log, or that Ansible hides by itself: each has a number of its own behind the word.
const secretPlay = `
- hosts: all
  gather_facts: false
  vars: {word: WORD}
  tasks:
    - name: nothing to hide
      ansible.builtin.command: echo {{ word | replace('canary', 'shown') }}
    - name: as arguments
      ansible.builtin.command: echo {{ word }}-1
      no_log: true
    - name: for a shell, as root, from its environment and its input
      ansible.builtin.shell: {cmd: 'cat; echo $SECRET', stdin: "{{ word }}-2"}
      environment: {SECRET: "{{ word }}-3"}
      become: true
      no_log: true
    - name: without a module
      ansible.builtin.raw: echo {{ word }}-4
      no_log: true
    - name: a script
      ansible.builtin.script: show.sh {{ word }}-5
      environment: {SECRET: "{{ word }}-6"}
      no_log: true
    - name: as content
      ansible.builtin.copy: {content: "{{ word }}-7\n", dest: /tmp/kept, mode: "0600"}
      no_log: true
      diff: true
    - name: again, so that there is a difference
      ansible.builtin.copy: {content: "{{ word }}-8\n", dest: /tmp/kept, mode: "0600"}
      no_log: true
      diff: true
    - name: as a template, big enough to be sent otherwise
      ansible.builtin.template: {src: secret.j2, dest: /tmp/kept, mode: "0600"}
      no_log: true
    - name: in a loop
      ansible.builtin.command: echo {{ item }}
      loop: ["{{ word }}-9", "{{ word }}-10"]
      no_log: true
      async: "{{ 30 if item is match('.*10') else 0 }}"
      poll: 1
    - name: read
      ansible.builtin.slurp: {src: /tmp/kept}
      no_log: true
    - name: fetched
      ansible.builtin.fetch: {src: /tmp/kept, dest: fetched/}
      no_log: true
    - name: an argument that its module calls secret
      ansible.builtin.user: {name: plain, password: "{{ word }}-11", update_password: on_create}
      become: true
    - name: one that fails
      ansible.builtin.command: sh -c 'echo {{ word }}-12; echo {{ word }}-13 >&2; exit 3'
      no_log: true
      ignore_errors: true
    - name: one whose module ends badly (newer releases show the words of the exception themselves)
      broken: {text: "{{ word }}-14"}
      no_log: true
      ignore_errors: true
    - name: a job
      ansible.builtin.command: echo {{ word }}-15
      async: 30
      poll: 1
      no_log: true
    - name: a place that is not there
      ansible.builtin.copy: {content: "{{ word }}-16", dest: "/no/such/{{ word }}-17"}
      no_log: true
      ignore_errors: true
    - name: on the controller
      ansible.builtin.command: echo {{ word }}-18
      delegate_to: localhost
      no_log: true
    - name: away
      ansible.builtin.file: {path: /tmp/kept, state: absent}
`

// TestNoLogIsNowhere runs as loudly as can be, and looks for what no_log hides in all that is printed, logged or kept.
func TestNoLogIsNowhere(t *testing.T) {
	const word = "canary-5f3a9c"
	for _, v := range []env.Version{env.Versions[0], env.Versions[len(env.Versions)-1]} {
		for _, level := range []string{"DEBUG", "IO"} {
			if level != "IO" && os.Getenv("SPINDLE_TEST_ALL") == "" {
				continue // IO says all of that, and more
			}
			t.Run(v.Name+"/"+level, func(t *testing.T) {
				c, h := one(t, v)
				c.Write(t, env.PlayDir+"/secret.yml", strings.ReplaceAll(secretPlay, "WORD", word), 0o644)
				c.Write(t, env.PlayDir+"/show.sh", "#!/bin/sh\necho \"$1 $SECRET\"\n", 0o755)
				c.Write(t, env.PlayDir+"/templates/secret.j2", strings.Repeat("{{ word }}-19\n", 20000), 0o644)
				c.Write(t, env.PlayDir+"/library/broken.py", "#!/usr/bin/python\nimport json, sys\nfrom ansible.module_utils.basic import AnsibleModule\n"+
					"m = AnsibleModule(argument_spec=dict(text=dict()))\nprint(m.params['text'])\nraise ValueError('on purpose')\n", 0o644)
				r := c.Play(t, env.Play{
					Strategy: "mitogen_linear", Playbook: "secret.yml", Inventory: line(h, ""), Args: []string{"-vvvvv"},
					Env: []string{"MITOGEN_LOG_LEVEL=" + level, "ANSIBLE_LOG_PATH=/home/ops/ansible.log"},
				})
				if r.Code != 0 {
					t.Fatalf("play: %v", r)
				}
				if !strings.Contains(r.Stdout+r.Stderr, "spindle: ") {
					t.Error("what we log was not in the output, so nothing was shown about it")
				}
				if !strings.Contains(r.Stdout, strings.Replace(word, "canary", "shown", 1)) {
					t.Error("what is not hidden is not in the output, so nothing was shown about what is")
				}
				log := c.MustExec(t, "cat", "/home/ops/ansible.log")
				for where, text := range map[string]string{"standard output": r.Stdout, "standard error": r.Stderr, "the log": log} {
					for line := range strings.Lines(text) {
						if at := strings.Index(line, word); at >= 0 {
							t.Errorf("%s: …%s…", where, line[max(0, at-160):min(len(line), at+80)])
						}
					}
				}
				// What was not meant to be kept anywhere is nowhere.
				for _, m := range []*env.Machine{c.Machine, h.Machine} {
					o := m.Exec(t, "sh", "-c", fmt.Sprintf("grep -rl %s /home /root /tmp /var/tmp /var/log /run /dev/shm 2>/dev/null | grep -v -e ^/home/ops/play/ -e /record.jsonl", word))
					if o.Stdout != "" {
						t.Errorf("%s: it is in %s", m.Name, o.Stdout)
					}
				}
				if left := h.Quiet(20*time.Second) + c.Quiet(20*time.Second); left != "" {
					t.Error(left)
				}
			})
		}
	}
}
