package setns

import (
	"bufio"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"al.essio.dev/pkg/shellescape"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testdata/argv.txt: a line of kwargs, then what comes of it.
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
		switch {
		case kwargs == "", strings.HasPrefix(kwargs, "#"):
			got.WriteString(kwargs + "\n")
			continue
		case !strings.HasPrefix(kwargs, "{"):
			continue
		}
		got.WriteString(kwargs + "\n    ")
		if dl, err := Factory(json.RawMessage(kwargs)); err != nil {
			got.WriteString("error: " + err.Error())
		} else {
			d := dl.(*dialer)
			argv := enter("4711", d.user, []string{"/bin/sh", "-c", "boot"})
			got.WriteString(d.Name() + "  " + shellescape.QuoteCommand(d.ask) + "  then " + shellescape.QuoteCommand(argv[5:]))
		}
		got.WriteString("\n")
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

// The second command line goes through any login shell unchanged if its words are quoted.
func TestEnterIsPlain(t *testing.T) {
	argv := enter("4711", "deploy", []string{"/bin/sh", "-c", "boot"})
	if want := []string{"4711", "deploy", "/bin/sh", "-c", "boot"}; !slices.Equal(argv[5:], want) {
		t.Errorf("argv ends in %q, want %q", argv[5:], want)
	}
	for _, word := range argv {
		if strings.ContainsAny(word, "\n'!") {
			t.Errorf("not plain: %q", word)
		}
	}
	t.Logf("%d bytes of Python", len(line))
}

func TestOneLine(t *testing.T) {
	const python = "# why\nimport sys\n\ndef say(x):\n    if x:\n        # because\n        sys.stdout.write(\"it's \\\"%s\\\"!\\n\" % x)\nsay('a\\\\b')\n"
	out, err := exec.Command("python3", "-c", oneLine(python)).CombinedOutput()
	if want := "it's \"a\\b\"!\n"; err != nil || string(out) != want {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
}
