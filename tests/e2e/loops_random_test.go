//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// pick returns one of the words.
func pick(r *rand.Rand, words ...string) string { return words[r.IntN(len(words))] }

// randomLoop writes a task with a loop. Everything that a loop can be asked for comes in some of them, whether its items
// depend on each other or not: which of them are sent ahead is not the test's to know. Hosts have files of their own, as several may
// delegate to one, in any order. Broken says whether a failed_when may be: before 2.19 stock Ansible may break down at its text, early or late.
func randomLoop(r *rand.Rand, number int, broken bool) string {
	var items []string
	for range 3 + r.IntN(5) {
		items = append(items, strconv.Itoa(r.IntN(4)))
	}
	log := fmt.Sprintf("echo {{ item }} >>/tmp/random-{{ inventory_hostname }}-%d", number)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("    - name: random %d", number)
	switch r.IntN(6) {
	case 0:
		line("      command: echo {{ item }} %s", pick(r, "", "{{ out.rc | default('-') }}", "{{ word }}", "{{ last }}"))
	case 1, 2:
		line("      shell: %s; echo %s; exit %s", log, pick(r, "x", "{{ word ~ item }}", "{{ last }}"), pick(r, "0", "{{ item }}"))
	case 3:
		line("      lineinfile: {path: \"/tmp/random-{{ inventory_hostname }}-%d\", line: \"{{ item }}\", create: true, mode: '0600'}", number)
	case 4:
		line("      stat: {path: \"/tmp/random-{{ inventory_hostname }}-{{ item }}\"}")
	case 5:
		line("      file: {path: \"/tmp/random-dir-{{ inventory_hostname }}-{{ item }}\", state: %s, mode: '0700'}", pick(r, "directory", "absent", "touch", "nonsense"))
	}
	line("      loop: [%s]", strings.Join(items, ", "))
	line("      ignore_errors: %s", pick(r, "true", "true", "\"{{ item != 9 }}\""))
	may := func(in int, format string, args ...any) {
		if r.IntN(in) == 0 {
			line("      "+format, args...)
		}
	}
	may(2, "register: %s", pick(r, "out", "out", "other"))
	may(3, "when: %s", pick(r, "item != 2", "item is odd", "out is not failed", "item < 9", "other is undefined or other.rc | default(0) == 0", "no_such or item"))
	fails := pick(r, "item == 3", "(out.rc | default(0)) > 1", "bad", "no_such")
	if fails == "no_such" && !broken {
		fails = "item == 1"
	}
	may(3, "failed_when: %s", fails)
	may(3, "changed_when: %s", pick(r, "false", "item == 1", "out.rc | default(1) == 0"))
	may(4, "become: %s", pick(r, "true", "\"{{ item == 1 }}\""))
	may(4, "environment: {A: \"%s\"}", pick(r, "x", "{{ item }}", "{{ last }}"))
	may(6, "no_log: %s", pick(r, "true", "\"{{ item == 1 }}\""))
	may(5, "delegate_to: %s", pick(r, "web1", "\"{{ 'web1' if item else 'web2' }}\""))
	may(8, "vars: {spindle_pipeline: %s}", pick(r, "true", "false"))
	may(4, "loop_control: {%s}", pick(r, "label: \"<{{ item }}>\"", "index_var: at", "extended: true", "label: \"{{ out.rc | default(0) }}\"", "extended: true, label: \"{{ ansible_loop.index }}\""))
	return b.String()
}

// TestRandomLoopsAreTheSame compares loops that were made up with stock Ansible's: results, order, output, files.
// SPINDLE_TEST_SEED repeats a run.
func TestRandomLoopsAreTheSame(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("SPINDLE_TEST_SEED"), 10, 64); err == nil {
		seed = s
	}
	versions := everyVersion()
	for i, v := range versions {
		t.Run(v.Name, func(t *testing.T) {
			if os.Getenv("SPINDLE_TEST_ALL") == "" && os.Getenv("SPINDLE_TEST_SEED") == "" && i != int(seed%uint64(len(versions))) {
				return // in turn; make soak takes them all
			}
			t.Logf("SPINDLE_TEST_SEED=%d", seed)
			r := rand.New(rand.NewPCG(seed, 5))
			var b strings.Builder
			b.WriteString("- hosts: web\n  gather_facts: false\n  vars:\n    word: w\n    last: \"{{ out.stdout | default('none') }}\"\n    bad: \"{{ item == 2 }}\"\n  tasks:\n")
			for n := range 25 {
				b.WriteString(randomLoop(r, n, v != env.Oldest && v != env.Versions[0]))
			}
			path := filepath.Join(t.TempDir(), "random.yml")
			if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			book, err := parity.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			run := batchRun{name: book.Name, strategy: "linear", settings: book, beside: filepath.Dir(path), playbook: "outside/random.yml"}
			on := env.Pair{Version: v, Python: v.Python()}
			want, got := run.perform(t, on, stock), run.perform(t, on, askedWay(t, byName))
			if d := compare(t, want, got); d.Len() > 0 {
				t.Errorf("%d differences (- stock, + ours):\n%s\n%s", d.Len(), d.String(), b.String())
			}
			t.Log(parity.Counts(want.records))
		})
	}
}
