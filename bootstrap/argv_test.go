package bootstrap

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"al.essio.dev/pkg/shellescape"
	"github.com/google/go-cmp/cmp"

	"spindle/transports/wire"
)

func TestWords(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want []string
	}{
		{"python3", []string{"python3"}},
		{"  /usr/bin/env  FOO=1 python3 ", []string{"/usr/bin/env", "FOO=1", "python3"}},
		{`a 'b c' "d e" f\ g ''`, []string{"a", "b c", "d e", "f g", ""}},
		{`"a\"b\x" 'c\d'`, []string{`a"b\x`, `c\d`}},
		{"", nil},
	} {
		if diff := cmp.Diff(tc.want, words(tc.in)); diff != "" {
			t.Errorf("words(%q) mismatch (-want +got):\n%s", tc.in, diff)
		}
	}
}

func TestArgvIsPlain(t *testing.T) {
	o := Options{
		Candidates: []string{"python3.11", "/usr/bin/env FOO=1 python3", "/opt/a b/python"},
		Nonce:      "n0nce", Title: `mitogen:o'neil\x!@host:1`,
	}
	argv := Argv(o)
	if len(argv) != 3 || argv[0] != "/bin/sh" || argv[1] != "-c" {
		t.Fatalf("argv = %q", argv)
	}
	script := argv[2]
	if i := strings.IndexAny(script, "'!\n\\"); i >= 0 {
		t.Errorf("script has %q, which login shells may see differently: %s", script[i], script)
	}
	if len(script) > 2048 {
		t.Errorf("script is %d bytes long", len(script))
	}
	if n := len(fmt.Sprintf(firstStage, PackedSize())); n >= 1024 {
		t.Errorf("first stage is %d bytes long, want under 1 KiB", n)
	}
}

func TestSizeOnTheWire(t *testing.T) {
	o := Options{Candidates: []string{"python3"}, Nonce: nonce(), Title: "mitogen:deploy@controller:12345", TmpCandidates: []string{"~/.ansible/tmp", "/var/tmp", "/tmp"}}
	n := len(strings.Join(Argv(o), " ")) + len(Flight(o))
	t.Logf("%d bytes: script %d, agent %d", n, len(Argv(o)[2]), PackedSize())
	if n >= 30<<10 {
		t.Errorf("%d bytes are sent to boot an agent, want under 30 KiB", n)
	}
	if got := wire.Sum(Packed()); got != AgentDigest() || len(Packed()) != PackedSize() {
		t.Errorf("digest %v and size %d are not those of the packed agent", AgentDigest(), PackedSize())
	}
}

