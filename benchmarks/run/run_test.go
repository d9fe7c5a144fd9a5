package run

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spindle/benchmarks/target"

	"github.com/google/go-cmp/cmp"
)

const output = `
TASK [Say "PLAY RECAP "] ****
ok: [node1]

PLAY RECAP *********************************************************************
node1                      : ok=34   changed=17   unreachable=0    failed=0    skipped=1    rescued=1    ignored=0   
node2                      : ok=0    changed=0    unreachable=1    failed=0    skipped=0    rescued=0    ignored=0   
`

func TestParseRecap(t *testing.T) {
	want := map[string]Recap{
		"node1": {OK: 34, Changed: 17, Skipped: 1, Rescued: 1},
		"node2": {Unreachable: 1},
	}
	if diff := cmp.Diff(want, ParseRecap(output)); diff != "" {
		t.Errorf("recap mismatch (-want +got):\n%s", diff)
	}
}

func TestCheckRefusesWhatDidNotHappen(t *testing.T) {
	good := "\nPLAY RECAP ***\nnode1 : ok=3 changed=1 unreachable=0 failed=0\n"
	for _, test := range []struct {
		name   string
		result Result
		want   Expect
		text   string // of the error, or nothing
	}{
		{"as expected", Result{Output: good}, Expect{Hosts: 1, OK: 3}, ""},
		{"fewer tasks", Result{Output: good}, Expect{Hosts: 1, OK: 4}, "ok=4"},
		{"fewer hosts", Result{Output: good}, Expect{Hosts: 2, OK: 3}, "names 1 hosts"},
		{"unreachable", Result{Output: output}, Expect{Hosts: 2, OK: 34}, "recap of node2"},
		{"no recap", Result{}, Expect{Hosts: 1, OK: 3}, "names 0 hosts"},
		{"failed", Result{Err: errors.New("exit status 2"), Output: good}, Expect{Hosts: 1, OK: 3}, "exit status 2"},
		{"fell back", Result{FellBack: "a master", Output: good}, Expect{Hosts: 1, OK: 3}, "a master"},
		{"ad hoc", Result{Output: `"ping": "pong"`}, Expect{Hosts: 1, Adhoc: `"ping": "pong"`}, ""},
		{"ad hoc without answer", Result{Output: `UNREACHABLE`}, Expect{Hosts: 1, Adhoc: `"ping": "pong"`}, "0 times"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.result.Check(test.want)
			if (err == nil) != (test.text == "") || err != nil && !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want an error with %q", err, test.text)
			}
		})
	}
}

