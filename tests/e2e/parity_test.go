//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// place is a set of fresh machines for one run of the tour.
type place struct {
	hosts      []*env.Host
	controller *env.Controller
}

func newPlace(t *testing.T, v env.Version) place {
	l := env.New(t)
	root := v.Root(t)
	p := place{hosts: []*env.Host{l.Host(t, env.HostOptions{Name: "web1", Root: root}), l.Host(t, env.HostOptions{Name: "web2", Root: root})}}
	p.controller = l.Controller(t, v, p.hosts...)
	return p
}

// inventory is the same text for every run: the addresses of a lab are.
func (p place) inventory() string {
	return fmt.Sprintf(`[all]
web1 ansible_host=%[1]s ansible_user=deploy
web2 ansible_host=%[2]s ansible_user=admin ansible_become_password=%[3]s
bad  ansible_host=%[2]s ansible_user=deploy ansible_python_interpreter=/usr/bin/python3
gone ansible_host=%[4]s ansible_user=deploy
`, p.hosts[0].Addr, p.hosts[1].Addr, env.AdminPassword, env.RefusedAddr)
}

// outcome is everything about one run that has to be equal.
type outcome struct {
	Run   env.Run
	Files map[string]env.Files

	records []parity.Record
}

func tour(t *testing.T, v env.Version, strategy string) outcome {
	t.Helper()
	p := newPlace(t, v)
	run := p.controller.Play(t, env.Play{
		Strategy: strategy, Playbook: "tour.yml", Inventory: p.inventory(), Limit: 6 * time.Minute,
		Config: pipelining(v),
		SSH:    map[string]string{"pipelining": "True", "ssh_args": "-o ControlMaster=auto -o ControlPersist=60s"},
	})
	t.Logf("%s %s: %v", v.Name, strategy, run.Took.Round(time.Second/10))
	records, err := parity.Parse(run.Records)
	if err != nil {
		t.Fatalf("%s: %v\n%v", strategy, err, run)
	}
	if os.Getenv("SPINDLE_TEST_DUMP") != "" {
		_ = os.WriteFile(fmt.Sprintf("%s/%s-%s.jsonl", os.Getenv("SPINDLE_TEST_DUMP"), v.Name, strategy), run.Records, 0o644)
		_ = os.WriteFile(fmt.Sprintf("%s/%s-%s.txt", os.Getenv("SPINDLE_TEST_DUMP"), v.Name, strategy), []byte(run.String()), 0o644)
	}
	o := outcome{run, map[string]env.Files{}, records}
	for _, h := range p.hosts {
		o.Files[h.Name] = h.Files(t).Without(incidental...)
	}
	o.Files["controller"] = p.controller.Files(t).Without(incidental...)
	for path, f := range o.Files["controller"] {
		if strings.Contains(path, "/fetched/") { // Mitogen's fetch gives the copy the mode of the original
			f.Mode = 0
			o.Files["controller"][path] = f
		}
	}
	return o
}

// pipelining is where the oldest release looks for it; newer ones need no more than what is set for ssh.
func pipelining(v env.Version) map[string]string {
	if v == env.Oldest {
		return map[string]string{"pipelining": "True"}
	}
	return nil
}

// incidental are files in which two runs of anything differ, and those that belong to a strategy and not to the play.
var incidental = []*regexp.Regexp{
	regexp.MustCompile(`^/var/log(/|$)|^/var/lib/(sudo|apt|dpkg)(/|$)|^/run/|^/var/cache/`),
	regexp.MustCompile(`^/etc/ssh/|^/home/[^/]+/\.ssh(/|$)|^/root/\.ssh(/|$)`),
	regexp.MustCompile(`^/home/[^/]+/\.ansible(/|$)|^/root/\.ansible(/|$)|^/home/[^/]+/\.ansible_async(/|$)|^/root/\.ansible_async(/|$)`),
	regexp.MustCompile(`^/home/ops/(record\.jsonl|play/ansible\.cfg|\.local(/|$)|\.cache(/|$))|^/usr/local/bin/spindle$|/__pycache__(/|$)`),
	regexp.MustCompile(`^/etc/[^/]*-$`),                   // backups of passwd and the like, with the date of the day
	regexp.MustCompile(`/plain\.txt\.\d+\.|/page\.\d+\.`), // backups named by pid and time
	regexp.MustCompile(`^/tmp/tour-[^/]+\.tgz$`),          // gzip writes the time
}

func assertSame(t *testing.T, want, got outcome) {
	t.Helper()
	if want.Run.Hung || got.Run.Hung {
		t.Fatalf("a run hung: %v\n%v", want.Run, got.Run)
	}
	if want.Run.Code != got.Run.Code {
		t.Errorf("exit code %d, want %d", got.Run.Code, want.Run.Code)
	}
	if n := len(parity.Of(want.records, "web1")); n < 100 {
		t.Fatalf("the stock run has only %d results of web1:\n%v", n, want.Run)
	}
	if d := parity.Compare(want.records, got.records, parity.All()); len(d) > 0 {
		t.Errorf("%d differences:\n%s", len(d), parity.Summary(d, 60))
	}
	for name, files := range want.Files {
		if d := files.Diff(got.Files[name]); len(d) > 0 {
			t.Errorf("files of %s differ:\n%s", name, parity.Summary(d, 40))
		}
	}
	if t.Failed() {
		t.Logf("standard error of the run under test:\n%s", got.Run.Stderr)
		if len(got.records) < len(want.records)/2 {
			t.Logf("it printed:\n%v", got.Run)
		}
	}
}

