package bootstrap

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// vanishing removes trees of which something goes at the same time: what the first look at a directory has seen.
const vanishing = `
import errno, os, sys, tempfile
_WIRE_PY3 = sys.version_info > (3,)
signal = None
exec(sys.stdin.read())

real = os.listdir
def listdir(place):
    names = real(place)
    for name in names:
        if name.startswith('gone'):
            where = os.path.join('/proc/self/fd/%d' % place if isinstance(place, int) else place, name)
            if os.path.isdir(where):
                os.rmdir(where)
            else:
                os.unlink(where)
    return names

for what in 'gone_file', 'gone_directory/', 'inner/gone_file', 'inner/gone_directory/':
    top = tempfile.mkdtemp()
    for name in ('a', 'z/', 'inner/', 'inner/a', 'inner/z', what):
        path = os.path.join(top, name)
        if name.endswith('/'):
            os.path.isdir(path) or os.mkdir(path)
        else:
            open(path, 'w').close()
    os.listdir = listdir
    try:
        remove(top, True)
    finally:
        os.listdir = real
    print('%s: %s' % (what, os.path.exists(top)))

# What is not there is nothing to complain of. What was not found because somebody did not let us look for it is.
remove('/nonexistent/x', True)
remove('/etc/passwd/x', True)
top = tempfile.mkdtemp()
def rmdir(path, **at):
    raise OSError(errno.ENOENT, 'on purpose')
real, os.rmdir = os.rmdir, rmdir
try:
    remove(top, True)
    print('nothing was said')
except OSError as e:
    print('said: %s' % e.strerror)
os.rmdir = real
os.rmdir(top)
`

func TestTreesOfWhichSomethingVanishes(t *testing.T) {
	source, err := agent.ReadFile("agent/ledger.py")
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, tg target) {
		argv := []string{tg.python, "-c", vanishing}
		if tg.root != "" {
			argv = append([]string{"unshare", "--mount", "--propagation", "private", "sh", "-c", `mount -t proc proc "$0/proc" && exec chroot "$0" "$@"`, filepath.Clean(tg.root)}, argv...)
		}
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin = strings.NewReader(string(source))
		out, err := cmd.CombinedOutput()
		const want = "gone_file: False\ngone_directory/: False\ninner/gone_file: False\ninner/gone_directory/: False\nsaid: on purpose\n"
		if err != nil || string(out) != want {
			t.Errorf("%v\n%s\nwant\n%s", err, out, want)
		}
	})
}
