package container

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"al.essio.dev/pkg/shellescape"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"spindle/transports"
)

var update = flag.Bool("update", false, "write testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var factories = map[string]transports.Factory{
	"docker": Docker, "podman": Podman, "buildah": Buildah, "kubectl": Kubectl, "jail": Jail, "lxc": LXC, "lxd": LXD, "incus": Incus,
}

// testdata/argv.txt: a line with a method and its kwargs, then what comes of it.
func TestArgv(t *testing.T) {
	const name = "testdata/argv.txt"
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	lines := bufio.NewScanner(strings.NewReader(string(file)))
	for lines.Scan() {
		line := lines.Text()
		method, kwargs, _ := strings.Cut(line, " ")
		factory := factories[method]
		switch {
		case line == "", strings.HasPrefix(line, "#"):
			got.WriteString(line + "\n")
			continue
		case factory == nil:
			continue
		}
		got.WriteString(line + "\n    ")
		if dl, err := factory(json.RawMessage(kwargs)); err != nil {
			got.WriteString("error: " + err.Error())
		} else {
			d := dl.(*dialer)
			argv := strings.ReplaceAll(shellescape.QuoteCommand(d.plan([]string{"/bin/sh", "-c", "boot"}).Command.Argv), shellescape.Quote(kubectlLogin), "$kubectlLogin")
			got.WriteString(strings.Join(append([]string{d.Name() + " "}, d.env...), " ") + " " + argv)
			if d.lead.IsSet() {
				got.WriteString("\n    reads " + d.lead.Reveal())
			}
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

func TestTimeout(t *testing.T) {
	for kwargs, want := range map[string]time.Duration{
		`{"container": "c", "pod": "c"}`:                          transports.DefaultTimeout,
		`{"container": "c", "pod": "c", "connect_timeout": null}`: transports.DefaultTimeout,
		`{"container": "c", "pod": "c", "connect_timeout": "7"}`:  7 * time.Second,
	} {
		for method, factory := range factories {
			if d, err := factory(json.RawMessage(kwargs)); err != nil || d.Timeout() != want {
				t.Errorf("%s %s: %v, %v, want %v", method, kwargs, d, err, want)
			}
		}
	}
}

func TestCredentialsAreInNoErrorAndNoArgument(t *testing.T) {
	const token, password = "ey.to'ken", "pass word"
	dl, err := Kubectl(json.RawMessage(`{"pod": "p", "kubectl_args": ["--token", "ey.to'ken", "--username=u", "--password=pass word", "--token"]}`))
	if err != nil {
		t.Fatal(err)
	}
	d := dl.(*dialer)
	argv := shellescape.QuoteCommand(d.argv)
	ce := transports.StartError(d.argv, errors.New("it said: "+password))
	ce.Lines = []string{"a line with " + token + " in it"}
	err = d.explain(ce)
	var got *transports.ConnectError
	if !errors.As(err, &got) {
		t.Fatalf("error = %#v", err)
	}
	text := argv + "\n" + got.Text + "\n" + strings.Join(got.Lines, "\n")
	if strings.Contains(text, token) || strings.Contains(text, password) || strings.Contains(text, "'ken") {
		t.Errorf("credentials in %q", text)
	}
	if got.Lines[0] != "a line with *** in it" || !strings.HasPrefix(got.Text, "Child start failed: it said: ***. Command was: /bin/sh -c ") {
		t.Errorf("text %q, lines %q", got.Text, got.Lines)
	}
	if ce.Lines[0] != "a line with "+token+" in it" {
		t.Error("the caller's error was changed")
	}
}

// What a container's program is given by its environment may be a secret, and is in no error.
func TestValuesOfVariablesAreInNoError(t *testing.T) {
	for tool, verb := range map[string]string{"docker": "exec --interactive ", "podman": "exec --interactive ", "buildah": "run "} {
		_, err := dial(t, factories[tool], map[string]any{
			"container": "c", tool + "_path": "/nonexistent/it",
			"exec_args": []string{"--env=TOKEN=sesame", "--env=PASS=it's open", "--env=EMPTY=", "--env=ONE=1", "--workdir=/srv1"},
		})
		var ce *transports.ConnectError
		if !errors.As(err, &ce) {
			t.Fatalf("%s: error = %#v", tool, err)
		}
		want := "Child start failed: [Errno 2] No such file or directory: '/nonexistent/it'. Command was: /nonexistent/it " + verb +
			"--env=TOKEN=*** --env=PASS=*** --env=EMPTY= --env=ONE=*** --workdir=/srv1 "
		if !strings.HasPrefix(ce.Text, want) {
			t.Errorf("%s: text %q\nwant %q", tool, ce.Text, want)
		}
	}
}
