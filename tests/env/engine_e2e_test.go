//go:build e2e

package env

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEngines(t *testing.T) {
	for _, kind := range Engines {
		t.Run(kind, func(t *testing.T) {
			l := New(t)
			m := l.Controller(t, WithEngines)
			start := time.Now()
			e := m.Engine(t, kind)
			up := time.Now()
			c := e.Run(t, "inner1")
			made := time.Now()
			if o := c.ExecAs(t, "plain", "sudo", "-n", "id"); o.Code == 0 {
				t.Errorf("plain may become root: %+v", o)
			}
			before := c.Files(t)
			o := c.Enter(t, "", "/bin/sh", "-c", "hostname; id -un; python3 -c 'print(6*7)'; exit 7")
			t.Logf("daemons %v, container %v, entering %v", up.Sub(start), made.Sub(up), time.Since(made))
			if kind == Buildah {
				o.Stdout = "inner1" + strings.TrimPrefix(o.Stdout, strings.SplitN(o.Stdout, "\n", 2)[0]) // every run has another host name
			}
			if o.Code != 7 || o.Stdout != "inner1\nroot\n42\n" {
				t.Errorf("through the engine: %+v", o)
			}
			if got := c.MustExec(t, "sh", "-c", "hostname; sudo -nu app id -un"); got != "inner1\napp\n" {
				t.Errorf("from outside: %q", got)
			}
			if d := before.Diff(c.Files(t)); len(d) > 0 {
				t.Errorf("looking changed something: %v", d)
			}
			if left := c.Quiet(2*time.Second) + m.Quiet(2*time.Second); left != "" {
				t.Error(left)
			}
			c.MustExec(t, "sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo >/tmp/x; sleep 0.1")
			if got := c.Quiet(0); !strings.Contains(got, "sleep 1000") {
				t.Errorf("a process is not seen: %q", got)
			}
			if d := before.Diff(c.Files(t)); len(d) != 1 || !strings.HasPrefix(d[0], "+ /tmp/x: ") {
				t.Errorf("a file is not seen: %v", d)
			}
		})
	}
}

// TestKubectlEitherWay: newer versions of kubectl speak WebSocket, older ones SPDY, and so does the API server.
func TestKubectlEitherWay(t *testing.T) {
	m := New(t).Controller(t, WithEngines)
	m.Engine(t, Kubectl).Run(t, "pod1")
	m.shell(t, "head -c 3000000 /dev/urandom >/tmp/data")
	for way, set := range map[string]string{"websocket": "true", "spdy": "false"} {
		t.Run(way, func(t *testing.T) {
			o := m.Exec(t, "/bin/sh", "-c", "export KUBECTL_REMOTE_COMMAND_WEBSOCKETS="+set+`
kubectl exec -i pod1 -c side -- cat </tmp/data | cmp - /tmp/data && kubectl exec pod1 -c side -- sh -c 'hostname; echo error >&2; exit 7' && exit
code=$?
kubectl exec nobody -- true
exit $code`)
			if o.Code != 7 || o.Stdout != "pod1\n" || !strings.Contains(o.Stderr, "error\n") || !strings.Contains(o.Stderr, `pods "nobody" not found`) {
				t.Errorf("%+v", o)
			}
		})
	}
}

// TestEnginesGoWithTheirMachine: whatever they did, this machine is as it was.
func TestEnginesGoWithTheirMachine(t *testing.T) {
	before := traces(t)
	pids := map[int]string{}
	t.Run("inner", func(t *testing.T) {
		m := New(t).Controller(t, WithEngines)
		for _, kind := range []string{Docker, LXC, Machinectl} {
			m.Engine(t, kind).Run(t, "in-"+kind)
		}
		for end := time.Now().Add(10 * time.Second); len(pids) < 8 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) { // a container has just begun
			for _, p := range everywhere(t, m.Machine) {
				pids[p.PID] = p.String()
			}
		}
		if len(pids) < 8 || cmp.Diff(before, traces(t)) == "" {
			t.Errorf("the traces of engines are not seen: %v", pids)
		}
	})
	for pid, what := range pids {
		if b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat")); err == nil && !strings.Contains(string(b), ") Z ") {
			t.Errorf("still running: %s", what)
		}
	}
	if d := cmp.Diff(before, traces(t)); d != "" {
		t.Errorf("this machine is not as it was (-before +after):\n%s", d)
	}
}

// everywhere lists the processes in a machine's control groups: its own, and those of the containers on it.
func everywhere(t *testing.T, m *Machine) []Process {
	t.Helper()
	var out []Process
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if p, ok := readProcess(dir); ok && m.owns(dir) {
			out = append(out, p)
		}
	}
	return out
}

// traces is what engines could leave on this machine.
func traces(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, argv := range map[string][]string{
		"mounts": {"cat", "/proc/self/mounts"}, "links": {"ip", "-o", "link"}, "namespaces": {"ip", "netns"},
		"forwarding": {"cat", "/proc/sys/net/ipv4/ip_forward"},
		"groups":     {"find", "/sys/fs/cgroup", "-name", cgroupPrefix + "*"},
		"state":      {"sh", "-c", "ls -d /var/lib/docker /var/lib/lxc /var/lib/lxd /var/lib/incus /run/docker* /run/containerd /run/lxc /run/dbus /run/systemd/machines 2>/dev/null; true"},
	} {
		b, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", argv, err, b)
		}
		out[name] = string(b)
	}
	return out
}