func lab(t *testing.T) *Lab {
	t.Helper()
	l, err := NewLab(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestContainersAreReachedByTheirHost(t *testing.T) {
	tools := t.TempDir()
	l, err := NewLab(Options{
		Dir: t.TempDir(), Target: target.Facts{User: "deploy", PrivateKey: "/key"}, Addresses: []target.Address{{Host: "10.98.0.2", Port: 22}},
		Containers: &Containers{Names: []string{"one", "two"}, Tools: tools},
	})
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := os.ReadFile(filepath.Join(l.Dir, "hosts"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "[nodes]\nnode1 ansible_host=one\nnode2 ansible_host=two\n\n[nodes:vars]\nansible_connection=docker\nmitogen_via=box1\n\n" +
		"[boxes]\nbox1 ansible_host=10.98.0.2 ansible_port=22\n\n[boxes:vars]\nansible_user=deploy\n"
	if !strings.HasPrefix(string(hosts), want) {
		t.Errorf("the inventory begins otherwise:\n%s", hosts)
	}
	t.Setenv("DOCKER_HOST", "unix:///nowhere") // the user's
	for _, engine := range []Engine{Stock(), {Name: "mitogen"}, {Name: "spindle"}} {
		seen := l.Run(t.Context(), engine, "sh", "-c", `env; command -v docker; command -v ssh; cat "$ANSIBLE_CONFIG"`).Output
		for text, wanted := range map[string]bool{
			"DOCKER_HOST=ssh://deploy@10.98.0.2:22\n": engine.Name == "stock",
			"unix:///nowhere":                         false,
			l.Dir + "/docker/bin/ssh\n":               engine.Name == "stock",
			"\npipelining = True\ncollections_path = " + tools + "/opt/collections\n": true,
		} {
			if strings.Contains(seen, text) != wanted {
				t.Errorf("%s: %q: wanted %v, got\n%s", engine.Name, text, wanted, seen)
			}
		}
	}
	// Docker's client starts this ssh with no options of ours.
	out, err := exec.Command(filepath.Join(l.Dir, "docker/bin/ssh"), "-G", "-l", "deploy", "10.98.0.2").Output()
	if err != nil {
		t.Skipf("NOT TESTED: the settings of ssh: %v", err)
	}
	for _, line := range []string{"identityfile /key", "userknownhostsfile " + l.Dir + "/known", "controlmaster auto", "compression no"} {
		if !strings.Contains(string(out), line+"\n") {
			t.Errorf("ssh does without %q:\n%s", line, out)
		}
	}
}

func TestDaemonsLeftBehindAreEndedAndCounted(t *testing.T) {
	l := lab(t)
	pidFile := filepath.Join(l.Dir, "pid")
	// The outer shell ends at once; the inner one works a while, then lingers as a daemon would.
	script := `setsid sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo $$ > "$1.new"; mv "$1.new" "$1"; exec sleep 600' sh "$1" &
		while ! [ -e "$1" ]; do sleep 0.01; done`
	result := l.Run(t.Context(), Stock(), "sh", "-c", script, "sh", pidFile)
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(pid))); err == nil {
		t.Error("the daemon outlived the run")
	}
	if result.CPU < 10*time.Millisecond {
		t.Errorf("the daemon's work is missing from the CPU time: %v", result.CPU)
	}
}

func TestACancelledRunEnds(t *testing.T) {
	l := lab(t)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("enough"))
	defer cancel()
	result := l.Run(ctx, Stock(), "sh", "-c", "sleep 600 & wait")
	if result.Err == nil || result.Err.Error() != "enough" {
		t.Errorf("got %v", result.Err)
	}
	if result.Wall > 30*time.Second {
		t.Errorf("it took %v to end", result.Wall)
	}
}

func TestAFailureShowsTheEndOfTheOutput(t *testing.T) {
	result := lab(t).Run(t.Context(), Stock(), "sh", "-c", "echo the reason; exit 3")
	if result.Err == nil || !strings.Contains(result.Err.Error(), "the reason") {
		t.Errorf("got %v", result.Err)
	}
}

func TestNothingFromOutsideSteersARun(t *testing.T) {
	t.Setenv("ANSIBLE_STRATEGY", "free")
	t.Setenv("SSH_AUTH_SOCK", "/nowhere")
	t.Setenv("SPINDLE_BINARY", "/nowhere")
	result := lab(t).Run(t.Context(), Stock(), "env")
	for _, name := range []string{"ANSIBLE_STRATEGY=", "SSH_AUTH_SOCK=", "SPINDLE_BINARY="} {
		if strings.Contains(result.Output, name) {
			t.Errorf("%s reached the command", name)
		}
	}
	if !strings.Contains(result.Output, "ANSIBLE_CONFIG=") {
		t.Error("no ANSIBLE_CONFIG was set")
	}
}

func TestARunThatFailsSaysWhy(t *testing.T) {
	long := strings.Repeat("changed: [node1]\n", 50)
	for _, test := range []struct{ name, output, want string }{
		{"a host", long + "fatal: [node7]: UNREACHABLE! => {}\n" + long, "fatal: [node7]: UNREACHABLE! => {}"},
		{"ad hoc", "node1 | UNREACHABLE! => {\n    \"changed\": false\n}\n" + long, "node1 | UNREACHABLE! => {"},
		{"nothing is said", long + "Killed\n", strings.Repeat("changed: [node1]\n", 29) + "Killed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := complaints(test.output); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
