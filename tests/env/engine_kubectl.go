package env

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// kubectlSpec is the real kubectl on the machine, with an API server of ours (tests/kubeapi) on the switch. The pods are hosts of the lab.
var kubectlSpec = engineSpec{
	up: func(t testing.TB, e *Engine) {
		e.kube = startKubeAPI(t, e.On.lab)
		config := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: tests, cluster: {server: "http://%s"}}]
contexts: [{name: tests, context: {cluster: tests, user: tests, namespace: default}}]
users: [{name: tests, user: {}}]
current-context: tests
`, e.kube.addr)
		e.On.put(t, "/root/.kube/config", config, 0o600)
		if _, err := e.On.lookup(Operator); err == nil {
			e.On.put(t, home+"/.kube/config", config, 0o644)
			e.On.MustExec(t, "chown", "-R", Operator+":", home+"/.kube")
		}
	},
	enter: func(name, _ string) []string { return []string{"kubectl", "exec", "-i", name, "--"} },
}

// kubeAPI is the server: it runs on this machine, with a leg on the switch, and takes orders on its standard input.
type kubeAPI struct {
	addr string

	mu     sync.Mutex
	orders *os.File
	said   *bufio.Scanner
}

func startKubeAPI(t testing.TB, l *Lab) *kubeAPI {
	t.Helper()
	program := kubeProgram(t)
	listener, err := l.Listen(ControllerAddr + ":0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	in, orders, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	said, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", l.pid), program, "-addr", addr)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	out.Close()
	k := &kubeAPI{addr: addr, orders: orders, said: bufio.NewScanner(said)}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		orders.Close()
		said.Close()
	})
	if !k.said.Scan() {
		t.Fatalf("the API server does not start")
	}
	return k
}

// add tells the server of a pod: the namespaces of a host.
func (k *kubeAPI) add(t testing.TB, name string, m *Machine) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	fmt.Fprintf(k.orders, "%s nsenter -t %s -a --wd=%s\n", name, strconv.Itoa(m.pid), m.Root()+"/")
	if !k.said.Scan() || k.said.Text() != name {
		t.Fatalf("pod %s: the API server says %q", name, k.said.Text())
	}
}

var kube struct {
	sync.Once
	path, err string
}

// kubeProgram builds the API server, once per test binary. It is a module of its own, for what it imports.
func kubeProgram(t testing.TB) string {
	t.Helper()
	kube.Do(func() {
		kube.path = filepath.Join(scratch(), "bin", "kubeapi")
		cmd := exec.Command("go", "build", "-o", kube.path, ".")
		cmd.Dir = filepath.Join(repository(t), "tests/kubeapi")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			kube.err = err.Error() + "\n" + out.String()
		}
	})
	if kube.err != "" {
		t.Fatalf("build of tests/kubeapi: %s", kube.err)
	}
	return kube.path
}
