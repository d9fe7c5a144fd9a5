package parity

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const run = `{"event": "play", "play": "p"}
{"event": "ok", "play": "p", "host": "web1", "task": "t1", "action": "command", "result": {"rc": 0, "stdout": "a", "start": "1", "list": [1, {"k": "v"}], "none": [], "changed": true}}
{"event": "item_ok", "play": "p", "host": "web1", "task": "t2", "action": "copy", "result": {"item": 1, "path": "/root/.ansible/tmp/ansible-tmp-1700000000.5-12-99/source"}}
{"event": "item_ok", "play": "p", "host": "web1", "task": "t2", "action": "copy", "result": {"item": 2}}
{"event": "failed", "play": "p", "host": "web2", "task": "t1", "action": "command", "ignored": true, "result": {"rc": 1, "msg": "non-zero return code"}}
{"event": "recap", "host": "web1", "result": {"ok": 2}}
`

func parse(t *testing.T, s string) []Record {
	t.Helper()
	rs, err := Parse([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func TestCompareNotices(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"nothing", "", "", ""},
		{"other times", `"start": "1"`, `"start": "2"`, ""},
		{"other temporary directory", "ansible-tmp-1700000000.5-12-99", "ansible-tmp-1800000000.5-13-98", ""},
		{"other value", `"stdout": "a"`, `"stdout": "b"`, `web1: p / t1 / ok #1: stdout: "b", want "a"`},
		{"other type", `"rc": 0`, `"rc": "0"`, `web1: p / t1 / ok #1: rc: "0", want 0`},
		{"other boolean", `"changed": true`, `"changed": false`, `web1: p / t1 / ok #1: changed: false, want true`},
		{"key missing", `, "changed": true`, ``, `web1: p / t1 / ok #1: changed: missing, want true`},
		{"key more", `"rc": 1`, `"rc": 1, "new": null`, `web2: p / t1 / failed #1: new: unexpected null`},
		{"deep value", `"k": "v"`, `"k": "w"`, `web1: p / t1 / ok #1: list.1.k: "w", want "v"`},
		{"list shorter", `[1, {"k": "v"}]`, `[1]`, `web1: p / t1 / ok #1: list.1.k: missing, want "v"`},
		{"empty list", `"none": []`, `"none": {}`, `web1: p / t1 / ok #1: none: {}, want []`},
		{"ignored", `"ignored": true, `, ``, `web2: p / t1 / failed #1: ignored: false, want true`},
		{"other action", `"action": "copy", "result": {"item": 2}`, `"action": "x", "result": {"item": 2}`, `web1: p / t2 / item_ok #2: action: x, want copy`},
		{"recap", `"result": {"ok": 2}`, `"result": {"ok": 3}`, `web1:  /  / recap #1: ok: 3, want 2`},
		{"other event", `"event": "failed"`, `"event": "unreachable"`, "web2: p / t1 / failed #1: missing, was {\"msg\":\"non-zero return code\",\"rc\":1}\nweb2: p / t1 / unreachable #1: unexpected: {\"msg\":\"non-zero return code\",\"rc\":1}"},
		{"host missing", `"host": "web2"`, `"host": "web3"`, "web2: p / t1 / failed #1: missing, was {\"msg\":\"non-zero return code\",\"rc\":1}\nweb3: p / t1 / failed #1: unexpected: {\"msg\":\"non-zero return code\",\"rc\":1}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			other := strings.Replace(run, c.from, c.to, 1)
			if c.from != c.to && other == run {
				t.Fatal("the case changes nothing")
			}
			got := strings.Join(Compare(parse(t, run), parse(t, other), Times), "\n")
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("mismatch (-want +got):\n%s", d)
			}
		})
	}
}

func TestCompareNoticesOrder(t *testing.T) {
	lines := strings.SplitAfter(run, "\n")
	swapped := strings.Join([]string{lines[0], lines[2], lines[1], lines[3], lines[4], lines[5]}, "")
	got := Compare(parse(t, run), parse(t, swapped), Times)
	want := []string{"web1: p / t2 / item_ok #1: came where p / t1 / ok #1 was expected"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("mismatch (-want +got):\n%s", d)
	}
	// Hosts are independent: which of them came first means nothing.
	mixed := strings.Join([]string{lines[0], lines[4], lines[1], lines[2], lines[3], lines[5]}, "")
	if got := Compare(parse(t, run), parse(t, mixed), Times); got != nil {
		t.Errorf("the order of hosts counts: %v", got)
	}
}

const beginnings = `{"event": "play", "play": "p", "action": "linear"}
{"event": "task", "play": "p", "task": "t1", "action": "command"}
{"event": "ok", "play": "p", "host": "web1", "task": "t1", "action": "command", "result": {}}
{"event": "task", "play": "p", "task": "t2", "action": "copy"}
`

