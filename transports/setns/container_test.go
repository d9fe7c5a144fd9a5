package setns

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// needsRoot skips a test that enters namespaces where that cannot be, and fails it where it must not be skipped.
func needsRoot(t *testing.T) {
	t.Helper()
	why := ""
	if os.Geteuid() != 0 {
		why = "not root: no namespaces can be had"
	}
	for _, tool := range []string{"unshare", "mount", "chroot", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			why = "no " + tool + " here"
		}
	}
	switch {
	case why == "":
	case os.Getenv("SPINDLE_TEST_REQUIRE") != "":
		t.Fatal(why)
	default:
		t.Skip(why)
	}
}

// build makes a container's root, which lives in the container's mount namespace alone, and becomes its first process: by
// chroot and not by pivot_root, so that the namespace's own root is still the host's.
const build = `set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /tmp
cd /tmp
mkdir usr proc dev etc run root home tmp home/deploy
mount --bind /usr usr
for d in bin sbin lib lib32 lib64 libx32; do if [ -h /$d ]; then ln -s usr/$d $d; elif [ -d /$d ]; then mkdir $d; mount --bind /$d $d; fi; done
mount -t proc proc proc
for d in null urandom; do : >dev/$d; mount --bind /dev/$d dev/$d; done
chmod 1777 tmp; chmod 700 root; chown 4711:4712 home/deploy; chmod 700 home/deploy
printf %s "$1" >etc/passwd
printf %s "$2" >etc/group
hostname inside
exec chroot . /bin/sh -c 'echo ready; exec sleep 1000'
`

const passwd = `root:x:0:0:root:/root:/bin/bash
deploy:x:4711:4712:Deploy,,,:/home/deploy:/bin/dash
locked:x:4713:4713::/root:
4711x:x:1:1::/:/bin/sh
`

const group = `root:x:0:
wheel:x:10:alice,deploy
deploy:x:4712:
docker:x:999:deploy
others:x:998:deployer,alice
odd line
`

// lab starts a container, and returns its first process's number out here. It is gone at the end of the test. With ids, it
// has a user namespace of its own, where 0 is that number out here, and so on.
func lab(t *testing.T, passwd, group string, ids ...int) (pid string) {
	t.Helper()
	needsRoot(t)
	cmd := exec.Command("/bin/sh", "-c", build, "sh", passwd, group)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
	}
	for _, id := range ids {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: id, Size: 65536}}
		cmd.SysProcAttr.GidMappings = cmd.SysProcAttr.UidMappings
		cmd.SysProcAttr.GidMappingsEnableSetgroups = true
		cmd.SysProcAttr.Credential = &syscall.Credential{} // root of that namespace
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the container says %q, %v", line, err)
	}
	return strconv.Itoa(cmd.Process.Pid)
}

// python is one to run enter.py with.
type python struct{ name, dir, skip string }

// onlyPython returns a directory that has nothing but this Python in it, under the name python: a PATH of its own.
func onlyPython(t *testing.T, script string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "python"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// pythons returns every Python that is found: this machine's, those of the Debian roots, and SPINDLE_TEST_PYTHONS.
func pythons(t *testing.T) (list []python) {
	t.Helper()
	real := func(path string) string { return onlyPython(t, "#!/bin/sh\nexec "+path+" \"$@\"\n") }
	if path, err := exec.LookPath("/usr/bin/python3"); err == nil {
		list = append(list, python{name: "host", dir: real(path)})
	}
	for _, path := range filepath.SplitList(os.Getenv("SPINDLE_TEST_PYTHONS")) {
		list = append(list, python{name: path, dir: real(path)})
	}
	roots := os.Getenv("SPINDLE_TEST_ROOTS")
	if roots == "" {
		roots = "/var/cache/spindle-tests/roots"
	}
	for _, r := range []struct{ suite, name, python string }{
		{"bullseye", "2.7", "python2.7"},
		{"bullseye", "3.9", "python3"},
		{"trixie", "3.13", "python3"},
		{"sid", "3.14", "python3"},
	} {
		root := filepath.Join(roots, r.suite)
		p := python{name: r.name}
		if _, err := os.Stat(filepath.Join(root, "usr/bin", r.python)); err != nil {
			p.skip = fmt.Sprintf("no Python %s: %v (SPINDLE_TEST_ROOTS names the directory of the Debian roots)", r.name, err)
		} else {
			// In a mount namespace of its own, the root sees this machine's processes and is otherwise left as it is.
			p.dir = onlyPython(t, `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec unshare --mount --propagation private /bin/sh -c 'root=$1; shift; mount --rbind /proc "$root/proc" && exec chroot "$root" "$@"' sh `+
				root+" "+r.python+" \"$@\"\n")
		}
		list = append(list, p)
	}
	return list
}
