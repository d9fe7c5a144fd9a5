//go:build e2e

package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

const parityDir = "../playbooks/parity"

// turns says with which pairs of a version and a target's Python a theme's playbooks run: one, taken in turn, without those that are for make
// soak only; or all of them, in make soak. A playbook that is not for the version of its theme's turn runs with the newest that it is for.
func turns(theme []parity.Playbook, number int) map[env.Pair][]parity.Playbook {
	out := map[env.Pair][]parity.Playbook{}
	pairs := env.Pairs()
	version, python, asked := os.Getenv("SPINDLE_PARITY_VERSION"), os.Getenv("SPINDLE_PARITY_PYTHON"), asked()
	for _, p := range theme {
		done := p.Soak
		for i, pair := range pairs {
			if !p.Runs(pair.Version.Name) || !p.Finds(pair.Python.Name) {
				continue
			}
			wanted := i == number%len(pairs) && !p.Soak
			switch {
			case version != "" && python == "":
				wanted = pair.Version.Name == version && pair.Python == pair.Version.Python()
			case asked:
				wanted = (version == "" || pair.Version.Name == version) && (python == "" || pair.Python.Name == python)
			}
			if wanted {
				out[pair] = append(out[pair], p)
				done = true
			}
		}
		for _, v := range slices.Backward(env.Versions) {
			if !done && !asked && p.Runs(v.Name) {
				pair := env.Pair{Version: v, Python: v.Python()}
				out[pair] = append(out[pair], p)
				done = true
			}
		}
	}
	return out
}

// asked says whether something else is wanted than the ordinary run.
func asked() bool {
	return os.Getenv("SPINDLE_PARITY_VERSION") != "" || os.Getenv("SPINDLE_PARITY_PYTHON") != "" || os.Getenv("SPINDLE_TEST_ALL") != ""
}

func themes(t *testing.T) (names []string, by map[string][]parity.Playbook) {
	t.Helper()
	all, err := parity.LoadAll(parityDir)
	if err != nil {
		t.Fatal(err)
	}
	by = map[string][]parity.Playbook{}
	for _, p := range all {
		p.Under(os.Getenv("SPINDLE_PARITY_STRATEGY"), os.Getenv("SPINDLE_TEST_ALL") != "")
		if by[p.Theme] == nil {
			names = append(names, p.Theme)
		}
		by[p.Theme] = append(by[p.Theme], p)
	}
	return names, by
}

// TestParity runs every parity playbook under a stock strategy and under ours, and compares all that can be seen.
func TestParity(t *testing.T) {
	names, by := themes(t)
	var mu sync.Mutex
	seen := map[string]bool{} // modules
	whole, ran := 0, 0
	t.Run("themes", func(t *testing.T) {
		for i, theme := range names {
			for pair, playbooks := range turns(by[theme], i) {
				batches := parity.Batches(playbooks, pair.Version.Name, os.Getenv("SPINDLE_PARITY_EACH") != "")
				whole += len(batches)
				t.Run(theme+"/"+pair.String(), func(t *testing.T) {
					t.Parallel()
					for _, b := range batches {
						t.Run(b.Name, func(t *testing.T) {
							used := batchIsTheSame(t, pair, b)
							mu.Lock()
							defer mu.Unlock()
							ran++
							for _, m := range used {
								seen[m] = true
							}
						})
					}
				})
			}
		}
	})
	asked := os.Getenv("SPINDLE_PARITY_VERSION")
	if ran == whole && (asked == "" || asked == env.Versions[len(env.Versions)-1].Name) { // nothing was left out with -run, and nothing broke off
		assertEveryModule(t, seen)
	}
}

// unused are the modules of ansible.builtin that no playbook uses, and why.
var unused = map[string]string{
	"yum": "another name of dnf since 2.17, and a redirection",
}

// static are those that leave no result of their own.
var static = []string{"import_playbook", "import_role", "import_tasks", "include_role", "include_tasks", "meta"}

// assertEveryModule asks the newest Ansible for its modules: each was used by some playbook, or it is said why not.
func assertEveryModule(t *testing.T, seen map[string]bool) {
	t.Helper()
	v := env.Versions[len(env.Versions)-1]
	c := env.New(t).Controller(t, v)
	o := c.ExecAs(t, env.Operator, "ansible-doc", "-t", "module", "-l", "ansible.builtin")
	if o.Code != 0 {
		t.Fatalf("ansible-doc: %+v", o)
	}
	t.Logf("%d names of modules are used", len(seen))
	for line := range strings.Lines(o.Stdout) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "ansible.builtin."), " ")
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if slices.Contains(static, name) && mentioned(t, name) {
			continue
		}
		if _, excused := unused[name]; !seen[name] && !excused {
			t.Errorf("no playbook uses the module %s", name)
		} else if seen[name] && excused {
			t.Errorf("the module %s is used: it needs no excuse", name)
		}
	}
}