// baselines are the runs of the stock linear strategy, one for each version: each costs a minute.
var baselines = map[string]outcome{}

// baseline returns the stock run of a version. While working on Spindle, SPINDLE_TEST_BASELINE names a directory in which they are kept
// from one test run to the next, until the playbooks or the machine's accounts change.
func baseline(t *testing.T, v env.Version) outcome {
	t.Helper()
	o, ok := baselines[v.Name]
	if ok {
		return o
	}
	keep := ""
	if dir := os.Getenv("SPINDLE_TEST_BASELINE"); dir != "" {
		keep = filepath.Join(dir, v.Name+"-"+playbooks(t)+".json")
		if b, err := os.ReadFile(keep); err == nil && json.Unmarshal(b, &o) == nil {
			if o.records, err = parity.Parse(o.Run.Records); err != nil {
				t.Fatal(err)
			}
			baselines[v.Name] = o
			return o
		}
	}
	o = tour(t, v, "linear")
	baselines[v.Name] = o
	if keep != "" && !o.Run.Hung {
		if b, err := json.Marshal(o); err == nil {
			_ = os.WriteFile(keep, b, 0o644)
		}
	}
	return o
}

// playbooks is a digest of everything that the tour is made of.
func playbooks(t *testing.T) string { return digestOf(t, "../playbooks", "../env/testdata") }

func digestOf(t *testing.T, dirs ...string) string {
	h := sha256.New()
	machine, _ := os.ReadFile("/etc/passwd") // a target over "/" has the accounts of this machine
	h.Write(machine)
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			fmt.Fprintf(h, "%s %d\n%s", p, len(b), b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// TestTourIsTheSame compares each of our strategies with stock Ansible on every version. The tour is written so that what one host
// gets does not depend on how far another is; so one run of linear stands for all stock strategies, which TestStockStrategiesAgree proves.
func TestTourIsTheSame(t *testing.T) {
	versions := env.Versions
	if os.Getenv("SPINDLE_TEST_ALL") != "" {
		versions = everyVersion()
	}
	for _, v := range versions {
		for _, ours := range []string{"mitogen_linear", "mitogen_free", "mitogen_host_pinned"} {
			if ours == "mitogen_host_pinned" && v != env.Versions[0] && os.Getenv("SPINDLE_TEST_ALL") == "" {
				continue // it is free with another order; make soak does all nine
			}
			t.Run(v.Name+"/"+ours, func(t *testing.T) {
				if os.Getenv("SPINDLE_TEST_ONLY_STOCK") != "" {
					ours = strings.TrimPrefix(ours, "mitogen_")
				}
				want := baseline(t, v)
				assertSame(t, want, tour(t, v, ours))
			})
		}
	}
}

// TestStockStrategiesAgree shows that the rules of the comparison are complete, and that linear may stand for the others.
func TestStockStrategiesAgree(t *testing.T) {
	if os.Getenv("SPINDLE_TEST_ONLY_STOCK") == "" {
		t.Skip("this proves the harness, not the product, and takes minutes: set SPINDLE_TEST_ONLY_STOCK")
	}
	v := env.Versions[0]
	for _, stock := range []string{"free", "host_pinned"} {
		t.Run(stock, func(t *testing.T) { assertSame(t, baseline(t, v), tour(t, v, stock)) })
	}
}

// TestTourCoversWhatItClaims keeps the tour honest: a run in which half of the tasks were skipped would be equal, too.
func TestTourCoversWhatItClaims(t *testing.T) {
	want := baseline(t, env.Versions[0])
	for _, c := range []struct{ host, task, event string }{
		{"web1", "users", "item_ok"},
		{"web1", "template", "ok"},
		{"web1", "rescued", "ok"},
		{"web1", "play handler", "ok"},
		{"web1", "job is waited for", "ok"},
		{"web1", "binary as root", "ok"},
		{"web2", "new style, as root", "ok"},
		{"web2", "on the first host as root", "ok"},
		{"web2", "late handler", "ok"},
		{"bad", "one host fails", "failed"},
		{"gone", "ping", "unreachable"},
	} {
		if _, ok := parity.Find(want.records, c.host, c.task, c.event); !ok {
			t.Errorf("no %s of %q on %s", c.event, c.task, c.host)
		}
	}
	if want.Run.Code != 4 && want.Run.Code != 6 && want.Run.Code != 2 {
		t.Errorf("exit code %d", want.Run.Code)
	}
	var failed []string
	for _, r := range want.records {
		if r.Event == "failed" && !r.Ignored && r.Host == "web1" {
			failed = append(failed, r.Task)
		}
	}
	if got := strings.Join(failed, ","); got != "tour : fails inside" {
		t.Errorf("tasks that failed on web1: %s", got)
	}
	if t.Failed() {
		t.Log(want.Run)
	}
}
