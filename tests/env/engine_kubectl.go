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
//
// The server wants to know who asks: the account in the configuration files has a token.
var kubectlSpec = engineSpec{
	up: func(t testing.TB, e *Engine) {
		e.kube = startKubeAPI(t, e.On.lab)
		config := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: tests, cluster: {server: "https://%s", insecure-skip-tls-verify: true}}]
contexts: [{name: tests, context: {cluster: tests, user: tests, namespace: default}}]
users: [{name: tests, user: {token: %s}}]
current-context: tests
`, e.kube.addr, KubeToken)
		e.On.put(t, "/root/.kube/config", config, 0o600)
		if _, err := e.On.lookup(Operator); err == nil {
			e.On.put(t, home+"/.kube/config", config, 0o644)
			e.On.MustExec(t, "chown", "-R", Operator+":", home+"/.kube")
		}
	},
	enter: func(name, _ string) []string { return []string{"kubectl", "exec", "-i", name, "--"} },
}

// What the API server lets in. A token is not easy to tell from what one finds in a shell; nor is the password. KubeCertified is whose certificate
// it has made.
const (
	KubeToken     = "ey.canary-token-3f07"
	KubeUser      = "kube"
	KubePassword  = `canary \"pass$word'-b2c8`
	KubeCertified = "certified"
)

// kubeAPI is the server: it runs on this machine, with a leg on the switch, and takes orders on its standard input.
type kubeAPI struct {
	addr  string
	certs string // a directory of this machine

	mu     sync.Mutex
	orders *os.File
	said   *bufio.Scanner
}

func startKubeAPI(t testing.TB, l *Lab) *kubeAPI {
	t.Helper()
	program, certs := kubeProgram(t), t.TempDir()
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
	cmd := exec.Command("nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", l.pid), program, "-addr", addr, "-token", KubeToken, "-login", KubeUser+":"+KubePassword, "-certs", certs)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	out.Close()
	k := &kubeAPI{addr: addr, certs: certs, orders: orders, said: bufio.NewScanner(said)}
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

// KubeAddr is the address of the engine's API server.
func (e *Engine) KubeAddr() string { return e.kube.addr }

// KubeFile reads what the API server wrote for its clients: ca.pem, client.pem or client.key. The account of that certificate is KubeCertified.
func (e *Engine) KubeFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(e.kube.certs, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
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