// mentioned says whether some playbook has a task of a name.
func mentioned(t *testing.T, name string) bool {
	t.Helper()
	task := regexp.MustCompile(`(?m)^ *(- )?(ansible\.builtin\.)?` + name + ":")
	found := false
	err := filepath.WalkDir(parityDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || found || filepath.Ext(path) != ".yml" {
			return err
		}
		b, err := os.ReadFile(path)
		found = task.Match(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestThereAreEnoughPlaybooks holds the number that was promised.
func TestThereAreEnoughPlaybooks(t *testing.T) {
	all, err := parity.LoadAll(parityDir)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 150 {
		t.Errorf("there are %d parity playbooks, and should be 150", len(all))
	}
}

// TestTheOrdinaryRunLeavesNothingOut holds that what is left to make soak are playbooks, and never a theme or a pair.
func TestTheOrdinaryRunLeavesNothingOut(t *testing.T) {
	for _, name := range []string{"SPINDLE_PARITY_VERSION", "SPINDLE_PARITY_PYTHON", "SPINDLE_TEST_ALL"} {
		t.Setenv(name, "")
	}
	names, by := themes(t)
	used, secondly := map[env.Pair]bool{}, map[env.Version]bool{}
	missing := slices.Clone(second)
	for i, theme := range names {
		turn := turns(by[theme], i)
		if len(turn[env.Pairs()[i%len(env.Pairs())]]) == 0 {
			t.Errorf("of the theme %s no playbook runs in its turn", theme)
		}
		for pair, playbooks := range turn {
			used[pair] = true
			for _, b := range parity.Batches(playbooks, pair.Version.Name, false) {
				if i := slices.Index(missing, theme+"/"+b.Name); i >= 0 {
					missing = slices.Delete(missing, i, i+1)
					secondly[pair.Version] = true
				}
			}
		}
	}
	if len(missing) > 0 || len(secondly) != len(everyVersion()) {
		t.Errorf("by the callback plugin: there are no batches %v, and the releases are %v", missing, secondly)
	}
	for _, pair := range env.Pairs() {
		if !used[pair] {
			t.Errorf("no theme runs with %v", pair)
		}
	}
}

// failures are the results that ended a host's play, or else what was said.
func failures(d deed) string {
	out := ""
	for _, r := range d.records {
		if (r.Event == "failed" && !r.Ignored) || r.Event == "unreachable" {
			out += fmt.Sprintf("%s: %s: %s: %.300v\n", r.Playbook, r.Host, r.Task, r.Result["msg"])
		}
	}
	if out == "" {
		out = d.Run.Stderr
	}
	return out
}

// second are the batches of the ordinary run that go the second way, by our callback plugin, instead of the first: some of every release, with loops,
// tasks ahead, hosts that share workers, handlers, jobs and blocks.
var second = []string{
	"async/linear", "concurrency/linear", "flow/blocks_fatal,linear", "handlers/linear", "loops/with_keywords,linear", "sequences/linear", "strategies/free",
}

// batchIsTheSame compares one batch, and returns the modules that it used.
func batchIsTheSame(t *testing.T, pair env.Pair, b parity.Batch) []string {
	t.Helper()
	r := batchRun{name: b.Playbooks[0].Theme + "/" + b.Name, strategy: b.Strategy}
	for _, p := range b.Playbooks {
		r.playbook += " parity/" + p.Theme + "/" + filepath.Base(p.Path)
	}
	if p := b.Playbooks[0]; p.Alone {
		r.settings = p
	}
	want := r.baseline(t, pair, b.Playbooks[0].Theme)
	by := byName
	if !asked() && slices.Contains(second, r.name) {
		by = byCallback
	}
	got := r.perform(t, pair, askedWay(t, by))
	t.Logf("%s: stock %v, ours %v, all of it our way: %v", parity.Counts(want.records), want.Run.Took.Round(time.Second/10), got.Run.Took.Round(time.Second/10), got.ours)
	if fails := want.Run.Code != 0; fails != r.settings.Fails {
		t.Errorf("stock's exit code is %d, which is not what the playbook says:\n%s", want.Run.Code, failures(want))
	}
	if d := compare(t, want, got); d.Len() > 0 {
		t.Errorf("%d differences:\n%s", d.Len(), d.String())
	}
	var used []string
	for _, p := range b.Playbooks {
		done := false
		for _, rec := range parity.In(want.records, p.Name) {
			if rec.IsResult() && !strings.HasSuffix(rec.Event, "skipped") {
				done = true
				used = append(used, strings.TrimPrefix(strings.TrimPrefix(rec.Action, "ansible.builtin."), "ansible.legacy."))
			}
		}
		if !done && !p.Fails {
			t.Errorf("%s does nothing", p.Path)
		}
	}
	return used
}
