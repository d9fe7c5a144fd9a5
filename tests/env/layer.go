package env

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	_ "embed"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

//go:embed prepare.sh
var prepareScript string

// KeyPassphrase is the passphrase of the encrypted one of the two keys that every account accepts.
const KeyPassphrase = "key-passphrase"

// layer is a root file system with the users and keys of the tests laid over it, shared by all machines of its kind.
type layer struct{ root, dir string }

// lower returns what overlayfs takes as the lower layers of a machine.
func (l *layer) lower() string { return filepath.Join(l.dir, "upper") + ":" + l.root }

// look describes a path as it is in the layer, or else in the root.
func (l *layer) look(path string) (File, bool) {
	if f, ok := look(filepath.Join(l.dir, "upper", path)); ok {
		return f, true
	}
	return look(filepath.Join(l.root, path))
}

var layers struct {
	sync.Mutex
	made map[string]*layer
}

// layerOf returns the layer of one kind ("target", "controller") over a root, making it at first use.
func layerOf(t testing.TB, root, kind string) *layer {
	t.Helper()
	keys := userKeys(t)
	layers.Lock()
	defer layers.Unlock()
	id := kind + strings.ReplaceAll(root, "/", "-")
	if l, ok := layers.made[id]; ok {
		return l
	}
	l := &layer{root: root, dir: filepath.Join(scratch(), "layers", id)}
	for _, d := range []string{"upper", "work", "root"} {
		if err := os.MkdirAll(filepath.Join(l.dir, d), 0o755); err != nil {
			t.Fatalf("layer: %v", err)
		}
	}
	cmd := exec.Command("/bin/sh", "-c", prepareScript)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "ROOT="+root, "LAYER="+filepath.Join(l.dir, "upper"),
		"WORK="+filepath.Join(l.dir, "work"), "POINT="+filepath.Join(l.dir, "root"), "KEYS="+keys.authorized, "KIND="+kind)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("layer %s: %v\n%s", id, err, out.String())
	}
	if layers.made == nil {
		layers.made = map[string]*layer{}
	}
	layers.made[id] = l
	return l
}

// RootOf returns the Debian root of a name, built by roots.sh when it is missing. It skips the test where that is impossible.
func RootOf(t testing.TB, name string) string {
	t.Helper()
	if why := missing(); why != "" {
		Unavailable(t, why)
	}
	script := filepath.Join(repository(t), "tests/env/roots.sh")
	cmd := exec.Command(script, name)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		Unavailable(t, fmt.Sprintf("no Debian root %s: %v: %s", name, err, errs.String()))
	}
	return strings.TrimSpace(out.String())
}

// repository returns the top directory of this source tree.
func repository(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// keyPair is one SSH key in the forms that files have.
type keyPair struct {
	private, encrypted []byte
	authorized         string
}

func newKey() (keyPair, error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return keyPair{}, err
	}
	plain, err := ssh.MarshalPrivateKey(priv, "spindle-tests")
	if err != nil {
		return keyPair{}, err
	}
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(priv, "spindle-tests", []byte(KeyPassphrase))
	if err != nil {
		return keyPair{}, err
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		return keyPair{}, err
	}
	return keyPair{pem.EncodeToMemory(plain), pem.EncodeToMemory(locked), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshPub)))}, nil
}

var userKey struct {
	sync.Once
	keyPair
	err error
}

// userKeys returns the key that every account of every target accepts; it is made once per test binary.
func userKeys(t testing.TB) keyPair {
	t.Helper()
	userKey.Do(func() { userKey.keyPair, userKey.err = newKey() })
	if userKey.err != nil {
		t.Fatalf("key: %v", userKey.err)
	}
	return userKey.keyPair
}
