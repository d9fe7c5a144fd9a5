package becometest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Root finds the Debian root of this name that the end-to-end tests use, see tests/env/roots.sh. It returns "" if that is
// not there, or does not have the program, which is an absolute path.
func Root(name, program string) string {
	dir := os.Getenv("SPINDLE_TEST_ROOTS")
	if dir == "" {
		dir = "/var/cache/spindle-tests/roots"
	}
	root, err := filepath.EvalSymlinks(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	if _, err := os.Lstat(root + program); err != nil {
		return ""
	}
	return root
}

// inRoot is a script that runs the rest of its arguments in the root $1, with $2 for its /etc, in a mount namespace. A
// root is shared by all tests, and nothing is ever written to it.
const inRoot = `root=$1 etc=$2; shift 2
mount --bind "$etc" "$root/etc"; mount --rbind /proc "$root/proc"; mount --rbind /dev "$root/dev"
for dir in run var/log tmp; do mount -t tmpfs -o mode=755 none "$root/$dir"; done
exec chroot "$root" "$@"`

// Elsewhere makes an account in a root of another Debian, and shows it these files in /etc besides. The spawner
// that it returns starts programs there. What the machine has itself stays as it is.
func Elsewhere(t testing.TB, root, name, password string, etc map[string]string) *As {
	t.Helper()
	Need(t, "unshare", "mount", "chroot", "cp")
	dir := filepath.Join(t.TempDir(), "etc")
	if out, err := exec.Command("cp", "-a", root+"/etc", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a := &As{User: name, Within: []string{"unshare", "-m", "/bin/sh", "-ec", inRoot, "sh", root, dir}}
	run(t, "", append(a.Within, "useradd", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/sh", name)...)
	run(t, fmt.Sprintf("%s:%s", name, password), append(a.Within, "chpasswd")...)
	for file, text := range etc {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o440); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// Again is the same without what was typed so far.
func (a *As) Again() *As {
	return &As{User: a.User, Group: a.Group, Pipes: a.Pipes, Env: a.Env, Within: a.Within}
}
