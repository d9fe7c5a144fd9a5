//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// workshop are the fresh machines that a parity playbook runs on; docs/development.md tells the stranger what is there.
type workshop struct {
	machines   map[string]*env.Machine
	controller *env.Controller
	inventory  string
}

func newWorkshop(t *testing.T, pair env.Pair) workshop {
	t.Helper()
	l := env.New(t)
	web1 := l.Host(t, env.HostOptions{Name: "web1", Root: env.RootOf(t, "workshop")})
	web2 := l.Host(t, env.HostOptions{Name: "web2", Root: pair.Python.Root(t)})
	c := l.Controller(t, pair.Version, web1, web2)
	python := ""
	if pair.Python.Path != "" {
		python = " ansible_python_interpreter=" + pair.Python.Path
	}
	lone := "web2"
	if pair.Python.Name == "3.11" { // web1 has that one, and more besides
		lone = "web1"
	}
	return workshop{
		machines:   map[string]*env.Machine{"web1": web1.Machine, "web2": web2.Machine, "controller": c.Machine},
		controller: c,
		inventory: fmt.Sprintf(`[web]
web1 ansible_host=%s ansible_user=deploy
web2 ansible_host=%s ansible_user=admin ansible_become_password=%s%s

[here]
local ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"

[lone]
%s

[all:vars]
refused_addr=%s
controller_addr=%s
`, web1.Addr, web2.Addr, env.AdminPassword, python, lone, env.RefusedAddr, env.ControllerAddr),
	}
}

// deed is what one run did: everything that has to be the same.
type deed struct {
	Run       env.Run
	Files     map[string]env.Files
	Processes map[string][]string // left on each machine

	records  []parity.Record
	machines map[string]*env.Machine
	ours     bool // every task went our way, and nobody has asked to keep files
	jobs     bool // some of it was left to run for itself
}

// batchRun is one run of ansible-playbook: what both sides have in common.
type batchRun struct {
	name     string
	playbook string // paths in the controller's directory, separated by spaces
	strategy string // without a prefix
	settings parity.Playbook
	beside   string // a directory to be put on the controller as "outside"
	list     string // an inventory instead of the usual one
}

// way is what a run goes through.
type way string

const (
	stock      way = ""
	byName     way = "mitogen_"  // Spindle's strategies
	byCallback way = "callback_" // the stock ones, with Spindle's callback plugin
)

// askedWay is the one that SPINDLE_PARITY_WAY and SPINDLE_TEST_ONLY_STOCK want for our runs, or the other.
func askedWay(t *testing.T, other way) way {
	t.Helper()
	if os.Getenv("SPINDLE_TEST_ONLY_STOCK") != "" {
		return stock
	}
	switch s := os.Getenv("SPINDLE_PARITY_WAY"); s {
	case "":
		return other
	case "strategy":
		return byName
	case "callback":
		return byCallback
	default:
		t.Fatalf("SPINDLE_PARITY_WAY is %q; there are strategy and callback", s)
		return ""
	}
}

// perform runs a batch on fresh machines.
func (b batchRun) perform(t *testing.T, pair env.Pair, by way) deed {
	t.Helper()
	w := newWorkshop(t, pair)
	prefix := ""
	if by == byName {
		prefix = string(by)
	}
	play := env.Play{
		Strategy: prefix + b.strategy, Callback: by == byCallback, Playbook: b.playbook, Inventory: w.inventory, Stdin: b.settings.Stdin, Limit: 10 * time.Minute,
		Config: map[string]string{"deprecation_warnings": "True", "library": env.PlayDir + "/library"},
		SSH:    map[string]string{"pipelining": "True", "ssh_args": "-o ControlMaster=auto -o ControlPersist=60s"},
		Env:    b.settings.Env,
		Args:   append([]string{"-e", "prefix=" + prefix}, b.settings.Args...),
	}
	for k, val := range pipelining(pair.Version) {
		play.Config[k] = val
	}
	if b.list != "" {
		play.Inventory = b.list
	}
	for k, val := range b.settings.Config {
		if k == "pipelining" || k == "ssh_args" {
			play.SSH[k] = val
		} else {
			play.Config[k] = val
		}
	}
	if b.beside != "" {
		w.controller.Put(t, b.beside, env.PlayDir+"/outside")
	}
	if b.settings.Terminal {
		play.Program = "script"
		play.Args = []string{"-qefc", "ansible-playbook " + strings.Join(append(play.Args, b.playbook), " "), "/dev/null"}
		play.Playbook = ""
	}
	before := w.controller.Files(t)
	d := deed{Run: w.controller.Play(t, play), Files: map[string]env.Files{}, Processes: map[string][]string{}, machines: w.machines}
	var err error
	if d.records, err = parity.ParseAll(d.Run.Records); err != nil {
		t.Fatalf("%v\n%v", err, d.Run)
	}
	if dir := os.Getenv("SPINDLE_TEST_DUMP"); dir != "" {
		name := filepath.Join(dir, strings.ReplaceAll(b.name, "/", "-")+"-"+pair.String()+"-"+string(by)+b.strategy)
		_ = os.WriteFile(name+".jsonl", d.Run.Records, 0o644)
		_ = os.WriteFile(name+".out", []byte(d.Run.Stdout), 0o644)
		_ = os.WriteFile(name+".err", []byte(d.Run.Stderr), 0o644)
	}
	d.ours = by != stock && !b.staysStock(t, d.Run)
	d.jobs = bytes.Contains(d.Run.Records, []byte(`"ansible_job_id"`))
	for name, m := range w.machines {
		d.Files[name] = filesOf(t, m, before)
		d.Processes[name] = processesOf(m)
	}
	return d
}

