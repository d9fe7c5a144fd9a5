package container

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The account reaches kubectl in a file that it can open more than once, ahead of the user's own, and stdin goes on behind it:
// in every shell there is, with /dev/fd and without.
func TestKubectlLogin(t *testing.T) {
	dl, err := Kubectl(json.RawMessage(`{"pod": "p", "kubectl_args": ["--token", "ey\\to'k\"en $HOME ` + "`id`" + `"]}`))
	if err != nil {
		t.Fatal(err)
	}
	fragment := dl.(*dialer).lead.Reveal()
	dir := t.TempDir()
	kubectl := script(t, "kubectl", `#!/bin/sh
own=${KUBECONFIG#*:}
first=${KUBECONFIG%%:*}
cat "$first" && cat "$first" && cat
echo "own $own"
echo "args $*"
case $first in /dev/fd/3) echo by number;; *) stat -c %a "$first"; echo "$first" >&2;; esac
tr '\0' '\n' </proc/self/environ
tr '\0' '\n' </proc/$PPID/environ
exit 7
`)
	mine := filepath.Join(dir, "mine")
	if err := os.WriteFile(mine, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, shell := range [][]string{{"/bin/sh"}, {"dash"}, {"bash", "--posix"}, {"busybox", "sh"}, {"mksh"}, {"ksh"}, {"yash"}} {
		path, err := exec.LookPath(shell[0])
		if err != nil {
			t.Logf("NOT TESTED: no %s", shell[0])
			continue
		}
		for _, tt := range []struct {
			name, text, explicit, kubeconfig, own, how string
		}{
			{"default", kubectlLogin, "", "", "/home/me/.kube/config", "by number"},
			{"variable", kubectlLogin, "", "/a:/b", "/a:/b", "by number"},
			{"option", kubectlLogin, mine, "/a:/b", mine, "by number"},
			{"no /dev/fd", strings.ReplaceAll(kubectlLogin, "/dev/fd/", "/nonexistent/"), "", "", "/home/me/.kube/config", "600"},
		} {
			t.Run(shell[0]+" "+tt.name, func(t *testing.T) {
				cmd := exec.CommandContext(t.Context(), path, append(shell[1:], "-c", tt.text, "sh", tt.explicit, kubectl, "--user=spindle", "exec")...)
				cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/home/me", "KUBECONFIG=" + tt.kubeconfig, "c=exported", "t=exported"}
				cmd.Stdin = strings.NewReader(fragment + "\nand the rest\n")
				var said strings.Builder
				cmd.Stderr = &said
				out, _ := cmd.Output()
				want := fragment + "\n" + fragment + "\nand the rest\nown " + tt.own + "\nargs --user=spindle exec\n" + tt.how + "\n"
				rest, ok := strings.CutPrefix(string(out), want)
				if code := cmd.ProcessState.ExitCode(); !ok || code != 7 {
					t.Errorf("status %d: %q, want %q\n%s", code, out, want, &said)
				}
				if strings.Contains(rest, "to'k") || !strings.Contains(rest, "KUBECONFIG=") {
					t.Errorf("its environment: %s", rest)
				}
				if name := strings.TrimSpace(said.String()); name != "" {
					if _, err := os.Stat(name); !os.IsNotExist(err) {
						t.Errorf("%s is still there: %v", name, err)
					}
				}
			})
		}
	}
}

// A file that the user names has to be there, as kubectl itself has it.
func TestKubectlConfigMissing(t *testing.T) {
	tool := script(t, "kubectl", "#!/bin/sh\nexec true\n")
	_, err := dial(t, Kubectl, map[string]any{"pod": "p", "kubectl_path": tool, "kubectl_args": []string{"--token=s3cr3t", "--kubeconfig=/nonexistent/k"}})
	if err == nil || !strings.Contains(err.Error(), "error: stat /nonexistent/k: no such file or directory") {
		t.Errorf("%v", err)
	}
}

// A configuration that is written out is the only one that kubectl sees, with the account in it if there is one, and stands in no argv.
func TestKubectlConfigWrittenOut(t *testing.T) {
	tool := script(t, "kubectl", `#!/bin/sh
first=${KUBECONFIG%%:*} && cat "$first" >&2 && echo "rest ${KUBECONFIG#*:}, args $1 $2 $3" >&2
tr '\0' '\n' </proc/self/cmdline >&2; tr '\0' '\n' </proc/$PPID/cmdline >&2
exit 7
`)
	config := map[string]any{"current-context": "one", "users": []any{map[string]any{"name": "them", "user": map[string]any{"token": "sesame"}}}}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"alone", nil, `{"apiVersion":"v1","current-context":"one","kind":"Config","users":[{"name":"them","user":{"token":"sesame"}}]}` +
			"\nrest /dev/null, args exec -it p\n"},
		{"with a user", []string{"--username=me"}, `{"apiVersion":"v1","current-context":"one","kind":"Config","users":[{"name":"them","user":{"token":"sesame"}}]}` +
			"\nrest /dev/null, args --username=me exec -it\n"},
		{"with a token", []string{"--token", "open"}, `{"apiVersion":"v1","current-context":"one","kind":"Config","users":[{"name":"them","user":{"token":"sesame"}},{"name":"spindle","user":{"token":"***"}}]}` +
			"\nrest /dev/null, args --user=spindle exec -it\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := dial(t, Kubectl, map[string]any{"pod": "p", "kubectl_path": tool, "kubectl_args": tt.args, "kubeconfig": config})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v\nwant %s", err, tt.want)
			}
			if strings.Count(err.Error(), "sesame") > 1 || strings.Contains(err.Error(), "open") {
				t.Errorf("a secret is in a command line: %v", err)
			}
		})
	}
	for want, kwargs := range map[string]string{
		"kubectl: kubeconfig: users is no list":                             `{"pod": "p", "kubectl_args": ["--token=t"], "kubeconfig": {"users": 1}}`,
		"kubectl: kubeconfig is written out, and --kubeconfig names a file": `{"pod": "p", "kubectl_args": ["--kubeconfig=/k"], "kubeconfig": {"users": []}}`,
		"kubectl: kubeconfig cannot be of type string":                      `{"pod": "p", "kubeconfig": "/k"}`,
	} {
		if _, err := Kubectl(json.RawMessage(kwargs)); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