// fake writes a program that stands for an interpreter.
func fake(t *testing.T, dir, name, script string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCandidates(t *testing.T) {
	dir := t.TempDir()
	broken := fake(t, dir, "broken", "exit 1")
	swallows := fake(t, dir, "swallows", "cat >/dev/null; exit 1")
	env := fake(t, dir, "with space", `exec env "$@"`)
	activate := fake(t, dir, "activate", "VENV=yes; export VENV")
	fake(t, dir, "here", `WHERE=home exec /usr/bin/python3 "$@"`)
	t.Setenv("HOME", dir)
	sad := fake(t, dir, "sad", "VENV=no; export VENV; return 1")
	for _, tc := range []struct {
		name       string
		candidates []string
		want       string // what the environment of the agent has; empty if no candidate works
	}{
		{"one", []string{"/usr/bin/python3"}, "PATH="},
		{"one missing", []string{"/nonexistent/python3"}, ""},
		{"none", nil, ""},
		{"missing, then there", []string{"python9.9", "/usr/bin/python3"}, "PATH="},
		{"broken, then there", []string{broken, swallows, "/usr/bin/python3"}, "PATH="},
		{"all broken", []string{broken, "python9.9"}, ""},
		{"too old", []string{fake(t, dir, "old", `case "$*" in *version_info*) exit 1;; esac; exec /usr/bin/python3 "$@"`), broken}, ""},
		{"arguments", []string{"/usr/bin/env FOO=a=1 /usr/bin/python3"}, "FOO=a=1"},
		{"arguments to nothing", []string{"/usr/bin/env FOO=1 python9.9"}, ""},
		{"assignment", []string{"FOO=bar /usr/bin/python3"}, "FOO=bar"},
		{"spaces", []string{"'" + env + "' 'FOO=it has $HOME' /usr/bin/python3"}, "FOO=it has $HOME"},
		{"setup", []string{"source " + activate + " && /usr/bin/python3"}, "VENV=yes"},
		{"failed setup", []string{"source " + sad + " && /usr/bin/python3", "/usr/bin/env FOO=2 /usr/bin/python3"}, "FOO=2"},
		{"failed setup, and without", WithoutSetup([]string{"source " + sad + " && FOO='a b' /usr/bin/python3"}), "FOO=a b"},
		{"setup, where it works", WithoutSetup([]string{". " + activate + " && /usr/bin/python3"}), "VENV=yes"},
		{"setup that cannot be read", WithoutSetup([]string{"source " + dir + "/none && FOO=3 /usr/bin/python3"}), "FOO=3"},
		{"a setup of another kind", WithoutSetup([]string{"false && /usr/bin/python3"}), ""},
		{"home", []string{"~/here"}, "WHERE=home"},
		{"home, named", []string{"$HOME/here"}, "WHERE=home"},
		{"home, in braces", []string{"/usr/bin/env FOO=1 ${HOME}/here"}, "WHERE=home"},
		{"no home", []string{"$PWD/python3", "'~/no python'", "~nobody-of-that-name/python3"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := nonce()
			argv := Argv(Options{Candidates: tc.candidates, Nonce: n, Title: "t"})
			cmd := exec.Command(argv[0], argv[1:]...)
			// Instead of the agent, one line that shows what it would find.
			program := compress([]byte("import os\nos.write(1,repr(dict(os.environ)).encode())"))
			cmd.Stdin = bytes.NewReader(program)
			cmd.Args[2] = strings.ReplaceAll(cmd.Args[2], fmt.Sprint(PackedSize()), fmt.Sprint(len(program)))
			out, err := cmd.Output()
			if tc.want == "" {
				if want := "SPINDLE0 " + n + " no-python\n"; string(out) != want || cmd.ProcessState.ExitCode() != 127 {
					t.Errorf("got %q and %v, want %q and 127", out, err, want)
				}
				return
			}
			line, env, _ := strings.Cut(string(out), "\n")
			if line != "SPINDLE1 "+n || err != nil {
				t.Fatalf("got %q, %v", out, err)
			}
			name, value, _ := strings.Cut(tc.want, "=")
			if value == "" {
				return
			}
			if !strings.Contains(env, fmt.Sprintf("'%s': '%s'", name, value)) {
				t.Errorf("no %s in %s", tc.want, env)
			}
			if strings.Contains(tc.name, "failed") && strings.Contains(env, "VENV") {
				t.Errorf("what a candidate's setup did is seen by the next: %s", env)
			}
		})
	}
}

// What starts the script may pass on nothing of a program that has ended already; see [transports.Script.Waits].
func TestWhatIsNotThereIsHeardBeforeTheEnd(t *testing.T) {
	argv := Argv(Options{Candidates: []string{"/nonexistent/python3"}, Nonce: "n0nce", Title: "t"})
	cmd := exec.Command(argv[0], argv[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case <-ended:
		t.Error("it ends by itself")
	case <-time.After(300 * time.Millisecond):
	}
	_ = in.Close()
	<-ended
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 127 {
		t.Errorf("%v, want 127", err)
	}
}

func TestLoginShells(t *testing.T) {
	for _, shell := range []string{"dash", "bash", "busybox sh", "ksh", "zsh", "csh", "tcsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			argv := strings.Fields(shell)
			if _, err := exec.LookPath(argv[0]); err != nil {
				t.Skip(err)
			}
			n := nonce()
			program := compress([]byte("import os,sys\nos.write(1,sys.argv[3].encode())"))
			boot := Argv(Options{Candidates: []string{"python9", "/usr/bin/python3"}, Nonce: n, Title: "mitogen:a@b:1"})
			line := strings.ReplaceAll(shellescape.QuoteCommand(boot), fmt.Sprint(PackedSize()), fmt.Sprint(len(program)))
			cmd := exec.Command(argv[0], append(argv[1:], "-c", line)...)
			cmd.Stdin = bytes.NewReader(program)
			out, err := cmd.CombinedOutput()
			if want := "SPINDLE1 " + n + "\nmitogen:a@b:1"; string(out) != want {
				t.Errorf("got %q, %v, want %q", out, err, want)
			}
		})
	}
}

func TestStrip(t *testing.T) {
	const source = `# comment
import os  # why

def f(a, b="#no comment", c='it''s', d="\"#"):
    """Docstring
    of two lines."""
    if a:
        x = """kept
    # kept"""  # gone
        return (a,  # gone
                [b],
                c)

    return a + \
        b

class C(object):
    """Only this."""
`
	const want = `import os
def f(a, b="#no comment", c='it''s', d="\"#"):
 0
 if a:
  x = """kept
    # kept"""
  return (a, [b], c)
 return a + \
b
class C(object):
 0
`
	if diff := cmp.Diff(want, strip(source)); diff != "" {
		t.Errorf("strip mismatch (-want +got):\n%s", diff)
	}
}
