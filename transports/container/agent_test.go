package container

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spindle/bootstrap"
	"spindle/transports"
	"spindle/transports/local"
	"spindle/transports/wire"
)

// patience bounds what a test waits for.
const patience = 30 * time.Second

// stub writes a script in the place of a tool. It must be called with exactly these words and the program behind them, as
// it says on stderr otherwise; then it runs the program.
func stub(t *testing.T, name, says string, lead ...string) (path string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("#!/bin/sh\n# A stub of " + name + ": it enters nothing.\n")
	for _, word := range lead {
		b.WriteString(`[ "$1" = "` + word + `" ] || { echo "stub: \"$1\", not \"` + word + `\"" >&2; exit 64; }` + "\nshift\n")
	}
	b.WriteString(says + "\nexec \"$@\"\n")
	return script(t, name, b.String())
}

func script(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// dial dials on this machine with these settings.
func dial(t *testing.T, factory transports.Factory, kwargs map[string]any) (*transports.Booted, error) {
	t.Helper()
	b, err := json.Marshal(kwargs)
	if err != nil {
		t.Fatal(err)
	}
	d, err := factory(b)
	if err != nil {
		t.Fatal(err)
	}
	o := bootstrap.Options{Candidates: []string{"/usr/bin/python3", "python3"}, Nonce: "n4711", Title: "test", Silence: patience}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return d.Dial(ctx, &local.Spawner{}, transports.Program{
		Argv: bootstrap.Argv(o), Flight: bootstrap.Flight(o), Nonce: o.Nonce, Candidates: o.Candidates,
	})
}

// Behind each tool a real agent comes up and answers, noise or not, and is gone with its link.
func TestAgentBoots(t *testing.T) {
	for _, tt := range []struct {
		method, key string
		kwargs      map[string]any
		lead        []string
		says        string
	}{
		{
			"docker", "docker_path",
			map[string]any{"container": "web1", "username": "deploy", "extra_args": []string{"--context", "far"}, "env": map[string]any{"DOCKER_HOST": "x y"}},
			[]string{"--context", "far", "exec", "--interactive", "--user=deploy", "web1"},
			`[ "$DOCKER_HOST" = "x y" ] || exit 65`,
		},
		{
			"podman", "podman_path",
			map[string]any{"container": "web1", "username": "deploy"},
			[]string{"exec", "--user=deploy", "--interactive", "--", "web1"},
			`echo "WARN[0000] something is old" >&2`,
		},
		{"buildah", "buildah_path", map[string]any{"container": "b1"}, []string{"run", "--", "b1"}, ""},
		{
			"kubectl", "kubectl_path",
			map[string]any{"pod": "web-0", "kubectl_args": []string{"-n", "shop"}},
			[]string{"-n", "shop", "exec", "-it", "web-0", "--"},
			`echo "Unable to use a TTY - input is not a terminal or the right kind of file" >&2`,
		},
		{
			"kubectl", "kubectl_path",
			map[string]any{"pod": "web-0", "kubectl_args": []string{"-n", "shop", "--token", "s3cr3t"}},
			[]string{"-n", "shop", "--user=spindle", "exec", "-it", "web-0", "--"},
			`grep -q '"token":"s3cr3t"' "${KUBECONFIG%%:*}" || exit 65`,
		},
		{
			"jail", "jexec_path",
			map[string]any{"container": "www", "username": "deploy"},
			[]string{"-U", "deploy", "www"},
			`echo "This is a stub of jexec: there are no jails on Linux." >&2`,
		},
		{"lxc", "lxc_attach_path", map[string]any{"container": "c1"}, []string{"--clear-env", "--name", "c1", "--"}, ""},
		{
			"lxd", "lxc_path",
			map[string]any{"container": "c1", "project": "shop", "remote": "far"},
			[]string{"--project", "shop", "exec", "--mode=noninteractive", "far:c1", "--"},
			`echo "To start your first container, try: lxc launch"`,
		},
		{"incus", "incus_path", map[string]any{"container": "c1"}, []string{"exec", "--mode=non-interactive", "c1", "--"}, ""},
	} {
		t.Run(tt.method, func(t *testing.T) {
			t.Parallel()
			tt.kwargs[tt.key] = stub(t, filepath.Base(tt.method), tt.says, tt.lead...)
			b, err := dial(t, factories[tt.method], tt.kwargs)
			if err != nil {
				t.Fatal(err)
			}
			hello, ok := b.Hello.Header.(wire.Hello)
			if !ok || b.How != tt.method {
				t.Errorf("hello %+v, how %q", b.Hello.Header, b.How)
			}
			if _, err := b.Link.Write(frame(t, wire.Frame{Header: wire.Ping{Stamp: 42}})); err != nil {
				t.Error(err)
			}
			if f, err := b.Frames.Next(); err != nil || f.Header != (wire.Ping{Reply: true, Stamp: 42}) {
				t.Errorf("answer = %+v, %v", f, err)
			}
			if err := b.Link.Close(); err != nil {
				t.Error(err)
			}
			gone(t, hello.PID)
		})
	}
}

func frame(t *testing.T, f wire.Frame) []byte {
	t.Helper()
	b, err := wire.Append(nil, f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// gone waits until a process is no more.
func gone(t *testing.T, pid int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("process %d is still there", pid)
		}
	}
}

func TestFailures(t *testing.T) {
	const lost = "/nonexistent/tool"
	noContainer := script(t, "tool", "#!/bin/sh\necho 'Error: No such container: web1' >&2\nexit 1\n")
	noPython := script(t, "tool", "#!/bin/sh\necho 'SPINDLE0 n4711 no-python'\nexit 127\n")
	stuck := script(t, "tool", "#!/bin/sh\nexec sleep 1000\n")
	for _, tt := range []struct {
		name, method, key, path string
		kwargs                  map[string]any
		want                    []string // parts, in order
		exact                   bool
	}{
		{"no such container", "podman", "podman_path", noContainer, nil, []string{transports.TextEOF, "No such container: web1"}, false},
		{"hint of lxc", "lxc", "lxc_attach_path", noContainer, nil, []string{transports.TextEOF, "web1\n\nNote: lxc-attach seldom", "`lxc-info -n web1`"}, false},
		{"hint of lxd", "lxd", "lxc_path", noContainer, map[string]any{"remote": "far"}, []string{transports.TextEOF, "web1\n\nNote: lxc seldom", "`lxc info far:web1 --show-log`"}, false},
		{"hint of incus", "incus", "incus_path", noContainer, map[string]any{"project": "p"}, []string{transports.TextEOF, "web1\n\nNote: incus seldom", "`incus --project p info web1 --show-log`"}, false},
		{"missing tool", "lxc", "lxc_attach_path", lost, nil, []string{"Child start failed: [Errno 2] No such file or directory: '" + lost + "'. Command was: " + lost + " --clear-env"}, false},
		{"no Python", "docker", "docker_path", noPython, nil, []string{"No usable Python was found on the target (tried /usr/bin/python3, python3)"}, false},
		{"deadline", "docker", "docker_path", stuck, map[string]any{"connect_timeout": 0.3}, []string{transports.TextTimeout}, true},
		{"missing tool behind a shell", "kubectl", "kubectl_path", lost, map[string]any{"kubectl_args": []string{"--token", "s3cr3t"}}, []string{transports.TextEOF, lost, "not found"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			kwargs := map[string]any{"container": "web1", "pod": "web1", tt.key: tt.path}
			for k, v := range tt.kwargs {
				kwargs[k] = v
			}
			start := time.Now()
			_, err := dial(t, factories[tt.method], kwargs)
			var ce *transports.ConnectError
			if !errors.As(err, &ce) || ce.Class != transports.Unreachable {
				t.Fatalf("error = %#v", err)
			}
			rest := ce.Text
			for _, part := range tt.want {
				_, behind, found := strings.Cut(rest, part)
				if rest = behind; !found {
					t.Errorf("text %q, want %q in it", ce.Text, part)
				}
			}
			if tt.exact && rest != "" {
				t.Errorf("text %q, want %q", ce.Text, tt.want)
			}
			if strings.Contains(ce.Text, "seldom") != strings.Contains(tt.name, "hint") {
				t.Errorf("hint in %q", ce.Text)
			}
			if took := time.Since(start); took > patience/2 {
				t.Errorf("took %v", took)
			}
		})
	}
}