var fileRules = func() (out []*regexp.Regexp) {
	for _, r := range parity.Files {
		out = append(out, regexp.MustCompile("^(?:"+r.Path+")$"))
	}
	return out
}()

// filesOf is what a run wrote on a machine, by the rules; the controller's playbooks were there before. Random parts of names are made
// alike; files that then have one name are numbered.
func filesOf(t *testing.T, m *env.Machine, before env.Files) env.Files {
	t.Helper()
	all := m.Files(t)
	if strings.HasPrefix(m.Name, "controller") {
		for path, was := range before {
			if is, ok := all[path]; !ok {
				all[path] = env.File{Kind: "gone"}
			} else if is == was {
				delete(all, path)
			}
		}
	}
	out := env.Files{}
	var paths []string
	for path := range all {
		paths = append(paths, path)
	}
	slices.Sort(paths)
next:
	for _, path := range paths {
		f := all[path]
		for i, rule := range parity.Files {
			if !fileRules[i].MatchString(path) {
				continue
			}
			switch {
			case rule.Keep:
				f.Size, f.Digest, f.Time = 0, "", 0
			case rule.Mode:
				f.Mode, f.Time = 0, 0
			default:
				continue next
			}
		}
		name := parity.Rewrite(path, parity.All())
		for n := 2; ; n++ {
			if _, ok := out[name]; !ok {
				break
			}
			name = fmt.Sprintf("%s (%d)", parity.Rewrite(path, parity.All()), n)
		}
		out[name] = f
	}
	return out
}

// otherWay are plays that name a strategy of Ansible's own, and keeps a run that does not remove its files.
var (
	otherWay = regexp.MustCompile(`(?m)^[- ]*(ansible\.builtin\.)?strategy: *['"]?(ansible\.builtin\.)?(linear|free|host_pinned|debug)\b`)
	keeps    = regexp.MustCompile(`(?i)keep_remote_files`)
)

