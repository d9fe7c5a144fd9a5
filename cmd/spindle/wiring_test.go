package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spindle/bootstrap"
	"spindle/transports"
	"spindle/transports/become/becometest"
)

// tellStreams has a program say which of its streams are terminals, whether one is its own, and how that is set. It ends then, with its last word on
// each stream; the multiplexer shows the lines.
const tellStreams = `
s=
for fd in 0 1 2; do if [ -t $fd ]; then s=${s}t; else s=$s-; fi; done
if (: </dev/tty) 2>/dev/null; then s="$s own$(stty -a </dev/tty | tr ' ;' '\n\n' | grep -x -e -echo -e -icanon -e -isig -e -opost | sort | sed 's/^/ /' | tr -d '\n')"; fi
echo "streams $s"; echo "and errors" >&2; exit 3
`

// How the streams of each method's program are wired: contract §1.7. A terminal is raw, without echo, and there where a password may be asked for.
// What setns enters is tested in a real container, in its own package.
func TestWiring(t *testing.T) {
	m := startServe(t)
	const none, own, all = "---", "--t own -echo -icanon -isig -opost", "ttt own -echo -icanon -isig -opost"
	sesame, container := settingsOf{"password": "sesame"}, settingsOf{"container": "c1"}
	for _, tt := range []struct {
		method string
		kwargs settingsOf
		want   string
	}{
		{"ssh", nil, none},
		{"ssh", sesame, own},
		{"sudo", nil, own},
		{"sudo", sesame, own},
		{"doas", sesame, own},
		{"su", sesame, all},
		{"docker", container, none},
		{"podman", container, none},
		{"buildah", container, none},
		{"kubectl", settingsOf{"pod": "p1"}, none},
		{"jail", settingsOf{"container": "c1", "path": "jexec_path"}, none},
		{"lxc", container, none},
		{"lxd", container, none},
		{"incus", container, none},
		{"local", nil, none},
	} {
		name := tt.method
		if tt.kwargs["password"] != nil {
			name += " with a password"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hop := hopBy(tt.method, tt.kwargs)
			if tt.method == "local" { // whose program is Python itself
				hop["python"] = []string{becometest.Executable(t, "#!/bin/sh"+tellStreams)}
			} else {
				hop = said(t, tt.method, tellStreams, tt.kwargs)
			}
			_, text := m.worker(t).connect(hop)
			text = strings.ReplaceAll(text, "\r", "") + "\n"
			if !strings.Contains(text, "\nstreams "+tt.want+"\n") || !strings.Contains(text, "\nand errors\n") {
				t.Errorf("%q, want %q, and the errors", text, tt.want)
			}
		})
	}
}

// As many files as the multiplexer may have open are for itself.
func TestProgramsHaveTheLimitsOfTheUser(t *testing.T) {
	m := startServe(t, "sh", "-c", `ulimit -Sn 300; exec "$@"`, "sh")
	hop := hopBy("local", nil)
	hop["python"] = []string{becometest.Executable(t, "#!/bin/sh\necho limit $(ulimit -Sn); exit 3")}
	if _, text := m.worker(t).connect(hop); !strings.Contains(text, "limit 300") {
		t.Errorf("%q", text)
	}
}

// A program's terminal lasts as long as its connection: it is not hung up when the agent is there, and what is written to it then ends nothing.
func TestTerminalLasts(t *testing.T) {
	m := startServe(t)
	for _, method := range []string{"sudo", "su", "doas"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			now, then := filepath.Join(dir, "now"), filepath.Join(dir, "then")
			w := m.worker(t)
			late := "echo late"
			if method == "su" { // whose terminal is the link itself
				late = "printf ''"
			}
			context, text := w.connect(said(t, method, fmt.Sprintf(
				`(trap "echo hung up >%[2]s; exit" HUP; while [ ! -e %[1]s ]; do sleep 0.02; done; %[3]s >/dev/tty && echo lasts >%[2]s.new && mv %[2]s.new %[2]s) </dev/null >/dev/null 2>&1 &`,
				now, then, late), nil))
			if text != "" {
				t.Fatal(text)
			}
			if err := os.WriteFile(now, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			var said []byte
			for deadline := time.Now().Add(time.Minute); said == nil && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
				said, _ = os.ReadFile(then)
			}
			if string(said) != "lasts\n" {
				t.Errorf("its terminal: %q", said)
			}
			if r, body := w.call("exec", context, map[string]any{"argv": []string{"echo", "still"}}); r.RC != 0 || string(body) != "still\n" {
				t.Errorf("%+v %q", r, body)
			}
		})
	}
}

// Terminals are also to be had where /dev/pts was mounted without the group that owns them (contract §1.7), here and by an agent.
func TestTerminalsWithoutTheirGroup(t *testing.T) {
	becometest.Need(t, "unshare", "mount")
	m := startServe(t, "unshare", "-m", "sh", "-c",
		`mount -t devpts -o newinstance,ptmxmode=0666,mode=0600 devpts /dev/pts && mount --bind /dev/pts/ptmx /dev/ptmx && exec "$@"`, "sh")
	words := `ask mitogen-sudo-prompt:; [ "$answer" = sesame ] || exit 1`
	for _, before := range [][]any{nil, {hopBy("local", nil)}} {
		if _, text := m.worker(t).connect(append(before, said(t, "sudo", words, settingsOf{"password": "sesame"}))...); text != "" {
			t.Errorf("behind %d hops: %s", len(before), text)
		}
	}
}

// How long a dial may take where nothing is set: contract §1.8.
func TestDefaultTimeout(t *testing.T) {
	needed := `{"hostname": "h", "username": "root", "container": "c", "pod": "p", "kind": "docker", "plugin": "a.b.c", "command": "c SPINDLEPROGRAM"}`
	for name, make := range factories() {
		d, err := make(json.RawMessage(needed))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if d.Timeout() != 30*time.Second {
			t.Errorf("%s: %v", name, d.Timeout())
		}
	}
}

// Users are not shown the agent's first stage if a program that was to start it is missing.
func TestFirstStageIsInNoError(t *testing.T) {
	err := transports.StartError(append([]string{"sudo", "-u", "app"}, bootstrap.Argv(bootstrap.Options{Nonce: "n", Title: "t", Candidates: []string{"python3"}})...), os.ErrNotExist)
	if want := ": 'sudo'. Command was: sudo -u app /bin/sh -c 's=\"…'"; !strings.HasSuffix(err.Text, want) {
		t.Errorf("%q, want …%q", err.Text, want)
	}
}
