//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"regexp"
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
						t.Errorf("%s: it is in %+v", m.Name, o)
					}
				}
				if left := h.Quiet(20*time.Second) + c.Quiet(20*time.Second); left != "" {
					t.Error(left)
				}
			})
		}
	}
}

// vaultedPlay passes words on that were encrypted, in the ways that there are, and says nothing of no_log.
const vaultedPlay = `
- hosts: all
  gather_facts: false
  tasks:
    - name: in its environment, its input and its arguments
      ansible.builtin.shell: {cmd: 'cat; echo $SECRET {{ word }}', stdin: "{{ word }}"}
      environment: {SECRET: "{{ word }}"}
    - name: as content
      ansible.builtin.copy: {content: "{{ word }}\n", dest: /tmp/kept, mode: "0600"}
      diff: true
    - name: as a template
      ansible.builtin.template: {src: word.j2, dest: /tmp/kept, mode: "0600"}
    - name: as another account
      ansible.builtin.command: echo {{ word }}
      become: true
    - name: in a loop
      ansible.builtin.command: echo {{ item }}
      loop: ["{{ word }}", "{{ word }}-2", "{{ word }}-3"]
      become: true
    - name: without a module
      ansible.builtin.raw: echo {{ word }}
    - name: a script
      ansible.builtin.script: show.sh {{ word }}
      environment: {SECRET: "{{ word }}"}
    - name: one that fails
      ansible.builtin.command: sh -c 'echo {{ word }} >&2; exit 3'
      ignore_errors: true
    - name: one that finds no program
      ansible.builtin.command: /no/such/{{ word }}
      environment: {SECRET: "{{ word }}"}
      ignore_errors: true
    - name: a job
      ansible.builtin.command: echo {{ word }}
      environment: {SECRET: "{{ word }}"}
      async: 30
      poll: 1
    - name: away
      ansible.builtin.file: {path: /tmp/kept, state: absent}
    - name: it holds the word for a while
      ansible.builtin.command: {cmd: sleep 7.25, stdin: "{{ word }}"}
      environment: {SECRET: "{{ word }}"}
`

// TestVaultedValuesAreNotLogged: at the loudest, what was encrypted is in no line of ours, in no tree, and in no file. Ansible itself shows the
// arguments of modules at -vvv, and what these print (newer releases hide what was encrypted, but our own log does not go through them); passwords are nowhere at all.
func TestVaultedValuesAreNotLogged(t *testing.T) {
	const word, login, become = "canary-word-19c4", "canary-login-7d22", "canary-become-e05b"
	// A result, as it is shown: the name of an item, indented JSON, or the text of a difference.
	shown := regexp.MustCompile(`^(\w+: \[web1\] => |\s+"|\+` + word + `)`)
	for _, v := range []env.Version{env.Versions[0], env.Versions[len(env.Versions)-1]} {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel() // it waits
			l := env.New(t)
			h := l.Host(t, env.HostOptions{Name: "web1", SSHD: []string{"PubkeyAuthentication=no"}, Boot: "echo plain:" + login + " | chpasswd; echo app:" + become + " | chpasswd"})
			c := l.Controller(t, v, h)
			c.Write(t, env.PlayDir+"/vaulted.yml", vaultedPlay, 0o644)
			c.Write(t, env.PlayDir+"/show.sh", "#!/bin/sh\necho \"$1 $SECRET\"\n", 0o755)
			c.Write(t, env.PlayDir+"/templates/word.j2", "{{ word }}\n"+strings.Repeat("nothing to hide\n", 5000), 0o644)
			c.Write(t, env.PlayDir+"/vault", "open sesame\n", 0o600)
			made := c.ExecAs(t, env.Operator, "ansible-vault", "encrypt_string", "--vault-password-file", env.PlayDir+"/vault",
				word, login, become, "--name", "word", "--name", "ansible_password", "--name", "ansible_become_password")
			if made.Code != 0 || strings.Count(made.Stdout, "!vault") != 3 {
				t.Fatalf("ansible-vault: %+v", made)
			}
			c.Write(t, env.PlayDir+"/group_vars/all.yml", made.Stdout, 0o644)
			c.InstallSpindle(t)
			tree := make(chan string, 1)
			r := c.Play(t, env.Play{
				Strategy: "mitogen_linear", Playbook: "vaulted.yml", Args: []string{"-vvvv", "--vault-password-file", env.PlayDir + "/vault"},
				Inventory: line(h, "ansible_user=plain ansible_become_method=su ansible_become_user=app"),
				Env:       []string{"MITOGEN_LOG_LEVEL=IO", "ANSIBLE_LOG_PATH=/home/ops/ansible.log"},
				Started: func() {
					go func() {
						last := ""
						env.Poll(120*time.Second*env.Patience(), func() string {
							for _, p := range h.Processes() {
								if p.Matches("sleep 7.25") {
									last = c.ExecAs(t, env.Operator, "spindle", "tree", "--json").Stdout
									return ""
								}
							}
							return "it does not run"
						})
						tree <- last
					}()
				},
			})
			if r.Code != 0 || !strings.Contains(r.Stdout, word) && !strings.Contains(r.Stdout, "$REDACTED$") {
				t.Fatalf("play, or the word is not where Ansible shows it: %v", r)
			}
			state := <-tree
			if !strings.Contains(state, "su:app") {
				t.Errorf("nothing was shown about the tree: %s", state)
			}
			log := c.MustExec(t, "cat", "/home/ops/ansible.log")
			if said, logged := strings.Contains(r.Stdout, "spindle: "), strings.Contains(r.Stderr, `"level":`); !said || !logged {
				t.Errorf("nothing was shown about what we log: in the output %v, the multiplexer %v", said, logged)
			}
			tell := func(where, line, secret string) {
				at := strings.Index(line, secret)
				t.Errorf("%s: …%s…", where, line[max(0, at-160):min(len(line), at+80)])
			}
			prefix := regexp.MustCompile(`^[-0-9]+ [:,0-9]+ p=\d+ u=\w+ n=\w+ (INFO|WARNING|ERROR|DEBUG)?\|? ?`) // of a line in the log
			for where, text := range map[string]string{"standard output": r.Stdout, "standard error": r.Stderr, "the log": log, "the tree": state} {
				for line := range strings.Lines(text) {
					for _, secret := range []string{login, become} {
						if strings.Contains(line, secret) {
							tell(where, line, secret)
						}
					}
					rest := line[len(prefix.FindString(line)):]
					if strings.Contains(line, word) && (strings.Contains(line, "spindle") || where == "standard error" || where == "the tree" || !shown.MatchString(rest)) {
						tell(where, line, word)
					}
				}
			}
			for _, m := range []*env.Machine{c.Machine, h.Machine} {
				// What this very test is compiled to is the developer's, whose /root a machine may be made of.
				o := m.Exec(t, "sh", "-c", fmt.Sprintf("grep -rl --exclude-dir=go-build -e %s -e %s -e %s /home /root /tmp /var/tmp /var/log /run /dev/shm 2>/dev/null | grep -v -e ^/home/ops/ansible.log -e /record.jsonl", word, login, become))
				if o.Code < 0 || o.Stdout != "" {
					t.Errorf("%s: it is in %s", m.Name, o.Stdout)
				}
			}
			if left := h.Quiet(20*time.Second) + c.Quiet(20*time.Second); left != "" {
				t.Error(left)
			}
		})
	}
}