// staysStock says whether something of a run of ours went the stock way, or was told to keep its files.
func (b batchRun) staysStock(t *testing.T, r env.Run) bool {
	t.Helper()
	settings := fmt.Sprint(b.settings.Env, b.settings.Config, b.settings.Args)
	if strings.Contains(r.Stderr+r.Stdout, "[WARNING]: Spindle: ") || keeps.MatchString(settings) {
		return true
	}
	for path := range strings.FieldsSeq(b.playbook) {
		from := filepath.Join("../playbooks", path)
		if b.beside != "" {
			from = filepath.Join(b.beside, filepath.Base(path))
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if otherWay.Match(text) || keeps.Match(text) {
			return true
		}
	}
	return false
}

// ofOurs are names of what agents make; base is the directory for temporary ones, or one above it.
var (
	ofOurs = regexp.MustCompile(`ansible[_-]mitogen|ansible-spindle|ansible-tmp-`)
	base   = regexp.MustCompile(`/\.ansible(/tmp)?$`)
)

// leftOf lists what agents should have removed: what has a name of ours, and directories for temporary files that hold nothing. These stay where
// a job had its own in them when the agent ended, which an account also has from facts that are gathered side by side.
func leftOf(files env.Files, jobs bool) []string {
	var out []string
	full := map[string]bool{}
	for path := range files {
		full[filepath.Dir(path)] = true
	}
	for path, f := range files {
		home, _, _ := strings.Cut(path, "/.ansible")
		_, async := files[home+"/.ansible_async"]
		jobs := jobs || async
		if f.Kind != "gone" && (ofOurs.MatchString(path) || !jobs && f.Kind == "dir" && base.MatchString(path) && !full[path]) {
			out = append(out, fmt.Sprintf("%s: %v", path, f))
		}
	}
	slices.Sort(out)
	return out
}

// left is what is left of ours on a target some time after a run: jobs may go on for a while, and what they need is theirs.
func left(t *testing.T, m *env.Machine, jobs bool) []string {
	t.Helper()
	var found []string
	_ = env.Poll(15*time.Second*env.Patience(), func() string {
		found = nil
		for _, p := range m.Processes() {
			if p.Matches("async_wrapper") {
				return "a job"
			}
		}
		found = leftOf(m.Files(t), jobs)
		return strings.Join(found, "\n")
	})
	return found
}

// baseline is a stock run. While working on Spindle, SPINDLE_TEST_BASELINE names a directory in which they are kept from one test run to the
// next, until the theme changes.
func (b batchRun) baseline(t *testing.T, pair env.Pair, theme string) deed {
	t.Helper()
	dir := os.Getenv("SPINDLE_TEST_BASELINE")
	if dir == "" {
		return b.perform(t, pair, stock)
	}
	sum := digestOf(t, filepath.Join(parityDir, theme), "../playbooks/library", "../playbooks/callback_plugins", "../env/testdata")
	keep := filepath.Join(dir, strings.ReplaceAll(b.name, "/", "-")+"-"+pair.String()+"-"+b.strategy+"-"+sum+".json")
	var d deed
	if text, err := os.ReadFile(keep); err == nil && json.Unmarshal(text, &d) == nil {
		if d.records, err = parity.ParseAll(d.Run.Records); err != nil {
			t.Fatal(err)
		}
		return d
	}
	d = b.perform(t, pair, stock)
	if text, err := json.Marshal(d); err == nil && !d.Run.Hung {
		_ = os.WriteFile(keep, text, 0o644)
	}
	return d
}

// connecting are the processes of the connections themselves.
var connecting = regexp.MustCompile(`^(sshd?|sshd-session|\(sd-pam\)|ssh: .*)$`)

// processesOf are those that a run has left, without the connections.
func processesOf(m *env.Machine) []string {
	var out []string
	for _, p := range m.Processes() {
		if connecting.MatchString(p.Name) || strings.HasPrefix(strings.Join(p.Args, " "), "sshd") {
			continue
		}
		out = append(out, parity.Rewrite(fmt.Sprintf("uid %d: %s", p.UID, strings.Join(p.Args, " ")), parity.All()))
	}
	slices.Sort(out)
	return out
}

// compare lists all differences of two runs, grouped.
func compare(t *testing.T, want, got deed) parity.Report {
	t.Helper()
	var r parity.Report
	if want.Run.Hung || got.Run.Hung {
		r.Add("end", fmt.Sprintf("stock hung: %v, ours hung: %v", want.Run.Hung, got.Run.Hung))
	}
	if want.Run.Code != got.Run.Code {
		r.Add("end", fmt.Sprintf("exit code %d, want %d", got.Run.Code, want.Run.Code))
	}
	r.Add("results", parity.Compare(want.records, got.records, parity.All())...)
	r.Add("announcements", parity.Announced(want.records, got.records)...)
	if r.Len() == 0 { // else it says the same again
		r.Add("standard output", parity.Printed(want.Run.Stdout, got.Run.Stdout, parity.All())...)
	}
	r.Add("standard error", parity.Said(want.Run.Stderr, got.Run.Stderr, parity.All())...)
	for _, name := range []string{"web1", "web2"} {
		if m := got.machines[name]; m != nil && got.ours {
			r.Add("left of ours on "+name, left(t, m, got.jobs)...)
		}
	}
	for _, name := range []string{"controller", "web1", "web2"} {
		r.Add("files of "+name, want.Files[name].Diff(got.Files[name])...)
		// What ends by itself may take a moment, and longer on a machine with other things to do.
		left := got.Processes[name]
		_ = env.Poll(15*time.Second, func() string {
			if slices.Equal(want.Processes[name], left) {
				return ""
			}
			left = processesOf(got.machines[name])
			if m := want.machines[name]; m != nil {
				want.Processes[name] = processesOf(m)
			}
			return "differs"
		})
		r.Add("processes left on "+name, parity.Said(strings.Join(want.Processes[name], "\n\n"), strings.Join(left, "\n\n"), nil)...)
	}
	return r
}
