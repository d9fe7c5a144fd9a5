package becometest

import (
	"bufio"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata")

// Golden compares what becomes of settings with a file. That has a line of kwargs, then what text makes of them or
// the error, then an empty line; other lines begin with #. With -update it is written anew.
func Golden(t *testing.T, name string, text func(kwargs json.RawMessage) (string, error)) {
	t.Helper()
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
		line, err := text(json.RawMessage(kwargs))
		if err != nil {
			line = "error: " + err.Error()
		}
		got.WriteString(kwargs + "\n" + line + "\n\n")
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
