package sudo

import (
	"bufio"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	"al.essio.dev/pkg/shellescape"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"spindle/transports"
)

var update = flag.Bool("update", false, "write testdata")

func TestMain(m *testing.M) {
	if os.Getenv("SPINDLE_TEST_UNPRIVILEGED") != "" {
		unprivileged()
		return
	}
	goleak.VerifyTestMain(m)
}

// testdata/argv.txt: a line of kwargs, then what comes of it, then an empty line.
func TestArgv(t *testing.T) {
	const name = "testdata/argv.txt"
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	lines := bufio.NewScanner(strings.NewReader(string(file)))
	for lines.Scan() {
		kwargs := lines.Text()
		if strings.HasPrefix(kwargs, "#") {
			got.WriteString(kwargs + "\n")
			continue
		}
		if !strings.HasPrefix(kwargs, "{") {
			continue
		}
		got.WriteString(kwargs + "\n")
		if d, err := parse(json.RawMessage(kwargs)); err != nil {
			got.WriteString("error: " + err.Error())
		} else {
			got.WriteString(d.Name() + ": " + shellescape.QuoteCommand(d.settings.argv([]string{"/bin/sh", "-c", "boot"})))
		}
		got.WriteString("\n\n")
	}
	if *update {
		if err := os.WriteFile(name, []byte(got.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(file), got.String()); diff != "" && !*update {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestErrorsFailTheTask(t *testing.T) {
	_, err := Factory(json.RawMessage(`{"sudo_args": ["--derps"], "password": "pw"}`))
	if ce, ok := err.(*transports.ConnectError); !ok || ce.Class != transports.BecomeFailed || ce.Text != "sudo: no such option: --derps" {
		t.Errorf("error = %#v", err)
	}
}

// What sudo -i makes of a command line, by its manual: the words are joined, and each character but letters, digits,
// _, - and $ is escaped for the login shell.
func sudoLogin(argv []string) string {
	var b strings.Builder
	for i, word := range argv {
		if i > 0 {
			b.WriteByte(' ')
		}
		for _, c := range []byte(word) {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_-$", c) >= 0 {
				b.WriteByte(c)
				continue
			}
			b.Write([]byte{'\\', c})
		}
	}
	return b.String()
}

func TestLoginSafe(t *testing.T) {
	script := "x='a  b'\nfor i in 1 2; do\n\tprintf '%s\\n' \"$x$i\" 'it is \"ü\" 0\\0' `echo back`\ndone; echo $0 $#"
	argv := []string{"/bin/sh", "-c", script, "name", "two words"}
	want, err := exec.Command(argv[0], argv[1:]...).Output()
	if err != nil || !strings.Contains(string(want), "a  b1\n") {
		t.Fatalf("%q, %v", want, err)
	}
	for _, shell := range []string{"sh", "bash"} {
		if _, err := exec.LookPath(shell); err != nil {
			continue
		}
		got, err := exec.Command(shell, "-c", sudoLogin(loginSafe(argv))).Output()
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: %v, mismatch (-want +got):\n%s", shell, err, cmp.Diff(string(want), string(got)))
		}
		if got, _ := exec.Command(shell, "-c", sudoLogin(argv)).Output(); string(got) == string(want) {
			t.Errorf("%s needs no rewriting", shell)
		}
	}
}
