//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// futureHosts is how many the inventory has, on two machines.
const futureHosts = 3

// futureParents shows who runs a loop's items.
const futureParents = `    - {name: parents, ansible.builtin.command: sh -c 'ps -o ppid= -p $PPID', loop: [1, 2]}
`

const futurePlay = `
- hosts: all
  gather_subset: [min]
  tasks:
    - {name: items, ansible.builtin.command: "echo {{ inventory_hostname }} {{ item }}", loop: [1, 2, 3]}
` + futureParents + `    - {name: root, ansible.builtin.command: id -un, become: true}
    - {name: files, ansible.builtin.copy: {content: "{{ item }} {{ ansible_facts.system }}\n", dest: "/tmp/{{ inventory_hostname }}-{{ item }}", mode: "0640"}, loop: [a, b, c]}
    - {name: fetch, ansible.builtin.fetch: {src: "/tmp/{{ inventory_hostname }}-c", dest: "fetched/{{ inventory_hostname }}", flat: true}}
    - {name: fetched, ansible.builtin.debug: {msg: "{{ lookup('file', 'fetched/' ~ inventory_hostname) }}"}}
    - {name: raw, ansible.builtin.raw: "echo raw"}
    - {name: clean, ansible.builtin.file: {path: "/tmp/{{ inventory_hostname }}-{{ item }}", state: absent}, loop: [a, b, c]}
    - {name: fails, ansible.builtin.shell: exit 3, ignore_errors: true}
    - {name: ends one, ansible.builtin.shell: exit 4, when: inventory_hostname == 'two_root'}
    - {name: behind, ansible.builtin.command: echo behind}
`

// future is a controller that has releases of Ansible which nobody has seen, side by side: copies of the newest one there is.
type future struct {
	c     *env.Controller
	hosts []*env.Host
	lines string
	stock map[string]env.Run // by strategy: what is changed changes nothing for Ansible itself
}

func newFuture(t *testing.T) *future {
	l := env.New(t)
	f := &future{stock: map[string]env.Run{}}
	for name, users := range map[string][]string{"one": {"deploy"}, "two": {"deploy", "root"}} {
		h := l.Host(t, env.HostOptions{Name: name})
		f.hosts = append(f.hosts, h)
		for _, user := range users {
			f.lines += fmt.Sprintf("%s_%s ansible_host=%s ansible_user=%[2]s ansible_python_interpreter=/usr/bin/python3\n", name, user, h.Addr)
		}
	}
	f.c = l.Controller(t, env.Versions[len(env.Versions)-1], f.hosts...)
	f.c.Write(t, env.PlayDir+"/future.yml", futurePlay, 0o644)
	f.c.Write(t, env.PlayDir+"/parents.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n"+futureParents, 0o644)
	f.c.InstallSpindle(t)
	return f
}

// release makes one more copy, changed by pairs of a file and a script for sed. It tells in /var/tmp/trials of each trial that is run with it.
func (f *future) release(t *testing.T, name string, changes ...string) {
	t.Helper()
	top := "/opt/" + name
	f.c.MustExec(t, "sh", "-c", fmt.Sprintf("mkdir -p %[1]s && cp -a /usr/lib/python3/dist-packages/ansible %[1]s/", top))
	changes = append(changes, "release.py", `s/^__version__ = .*/__version__ = "2.99.0"/`,
		"cli/playbook.py", `$ a import os; os.environ.get("SPINDLE_TRIAL") and open("/var/tmp/trials", "a").write("x")`)
	for i := 0; i < len(changes); i += 2 {
		path := top + "/ansible/" + changes[i]
		f.c.MustExec(t, "sh", "-c", `cp "$1" /tmp/was && sed -E -i "$2" "$1" && ! cmp -s /tmp/was "$1" && rm /tmp/was`, "sh", path, changes[i+1])
	}
	if said := f.c.ExecAs(t, env.Operator, "env", "PYTHONPATH="+top, "ansible-playbook", "--version"); !strings.Contains(said.Stdout, "2.99.0") {
		t.Fatalf("%s: %v", name, said)
	}
}

// futureWay is how a run comes to Spindle.
type futureWay struct {
	strategy string // of Ansible's
	callback bool   // by callbacks_enabled, and not by the strategy's name
}

func (w futureWay) String() string {
	if w.callback {
		return "callback " + w.strategy
	}
	return "mitogen_" + w.strategy
}

func (f *future) play(t *testing.T, playbook, release string, w *futureWay, strategy string, more ...string) env.Run {
	t.Helper()
	p := env.Play{
		Strategy: strategy, Playbook: playbook, Inventory: f.lines, Env: append([]string{"PYTHONPATH=/opt/" + release}, more...), Limit: 5 * time.Minute,
		Config: map[string]string{"forks": "3"}, SSH: map[string]string{"ssh_args": "-o ControlMaster=auto -o ControlPersist=2s", "pipelining": "True"},
	}
	switch {
	case w == nil:
	case w.callback:
		p.Callback = true
	default:
		p.Strategy = "mitogen_" + w.strategy
	}
	f.c.MustExec(t, "rm", "-rf", env.PlayDir+"/fetched")
	return f.c.Play(t, p)
}