func TestAnnouncedNotices(t *testing.T) {
	all := func(s string) []Record {
		rs, err := ParseAll([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return rs
	}
	lines := strings.SplitAfter(beginnings, "\n")
	backwards := lines[0] + lines[3] + lines[2] + lines[1]
	free := strings.NewReplacer(`"linear"`, `"free"`)
	for _, c := range []struct{ name, want, got, diff string }{
		{"nothing", beginnings, beginnings, ""},
		{"our prefix", beginnings, strings.Replace(beginnings, "linear", "mitogen_linear", 1), ""},
		{"another strategy", beginnings, free.Replace(beginnings), "the run: : p /  / play #1: action: free, want linear"},
		{"one less", beginnings, lines[0] + lines[1], "the run: : p / t2 / task #1: missing, was null"},
		{"one more", beginnings, beginnings + lines[1], "the run: : p / t1 / task #2: unexpected: null"},
		{"another order", beginnings, backwards, "the run: : p / t2 / task #1: came where : p / t1 / task #1 was expected"},
		{"another order of free", free.Replace(beginnings), free.Replace(backwards), ""},
	} {
		if d := cmp.Diff(c.diff, strings.Join(Announced(all(c.want), all(c.got)), "\n")); d != "" {
			t.Errorf("%s: mismatch (-want +got):\n%s", c.name, d)
		}
	}
	if rs := parse(t, beginnings); len(rs) != 2 {
		t.Errorf("Parse has what is announced: %v", rs)
	}
}

func TestRulesKeepTheRestOfAString(t *testing.T) {
	a := parse(t, `{"event":"ok","host":"h","result":{"msg":"in /tmp/ansible-tmp-1.2-3-4/x: no"}}`+"\n")
	b := parse(t, `{"event":"ok","host":"h","result":{"msg":"in /tmp/ansible-tmp-5.6-7-8/y: no"}}`+"\n")
	if got := Compare(a, b, Times); len(got) != 1 {
		t.Errorf("a rewritten string hides a difference: %v", got)
	}
}

func TestAModuleHasOneFile(t *testing.T) {
	stock := "/tmp/ansible_ansible.legacy.uri_payload_phluivi6/ansible_ansible.legacy.uri_payload.zip/ansible/modules/uri.py:391: DeprecationWarning: 'cgi' goes\n" +
		"Traceback (most recent call last):\n  File \"/tmp/x.zip/y.py\", line 9, in compile\nre.error: missing )\n"
	ours := "/nonexistent/ansible_payload.zip/ansible/modules/uri.py:391: DeprecationWarning: 'cgi' goes\n" +
		"Traceback (most recent call last):\n  File \"/nonexistent/y.py\", line 9, in compile\n    p = _parse()\nre.error: missing )\n"
	if a, b := Rewrite(stock, All()), Rewrite(ours, All()); a != b {
		t.Errorf("%q is not %q", a, b)
	}
}

func TestASetHasNoOrder(t *testing.T) {
	a := parse(t, `{"event":"ok","host":"h","result":{"ansible_interfaces":["lo","eth0"],"list":[1,2]}}`+"\n")
	b := parse(t, `{"event":"ok","host":"h","result":{"ansible_interfaces":["eth0","lo"],"list":[2,1]}}`+"\n")
	want := []string{"h:  /  / ok #1: list.0: 2, want 1", "h:  /  / ok #1: list.1: 1, want 2"}
	if d := cmp.Diff(want, Compare(a, b, Times)); d != "" {
		t.Errorf("mismatch (-want +got):\n%s", d)
	}
}

func TestWhatAnyTwoRunsDifferInIsForgiven(t *testing.T) {
	for _, c := range []struct{ task, stock, ours, other string }{
		{
			"pause", `"stdout_lines":["Paused for 1.01 seconds"]`, `"stdout_lines":["Paused for 1.02 seconds"]`,
			`"stdout_lines":["Paused for 1.02 seconds","more"]`,
		},
		{
			"package_facts", `"msg":"no supported package manager from the following list: ['rpm', 'apt'], or no library"`,
			`"msg":"no supported package manager from the following list: ['apt', 'rpm'], or no library"`,
			`"msg":"no supported package manager from the following list: ['apt', 'rpm'], or no program"`,
		},
	} {
		result := func(text string) []Record {
			return parse(t, `{"event":"failed","host":"h","play":"p","task":"`+c.task+`","result":{`+text+"}}\n")
		}
		if d := Compare(result(c.stock), result(c.ours), Times); len(d) != 0 {
			t.Errorf("%s: %v", c.task, d)
		}
		if d := Compare(result(c.stock), result(c.other), Times); len(d) != 1 {
			t.Errorf("%s: another difference is not seen: %v", c.task, d)
		}
	}
}

func TestEveryRuleHasAReasonAndCompiles(t *testing.T) {
	for i, r := range All() {
		if len(r.Why) < 5 {
			t.Errorf("rule %d gives no reason: %+v", i, r)
		}
		if r.Task == "" && r.Path == "" && r.From == "" {
			t.Errorf("rule %d matches everything", i)
		}
	}
	compile(All())
}

// TestChosenDifferencesAreDocumented holds rules and docs/differences.md together.
func TestChosenDifferencesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/differences.md")
	if err != nil {
		t.Fatal(err)
	}
	unused := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if heading, ok := strings.CutPrefix(strings.TrimSpace(line), "## "); ok {
			unused[heading] = true
		}
	}
	delete(unused, "What no playbook of the comparison shows")
	delete(unused, "Texts of Mitogen that have no counterpart here") // stock Ansible does not say them, either
	check := func(why, doc string) {
		if !strings.Contains(string(text), "\n## "+doc+"\n") {
			t.Errorf("docs/differences.md has no %q: %s", doc, why)
		}
		delete(unused, doc)
	}
	for _, r := range Chosen {
		check(r.Why, r.Doc)
	}
	for _, r := range Files {
		if r.Doc != "" {
			check(r.Why, r.Doc)
		}
	}
	for _, r := range Times {
		if r.Doc != "" {
			t.Errorf("a rule for any two runs is no choice: %s", r.Why)
		}
	}
	for heading := range unused {
		t.Errorf("no rule has to do with %q", heading)
	}
}

func TestParseLeavesOutALineThatWasCutOff(t *testing.T) {
	rs, err := Parse([]byte(`{"event":"ok","host":"h"}` + "\n" + `{"event":"o`))
	if err != nil || len(rs) != 1 {
		t.Errorf("got %v, %v", rs, err)
	}
	if _, err := Parse([]byte("{\n{}\n")); err == nil {
		t.Error("a broken line in the middle is accepted")
	}
}
