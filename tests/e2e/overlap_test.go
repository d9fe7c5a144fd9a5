//go:build e2e

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// overlapPlay has tasks that wait for each other: every task of a group of as many as there are forks waits until all of its group, and
// of those before it, have started. So it can only go on if they are at work at the same time, however slow the machine is. Then it takes a second.
const overlapPlay = `
- hosts: many
  gather_facts: false
  tasks:
    - name: meet
      ansible.builtin.shell: |
        mkdir -p {{ place }}; : >{{ place }}/{{ number }}
        want=$(( ({{ number }} / {{ forks }} + 1) * {{ forks }} )); n=0
        while there=$(ls {{ place }} | wc -l); [ $there -lt $want ]; do
          n=$((n + 1)); [ $n -lt 1200 ] || { echo "$there of $want after two minutes" >&2; exit 9; }
          sleep 0.1
        done
        [ $there -le $((want + {{ forks }})) ] || { echo "$there have started, and {{ forks }} may be at work" >&2; exit 8; }
        sleep 1
      delegate_to: "{{ where }}"
`

// TestDelegatedTasksOverlap gives one account two hundred tasks, of as many hosts: always as many are at work as there are forks.
func TestDelegatedTasksOverlap(t *testing.T) {
	const most, forks = 200, 20
	l := env.New(t)
	h := l.Host(t, env.HostOptions{Name: "web1"})
	c := l.Controller(t, env.Versions[len(env.Versions)-1], h)
	c.Write(t, env.PlayDir+"/overlap.yml", overlapPlay, 0o644)
	var list strings.Builder
	list.WriteString(line(h, "") + "[many]\n")
	for i := range most {
		fmt.Fprintf(&list, "m%d number=%d\n", i, i)
	}
	for _, tc := range []struct {
		where, strategy string
		tasks           int
	}{{"localhost", "mitogen_linear", most}, {"localhost", "mitogen_free", 60}, {"web1", "mitogen_linear", 60}} {
		t.Run(tc.where+"/"+tc.strategy, func(t *testing.T) {
			r := c.Play(t, env.Play{
				Strategy: tc.strategy, Playbook: "overlap.yml", Inventory: list.String(), Limit: 5 * time.Minute, Config: map[string]string{"forks": strconv.Itoa(forks)},
				Args: []string{"-e", "place=/tmp/meeting-" + tc.strategy, "-e", "where=" + tc.where, "-e", fmt.Sprintf("forks=%d", forks), "--limit", fmt.Sprintf("many[0:%d]", tc.tasks-1)},
			})
			records, err := parity.Parse(r.Records)
			if err != nil || r.Code != 0 {
				t.Fatalf("play: %v %v", err, r)
			}
			done := 0
			for _, rec := range records {
				if rec.Event == "ok" && rec.Task == "meet" {
					done++
				}
			}
			if done != tc.tasks {
				t.Errorf("%d tasks were done, want %d", done, tc.tasks)
			}
			t.Logf("%d tasks of a second each, %d at once: %v", tc.tasks, forks, r.Took.Round(time.Second/10))
			if left := h.Quiet(20*time.Second) + c.Quiet(20*time.Second); left != "" {
				t.Error(left)
			}
		})
	}
}