func (f *future) trials() int {
	b, _ := os.ReadFile(f.c.Root() + "/var/tmp/trials")
	return len(b)
}

// futureKept are files that runs may leave on the controller.
var futureKept = regexp.MustCompile(`^/home/ops/(record\.jsonl|play/(ansible\.cfg|hosts\.ini|fetched(/.*)?)|\.ansible(/.*)?|\.cache/spindle/passed-[0-9a-f]{24}|\.cache(/spindle)?|(.*/)?__pycache__(/.*)?)$|^/var/tmp/trials$`)

// parents takes out what the task of that name said, by host: once where an agent has run all of it.
func parents(rs []parity.Record) (map[string][]string, []parity.Record) {
	out := map[string][]string{}
	rest := slices.DeleteFunc(rs, func(r parity.Record) bool {
		if r.Event == "item_ok" && r.Task == "parents" {
			if said := fmt.Sprint(r.Result["stdout"]); !slices.Contains(out[r.Host], said) {
				out[r.Host] = append(out[r.Host], said)
			}
		}
		return r.Task == "parents"
	})
	return out, rest
}

// check runs the play by a way, and compares it with stock Ansible's. Whether it goes over Spindle shows in the parents of what it runs. If it does not, there has to be
// one warning, with these words.
func (f *future) check(t *testing.T, release string, w futureWay, warning string, more ...string) {
	t.Helper()
	if _, ok := f.stock[w.strategy]; !ok {
		f.stock[w.strategy] = f.play(t, "future.yml", release, nil, w.strategy)
	}
	want := f.stock[w.strategy]
	if want.Code != 2 {
		t.Fatalf("the stock run: %v", want)
	}
	before := f.c.Files(t)
	got := f.play(t, "future.yml", release, &w, w.strategy, more...)
	a, errA := parity.Parse(want.Records)
	b, errB := parity.Parse(got.Records)
	if errA != nil || errB != nil || len(a) < 50 {
		t.Fatalf("%v, %v, %d records: %v", errA, errB, len(a), got)
	}
	_, a = parents(a)
	agents, b := parents(b)
	rules, stderr, each := parity.All(), got.Stderr, 1
	if warning != "" {
		rules, each = parity.Times, 2
		said := regexp.MustCompile(`(?m)^\[WARNING\]: Spindle is not used, (.+\n)+`).FindAllString(stderr, -1)
		if len(said) != 1 || !strings.Contains(strings.Join(strings.Fields(said[0]), " "), warning) {
			t.Errorf("warnings %q, want one that says %q", said, warning)
		}
		if len(said) > 0 {
			stderr = strings.Replace(stderr, said[0], "", 1)
		}
	}
	if len(agents) != futureHosts {
		t.Errorf("parents of %d hosts: %v", len(agents), agents)
	}
	for host, pids := range agents {
		if len(pids) != each {
			t.Errorf("%s: the items have %d parents, want %d: it went the wrong way", host, len(pids), each)
		}
	}
	if got.Code != want.Code || got.Hung {
		t.Errorf("code %d, want %d", got.Code, want.Code)
	}
	if d := parity.Compare(a, b, rules); len(d) > 0 {
		t.Errorf("results differ:\n%s", parity.Summary(d, 30))
	}
	if d := parity.Said(want.Stderr, stderr, rules); len(d) > 0 {
		t.Errorf("standard error differs:\n%s", strings.Join(d, "\n"))
	}
	if left := f.c.Quiet(10 * time.Second); left != "" {
		t.Error(left)
	}
	after := f.c.Files(t)
	for _, path := range slices.Sorted(maps.Keys(after)) {
		if after[path] != before[path] && !futureKept.MatchString(path) {
			t.Errorf("left on the controller: %s: %v", path, after[path])
		}
	}
	for _, h := range f.hosts {
		if left := h.Quiet(10 * time.Second); left != "" {
			t.Error(left)
		}
		for _, path := range slices.Sorted(maps.Keys(h.Files(t))) {
			if strings.HasPrefix(path, "/tmp") || strings.HasPrefix(path, "/var/tmp") || strings.Contains(path, "ansible_mitogen") {
				t.Errorf("left on %s: %s", h.Name, path)
			}
		}
	}
	t.Logf("stock %v, ours %v", want.Took.Round(time.Second/10), got.Took.Round(time.Second/10))
	if t.Failed() {
		t.Logf("%v", got)
	}
}

