package setns

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// patience bounds what a test waits for.
const patience = 30 * time.Second

// entered is a command that enters a container by itself, without any spawner.
func entered(t *testing.T, path, pid, user string, program ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	argv := enter(pid, user, program)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=" + path, "KEPT=yes", "HOME=/nowhere", "USER=nobody"}
	cmd.WaitDelay = time.Second
	return cmd
}

// usual is where a host's programs are.
const usual = "/usr/sbin:/usr/bin:/sbin:/bin"

// withinPath is PATH for a container's programs, if ours has one Python only.
const withinPath = `PATH=` + usual + `; `

const whoIsThere = withinPath + `echo "uid $(id -ru) $(id -u) gid $(id -rg) $(id -g) groups $(id -G)"
echo "$HOME $SHELL $LOGNAME $USER $KEPT"; pwd; hostname; [ -d /proc/$$ ] && cat /proc/1/comm; readlink /proc/self/root
ls -l /proc/$$/fd 2>/dev/null | grep -E -e '-> (ipc|uts|net|pid|mnt|user):' -e '-> /$'
ls /; echo $((0x$(sed -n 's/^SigIgn:\t//p' /proc/$$/status) & ~0x180000000))` // but for the C library's own two, which make leaves ignored

func TestEnter(t *testing.T) {
	if signal.Ignored(syscall.SIGHUP) { // under nohup, and a program would inherit that
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGHUP)
		t.Cleanup(func() { signal.Stop(c) })
	}
	pid := lab(t, passwd, group)
	lost := "bin dev etc home lib proc root run sbin tmp usr"
	for _, d := range []string{"lib32", "lib64", "libx32"} {
		if _, err := os.Lstat("/" + d); err == nil {
			lost = strings.Replace(lost, " proc", " "+d+" proc", 1)
		}
	}
	rest := "\ninside\nsleep\n/\n" + strings.ReplaceAll(lost, " ", "\n") + "\n0\n"
	accounts := []struct{ name, user, want string }{
		{"root by default", "", "uid 0 0 gid 0 0 groups 0\n/root /bin/bash root root yes\n/root"},
		{"all groups", "deploy", "uid 4711 4711 gid 4712 4712 groups 4712 10 999\n/home/deploy /bin/dash deploy deploy yes\n/home/deploy"},
		{"a home out of reach, no shell", "locked", "uid 4713 4713 gid 4713 4713 groups 4713\n/root /bin/sh locked locked yes\n/"},
		{"by number", "4711", "uid 4711 4711 gid 4712 4712 groups 4712 10 999\n/home/deploy /bin/dash deploy deploy yes\n/home/deploy"},
		{"a name that looks like a number", "4711x", "uid 1 1 gid 1 1 groups 1\n/ /bin/sh 4711x 4711x yes\n/"},
	}
	for _, py := range pythons(t) {
		t.Run(py.name, func(t *testing.T) {
			if testing.Short() && py.name != "host" && py.name != "2.7" {
				t.Skip("short")
			}
			if py.skip != "" {
				t.Skip(py.skip)
			}
			for _, tt := range accounts {
				t.Run(tt.name, func(t *testing.T) {
					out, err := entered(t, py.dir, pid, tt.user, "/bin/sh", "-c", whoIsThere).CombinedOutput()
					if err != nil {
						t.Error(err)
					}
					if diff := cmp.Diff(tt.want+rest, string(out)); diff != "" {
						t.Errorf("inside (-want +got):\n%s", diff)
					}
				})
			}
			t.Run("no such user", func(t *testing.T) {
				out, err := entered(t, py.dir, pid, "nobody", "/bin/true").CombinedOutput()
				if err == nil || string(out) != "setns: there is no user nobody in the container.\n" {
					t.Errorf("%q, %v", out, err)
				}
			})
			t.Run("ends", func(t *testing.T) { ends(t, py.dir, pid) })
			t.Run("signals", func(t *testing.T) { signals(t, py.dir, pid) })
		})
	}
}

// ends checks that the program's end is that of the whole, and its streams are the program's.
func ends(t *testing.T, path, pid string) {
	for script, want := range map[string]string{
		"exit 0":                               "<nil>",
		"exit 7":                               "exit status 7",
		"kill -KILL $$":                        "signal: killed",
		"kill -TERM $$":                        "signal: terminated",
		withinPath + "cat; echo x >&2; exit 3": "exit status 3",
		withinPath + "exec sleep 0":            "<nil>",
	} {
		cmd := entered(t, path, pid, "deploy", "/bin/sh", "-c", script)
		big := bytes.Repeat([]byte("0123456789abcdef\x00\xff\n"), 20000)
		var out, side bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(big), &out, &side
		if got := fmt.Sprint(cmd.Run()); got != want {
			t.Errorf("%q ends with %s, want %s", script, got, want)
		}
		if strings.Contains(script, "cat") && (!bytes.Equal(out.Bytes(), big) || side.String() != "x\n") {
			t.Errorf("%q: %d bytes, and %q", script, out.Len(), side.String())
		}
	}
}

