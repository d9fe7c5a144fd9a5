//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"testing"

	"spindle/tests/env"
	"spindle/tests/parity"
)

const typedPlay = `
- hosts: web1
  gather_facts: false
  tasks:
    - name: wanted
      command: echo 1
    - name: not wanted
      command: echo 2
    - name: and the rest
      command: echo 3
    - pause: {prompt: "Secret?", echo: false}
      register: hidden
    - pause: {prompt: "Word?"}
      register: shown
    - name: both
      command: test "{{ hidden.user_input }} and {{ shown.user_input }}" = "unseen and seen"
    - pause: {seconds: 600}
    - name: between
      command: echo between
    - pause: {minutes: 10}
    - name: never
      command: echo never
`

// TestTypedIsRead has somebody sit at the terminal who answers --step and pauses, and compares all with stock Ansible.
func TestTypedIsRead(t *testing.T) {
	program, err := os.ReadFile("testdata/typed.py")
	if err != nil {
		t.Fatal(err)
	}
	const early, abort = "(ctrl+C then 'C' = continue early, ctrl+C then 'A' = abort)", "'A' to abort"
	steps, err := json.Marshal([][2]string{
		{"TASK: wanted (N)o/(y)es/(c)ontinue: ", "y\n"},
		{"TASK: not wanted (N)o/(y)es/(c)ontinue: ", "n\n"},
		{"TASK: and the rest (N)o/(y)es/(c)ontinue: ", "c\n"},
		{"Secret?", "unseen\r"},
		{"Word?", "seen\r"},
		{early, "\x03"},
		{abort, "c"},
		{early, "\x03"},
		{abort, "a"},
	})
	if err != nil {
		t.Fatal(err)
	}
	versions := []env.Version{env.Oldest, env.Versions[len(env.Versions)-1]}
	if os.Getenv("SPINDLE_TEST_ALL") != "" {
		versions = append([]env.Version{env.Oldest}, env.Versions...)
	}
	for _, v := range versions {
		t.Run(v.Name, func(t *testing.T) {
			l := env.New(t)
			web := l.Host(t, env.HostOptions{Name: "web1"})
			c := l.Controller(t, v, web)
			c.Write(t, env.PlayDir+"/typed.yml", typedPlay, 0o644)
			c.Write(t, env.PlayDir+"/typed.py", string(program), 0o644)
			run := func(strategy string) (env.Run, []parity.Record) {
				r := c.Play(t, env.Play{
					Strategy: strategy, Program: "python3", Args: []string{"typed.py", string(steps), "ansible-playbook", "--step"}, Playbook: "typed.yml",
					SSH: map[string]string{"pipelining": "True"}, Env: []string{"TERM=xterm"}, // 2.10 wants to clear the line
					Inventory: fmt.Sprintf("web1 ansible_host=%s ansible_user=deploy ansible_python_interpreter=/usr/bin/python3\n", web.Addr),
				})
				records, err := parity.Parse(r.Records)
				if err != nil || r.Hung {
					t.Fatalf("%s: %v %v", strategy, err, r)
				}
				return r, records
			}
			stock, want := run("linear")
			ours, got := run("mitogen_linear")
			if _, ok := parity.Find(want, "web1", "both", "ok"); !ok {
				t.Errorf("the stock run did not read what was typed: %v", stock)
			}
			if _, ok := parity.Find(want, "web1", "pause", "failed"); !ok || ours.Code != stock.Code {
				t.Errorf("exit codes %d and %d; the stock run was given up: %v", stock.Code, ours.Code, ok)
			}
			// Whether Enter leaves a line's end behind a line that 2.10 has cleared hangs on when the terminal was put back; seen to differ once in some sixty runs.
			cleared := func(s string) string { return regexp.MustCompile(`\x1b\[K[\r\n]*`).ReplaceAllString(s, "\x1b[K\n") }
			for _, line := range append(parity.Compare(want, got, parity.All()), parity.Printed(cleared(stock.Stdout), cleared(ours.Stdout), parity.All())...) {
				t.Error(line)
			}
		})
	}
}