// TestAReleaseOfTheFuture runs newer releases of ansible-core than any that is known. The ordinary run takes a part of the ways to each.
func TestAReleaseOfTheFuture(t *testing.T) {
	f := newFuture(t)
	everything := os.Getenv("SPINDLE_TEST_ALL") != ""
	all := []futureWay{{"linear", false}, {"free", false}, {"host_pinned", false}, {"linear", true}, {"free", true}, {"host_pinned", true}}
	f.release(t, "same")
	t.Run("same", func(t *testing.T) { f.same(t, all, everything) })
	t.Run("notes", func(t *testing.T) { f.notes(t, everything) })
	// These differ in what Spindle hangs on, each in a way that is found out in another place.
	for _, r := range []struct {
		name, warning string
		way           futureWay
		changes       []string
	}{
		{"imported", "_add_module_to_zip", futureWay{"free", true}, []string{"executor/module_common.py", `s/_add_module_to_zip/_put_module_into_zip/`}},
		{"arguments", "ActionBase._make_tmp_path takes other arguments", futureWay{"host_pinned", false}, []string{
			"plugins/action/__init__.py", `s/def _make_tmp_path\(self, /def _make_tmp_path(self, elsewhere=None, /`,
		}},
		// Calls past what Spindle puts in its place, so that modules go nowhere.
		{"commands", "a small play failed", futureWay{"linear", false}, []string{
			"plugins/action/__init__.py", `s/self\._low_level_execute_command\($/ActionBase._low_level_execute_command(self,/`,
		}},
		// Sets what a task needs where only a worker of one host's comes by.
		{"workers", "a small play failed", futureWay{"linear", true}, []string{
			"executor/process/worker.py", `s/^( +)self\._detach\(\)$/\1self._detach()\n\1self._ready = True/; s/^( +)self\._task\.squash\(\)$/\1assert self._ready\n\1self._task.squash()/`,
		}},
	} {
		t.Run(r.name, func(t *testing.T) {
			f.release(t, r.name, r.changes...)
			notes := f.noted(t)
			for _, w := range all {
				if everything || w == r.way {
					t.Run(w.String(), func(t *testing.T) { f.check(t, r.name, w, r.warning) })
				}
			}
			if now := f.noted(t); !slices.Equal(notes, now) {
				t.Errorf("noted as working: %v, and before there were %v", now, notes)
			}
		})
	}
}

const futureNotes = "/home/ops/.cache/spindle"

// noted are the notes that a release works.
func (f *future) noted(t *testing.T) []string {
	t.Helper()
	return strings.Fields(f.c.Exec(t, "sh", "-c", "ls -d "+futureNotes+"/passed-*").Stdout)
}

// same uses a release that has changed in nothing that matters. It is found out once that it works.
func (f *future) same(t *testing.T, all []futureWay, everything bool) {
	runs := 0
	for _, w := range all {
		if !everything && w.callback != (w.strategy == "free") {
			continue
		}
		t.Run(w.String(), func(t *testing.T) {
			f.check(t, "same", w, "")
			runs++
			if n := f.trials(); n != 1 {
				t.Errorf("%d trials in %d runs, want one", n, runs)
			}
			if notes := f.noted(t); len(notes) != 1 {
				t.Errorf("notes %q, want one", notes)
			}
		})
	}
}

// notes spoils the place of the note. Whatever has become of it, the run is as good: at most, the release is tried again.
func (f *future) notes(t *testing.T, everything bool) {
	notes := f.noted(t)
	if len(notes) != 1 {
		t.Fatalf("notes %q, want one", notes)
	}
	for _, broken := range []struct {
		name, script string
		more         []string
		tried, often bool
	}{
		{"not writable", "rm $note; chown root $dir; chmod 555 $dir", nil, true, true},
		{"not readable", "rm -f $note; chown root $dir; chmod 700 $dir", nil, true, false},
		{"a directory", "rm -f $note; mkdir $note; chown ops $dir; chmod 700 $dir", nil, false, true},
		{"garbage", "rm -rf $note; head -c 1000 /dev/urandom >$note; chown ops $dir $note; chmod 700 $dir", nil, false, false},
		{"a link to nowhere", "rm -rf $note; ln -s nowhere/at/all $note; chown ops $dir; chmod 700 $dir", nil, true, true},
		{"no directory", "true", []string{"XDG_CACHE_HOME=/dev/null"}, true, false},
		{"relative", "true", []string{"XDG_CACHE_HOME=cache"}, true, false},
		{"no home", "true", []string{"HOME=/nonexistent", "ANSIBLE_HOME=/home/ops/.ansible"}, true, true},
	} {
		if !broken.often && !everything {
			continue
		}
		t.Run(broken.name, func(t *testing.T) {
			before := f.trials()
			f.c.MustExec(t, "sh", "-c", "note="+notes[0]+" dir="+futureNotes+"; "+broken.script)
			r := f.play(t, "parents.yml", "same", &futureWay{strategy: "linear"}, "", broken.more...)
			records, err := parity.Parse(r.Records)
			if err != nil || r.Code != 0 || r.Stderr != "" {
				t.Errorf("%v, %v", err, r)
			}
			if agents, _ := parents(records); len(agents) != futureHosts || len(agents["two_root"]) != 1 {
				t.Errorf("it did not go over Spindle: %v", agents)
			}
			if left := f.c.Quiet(10 * time.Second); left != "" {
				t.Error(left)
			}
			if tried := f.trials() > before; tried != broken.tried {
				t.Errorf("tried again: %v, want %v", tried, broken.tried)
			}
		})
	}
	f.c.MustExec(t, "rm", "-rf", notes[0])
}
