package parity

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "theme", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadReadsTheComments(t *testing.T) {
	p, err := Load(write(t, "x.yml", `# What it is.
# parity: args=--check --diff
# parity: stdin="y\nn\n"
# parity: strategies=free,linear
# parity: versions>=2.15
# parity: versions<2.22
# parity: python>=3.9
# parity: env=A=b=c
# parity: config=pipelining=False
# parity: terminal
# parity: fails
- hosts: all
# parity: nonsense
`))
	if err != nil {
		t.Fatal(err)
	}
	if p.Theme != "theme" || p.Name != "x" || !p.Alone || !p.Terminal || !p.Fails || p.Stdin != "y\nn\n" {
		t.Errorf("got %+v", p)
	}
	if d := cmp.Diff([]string{"--check", "--diff", "free", "linear", "A=b=c", "False"}, append(append(append(p.Args, p.Strategies...), p.Env...), p.Config["pipelining"])); d != "" {
		t.Errorf("mismatch (-want +got):\n%s", d)
	}
	for version, want := range map[string]bool{"2.7": false, "3.8": false, "3.9": true, "3.14": true, "x": false} {
		if p.Finds(version) != want {
			t.Errorf("with Python %s: %v", version, !want)
		}
	}
	for version, want := range map[string]bool{"2.14": false, "2.15": true, "2.21": true, "2.22": false, "x": false} {
		if p.Runs(version) != want {
			t.Errorf("runs with %s: %v", version, !want)
		}
	}
}

func TestWhatIsForSoakOnlyNeedNotBeAlone(t *testing.T) {
	for text, want := range map[string]bool{"# parity: soak\n": true, "# parity: versions>=2.15\n": false} {
		if p, err := Load(write(t, "x.yml", text)); err != nil || p.Soak != want || p.Alone {
			t.Errorf("%q: %+v, %v", text, p, err)
		}
	}
}

func TestStrategiesOfARun(t *testing.T) {
	const some, also, own = "- hosts: web\n", "# parity: also=free,host_pinned\n", "# parity: strategies=linear,host_pinned\n"
	for _, c := range []struct {
		text, asked string
		all         bool
		want        string
	}{
		{some, "", false, "linear"},
		{some, "", true, "linear"},
		{some, "free", false, "free"},
		{also, "", false, "linear"},
		{also, "", true, "linear free host_pinned"},
		{also, "free", true, "free"},
		{own, "", false, "linear host_pinned"},
		{own, "free", false, ""},
		{own, "host_pinned", false, "host_pinned"},
	} {
		p, err := Load(write(t, "x.yml", c.text))
		if err != nil {
			t.Fatal(err)
		}
		p.Under(c.asked, c.all)
		if got := strings.Join(p.Strategies, " "); got != c.want || p.Alone {
			t.Errorf("%q, asked for %q, all %v: %q, want %q", c.text, c.asked, c.all, got, c.want)
		}
	}
}

func TestLoadRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, bad := range []string{"nonsense", "stdin=unquoted", "versions>=3"} {
		_, err := Load(write(t, "x.yml", "# parity: "+bad+"\n"))
		if err == nil {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestBatches(t *testing.T) {
	theme := []Playbook{
		{Name: "a", Strategies: []string{"linear"}},
		{Name: "b", Strategies: []string{"linear", "free"}},
		{Name: "c", Strategies: []string{"linear"}, Alone: true},
		{Name: "d", Strategies: []string{"linear"}, atLeast: 18},
	}
	names := func(version string, each bool) (out []string) {
		for _, b := range Batches(theme, version, each) {
			line := b.Name + ":"
			for _, p := range b.Playbooks {
				line += p.Name
			}
			out = append(out, line)
		}
		return out
	}
	if d := cmp.Diff([]string{"linear:ab", "free:b", "c,linear:c"}, names("2.14", false)); d != "" {
		t.Errorf("mismatch (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"a,linear:a", "b,linear:b", "b,free:b", "c,linear:c", "d,linear:d"}, names("2.19", true)); d != "" {
		t.Errorf("mismatch (-want +got):\n%s", d)
	}
}

func TestPrintedNoticesAndForgives(t *testing.T) {
	const out = `
TASK [a] ***
ok: [web1] => {"changed": false, "x": 1}
ok: [web2] => {
    "msg": "text"
}
FAILED - RETRYING: [web1]: a (3 retries left).
included: f for web1, web2
`
	other := strings.NewReplacer(`"x": 1`, `"x": 2`, "FAILED - RETRYING: [web1]: a (3 retries left).\n", "", "web1, web2", "web2, web1", `"text"`, `"other"`).Replace(out)
	if d := Printed(out, "TASK [a] ***\n"+other, All()); d != nil {
		t.Errorf("forgives too little: %q", d)
	}
	changed := strings.Replace(out, "ok: [web1]", "changed: [web1]", 1)
	if d := cmp.Diff([]string{"+ changed: [web1] => {}", "- ok: [web1] => {}"}, Printed(out, changed, All())); d != "" {
		t.Errorf("mismatch (-want +got):\n%s", d)
	}
}

func TestSaidJoinsParagraphs(t *testing.T) {
	a := "[WARNING]: a long warning that\nis broken\n\n[WARNING]: another\n"
	b := "[WARNING]: another\n[WARNING]: a long warning\nthat is broken\n"
	if d := Said(a, b, nil); d != nil {
		t.Errorf("differs: %q", d)
	}
	if d := cmp.Diff([]string{"- [WARNING]: another"}, Said(a, strings.Replace(b, "[WARNING]: another\n", "", 1), nil)); d != "" {
		t.Errorf("mismatch (-want +got):\n%s", d)
	}
}

// A path of random parts is broken behind a hyphen in one run, and anywhere in the other.
func TestSaidFindsNamesThatWereBroken(t *testing.T) {
	a := "[WARNING]: Module invocation had junk after the JSON data: Traceback (most\n" +
		"recent call last):   File \"/home/deploy/.ansible/tmp/ansible-\ntmp-1795624153.3750684-261-168401772292586/AnsiballZ_x\"\n"
	b := "[WARNING]: Module invocation had junk after the JSON data: Traceback (most\n" +
		"recent call last):   File \"/home/deploy/.ansible/tmp/ansible_mitogen_action_a97\n558aadacbef8f/AnsiballZ_x\"\n"
	if d := Said(a, b, All()); d != nil {
		t.Errorf("differs: %q", d)
	}
}

func TestElementsThatDoNotCount(t *testing.T) {
	rules := []Rule{{Why: "a test of it", Path: "warnings", From: "^gone", Gone: true}}
	rec := func(s string) []Record { return parse(t, `{"event":"ok","host":"h","result":{`+s+"}}\n") }
	if d := Compare(rec(`"warnings":["gone 1","kept"]`), rec(`"warnings":["kept"]`), rules); d != nil {
		t.Errorf("differs: %q", d)
	}
	if d := Compare(rec(`"warnings":["gone 1"]`), rec(`"x":1`), rules); len(d) != 1 {
		t.Errorf("got %q", d)
	}
	if d := Compare(rec(`"warnings":["kept"]`), rec(`"warnings":["other"]`), rules); len(d) != 1 {
		t.Errorf("got %q", d)
	}
}

func TestReportGroups(t *testing.T) {
	var r Report
	r.Add("results")
	r.Add("results", "one")
	r.Add("files", "two")
	r.Add("results", "three")
	if want := "results: 2\n  one\n  three\nfiles: 1\n  two\n"; r.String() != want || r.Len() != 3 {
		t.Errorf("%d: %s", r.Len(), r.String())
	}
}
