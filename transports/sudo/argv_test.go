package sudo

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"al.essio.dev/pkg/shellescape"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"spindle/transports"
	"spindle/transports/become/becometest"
)

func TestMain(m *testing.M) {
	if os.Getenv("SPINDLE_TEST_UNPRIVILEGED") != "" {
		unprivileged()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestArgv(t *testing.T) {
	becometest.Golden(t, "testdata/argv.txt", func(kwargs json.RawMessage) (string, error) {
		d, err := parse(kwargs)
		if err != nil {
			return "", err
		}
		return d.Name() + ": " + shellescape.QuoteCommand(d.settings.argv([]string{"/bin/sh", "-c", "boot"})), nil
	})
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