// signals checks that those for the process out here get inside, and that nothing outlives it, killed or not.
func signals(t *testing.T, path, pid string) {
	for _, tt := range []struct {
		name string
		sig  syscall.Signal
		want string
	}{
		{"TERM", syscall.SIGTERM, "got TERM"},
		{"HUP", syscall.SIGHUP, "got HUP"},
		{"INT", syscall.SIGINT, "got INT"},
		{"KILL", syscall.SIGKILL, "got TERM"}, // the kernel tells it
	} {
		cmd := entered(t, path, pid, "deploy", "/bin/sh", "-c", withinPath+
			`for s in TERM HUP INT; do trap "echo got $s; exit 5" $s; done; echo up; while :; do sleep 0.02; done`)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		if line, err := lines.ReadString('\n'); line != "up\n" {
			t.Errorf("%s: %q, %v", tt.name, line, err)
		}
		_ = cmd.Process.Signal(tt.sig)
		if line, err := lines.ReadString('\n'); line != tt.want+"\n" {
			t.Errorf("%s: the program says %q, %v", tt.name, line, err)
		}
		var exit *exec.ExitError
		err = cmd.Wait()
		if tt.sig != syscall.SIGKILL && (!errors.As(err, &exit) || exit.ExitCode() != 5) {
			t.Errorf("%s: ends with %v", tt.name, err)
		}
	}
}

func TestEnterRefusals(t *testing.T) {
	pid := lab(t, passwd, group)
	self := fmt.Sprint(os.Getpid())
	for _, tt := range []struct {
		name string
		argv []string
		want string
	}{
		{"a process of the host", enter(self, "", []string{"/bin/true"}), "setns: process " + self + " is in no container.\n"},
		{"no process", enter("4194999", "", []string{"/bin/true"}), "setns: process 4194999, the container's first, is gone.\n"},
		{"no program", enter(pid, "deploy", []string{"/nonexistent/sh"}), "setns: cannot start /nonexistent/sh as deploy: [Errno 2] No such file or directory\n"},
		{
			"not root",
			append([]string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}, enter(pid, "", []string{"/bin/true"})...),
			"setns: cannot open the root directory of process " + pid + ": Permission denied. This takes root.\n",
		},
		{
			"no Python", append([]string{"env", "PATH=/nonexistent"}, enter(pid, "", []string{"/bin/true"})...),
			"setns: no Python was found here to enter the container with (tried python3, /usr/libexec/platform-python, python, python2).\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, tt.argv[0], tt.argv[1:]...)
			cmd.Env = []string{"PATH=" + usual}
			out, err := cmd.CombinedOutput()
			if err == nil || string(out) != tt.want {
				t.Errorf("%q, %v, want %q", out, err, tt.want)
			}
		})
	}
}

// A container made of nothing has a root all the same; others are looked for by its getent.
func TestNoPasswd(t *testing.T) {
	pid := lab(t, "", "")
	out, err := entered(t, usual, pid, "", "/bin/sh", "-c", `id -u; id -g; id -G; echo "$HOME $SHELL $USER"`).CombinedOutput()
	if err != nil || string(out) != "0\n0\n0\n/ /bin/sh root\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// Whom passwd does not have, the container's getent may know: from a directory service, say. It is a script here.
func TestGetent(t *testing.T) {
	pid := lab(t, passwd, group)
	put(t, pid, "/tmp/getent", "#!/bin/sh\n[ \"$*\" = \"passwd ldap\" ] || exit 2\nread x && exit 3\necho 'ldap:*:6000:6001::/:/bin/sh'\n")
	put(t, pid, "/tmp/id", "#!/bin/sh\necho 6001 6002\n")
	cmd := entered(t, "/tmp:"+usual, pid, "ldap", "/bin/sh", "-c", `/usr/bin/id -u; /usr/bin/id -G; cat`)
	cmd.Stdin = strings.NewReader("input\n")
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "6000\n6001 6002\ninput\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// put writes an executable file in a container.
func put(t *testing.T, pid, path, text string) {
	t.Helper()
	cmd := entered(t, usual, pid, "", "/bin/sh", "-c", `cat >"$1" && chmod 755 "$1"`, "sh", path)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", path, err, out)
	}
}

// A container with a user namespace of its own: 0 inside is somebody else out here.
func TestUserNamespace(t *testing.T) {
	pid := lab(t, passwd, group, 100000)
	out, err := entered(t, usual, pid, "deploy", "/bin/sh", "-c", `id -u; id -g; id -G; cat /proc/self/uid_map`).CombinedOutput()
	want := "4711\n4712\n4712 10 999\n0 100000 65536\n"
	if got := strings.Join(strings.Fields(string(out)), " "); err != nil || got != strings.Join(strings.Fields(want), " ") {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
}
