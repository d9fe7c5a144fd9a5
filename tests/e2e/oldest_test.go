//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// everyVersion is for what has to work on the oldest release, too. It cannot do everything that newer ones do: on Python 3.12 and later
// its own modules do not run.
func everyVersion() []env.Version { return append(slices.Clone(env.Versions), env.Oldest) }

// TestOldest plays the basics on the oldest Ansible that there is a Debian for.
func TestOldest(t *testing.T) {
	c, h := one(t, env.Oldest)
	c.Write(t, env.PlayDir+"/oldest.yml", `
- hosts: all
  tasks:
    - name: command
      ansible.builtin.command: id -un
    - name: root
      ansible.builtin.command: id -un
      become: true
    - name: copy
      ansible.builtin.copy: {content: "{{ 'x' * 300000 }}", dest: /tmp/copied}
    - name: template
      ansible.builtin.template: {src: roles/tour/templates/page.j2, dest: /tmp/page}
      vars: {tour_words: [a]}
    - name: job
      ansible.builtin.command: id -un
      async: 30
      poll: 1
`, 0o644)
	r := c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "oldest.yml", Inventory: line(h, "")})
	records, err := parity.Parse(r.Records)
	if err != nil || r.Code != 0 {
		t.Fatalf("play: %v %v", err, r)
	}
	for task, want := range map[string]string{"command": "deploy", "root": "root", "job": "deploy"} {
		if rec, ok := parity.Find(records, "web1", task, "ok"); !ok || rec.Result["stdout"] != want {
			t.Errorf("%s: %v, want %q", task, rec.Result, want)
		}
	}
	if r.Stderr != "" {
		t.Errorf("it prints on standard error: %s", r.Stderr)
	}
	if n := strings.Count(h.Log(), "Accepted publickey"); n != 1 {
		t.Errorf("%d connections, want one", n)
	}
	if left := h.Quiet(10*time.Second) + c.Quiet(10*time.Second); left != "" {
		t.Error(left)
	}
	if t.Failed() {
		t.Log(r)
	}
}
