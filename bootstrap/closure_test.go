package bootstrap

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"spindle/transports/wire"
)

// controller is an installation of ansible-core, whose modules a target is to run.
type controller struct {
	version string
	root    string // of the Debian root that it is in; empty for this machine
	// since is the first Python 3 that its module_utils support, until the last, if there is a later one; python2 says whether 2.7 is supported too.
	since, until int
	python2      bool
}

var controllers = []controller{
	{version: "2.14", since: 5, python2: true},
	{version: "2.19", root: "trixie", since: 8},
	{version: "2.22", root: "sid", since: 9},
}

// closure is a module and all that it imports.
type closure struct {
	FQN   string
	Files map[string][]byte
}

// collected caches what the controllers' own dependency finders say.
var collected = struct {
	sync.Mutex
	by map[string]map[string]closure
}{by: map[string]map[string]closure{}}

// modules returns the closures of the modules that the tests run.
func (c controller) modules(t *testing.T) map[string]closure {
	t.Helper()
	collected.Lock()
	defer collected.Unlock()
	if found, ok := collected.by[c.version]; ok {
		return found
	}
	argv := []string{"/usr/bin/python3", "-", "command", "setup", "stat", "copy", "apt", "ping"}
	if c.root != "" {
		root := filepath.Join(rootsDir(), c.root)
		if _, err := os.Stat(filepath.Join(root, "usr/lib/python3/dist-packages/ansible")); err != nil {
			t.Skipf("no ansible-core %s: %v", c.version, err)
		}
		argv = append([]string{"chroot", root}, argv...)
	}
	script, err := os.Open("testdata/closure.py")
	if err != nil {
		t.Fatal(err)
	}
	defer script.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = script
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("no ansible-core %s: %v", c.version, err)
	}
	var found map[string]closure
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	collected.by[c.version] = found
	return found
}

// blob sends content, unless the agent has it.
func (r *remote) blob(content []byte) wire.Digest {
	r.t.Helper()
	digest := wire.Sum(content)
	if !r.blobs[digest] {
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		w.Write(content)
		w.Close()
		r.send(0, wire.Blob{Digest: digest, Size: len(content), Encoding: wire.EncodingZlib}, b.Bytes()...)
		r.blobs[digest] = true
	}
	return digest
}

// push sends a closure, and returns the name of its manifest.
func (r *remote) push(c closure, zip bool) string {
	r.t.Helper()
	files := map[string]string{}
	for path, content := range c.Files {
		files[path] = r.blob(content).String()
	}
	manifest, err := json.Marshal(map[string]any{"files": files, "zip": zip})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.blob(manifest).String()
}

// module runs a module and returns how it ended, and its result if that is JSON.
func (r *remote) module(c closure, zip bool, args map[string]any, change ...func(meta)) (result, map[string]any) {
	r.t.Helper()
	res := r.finish(r.beginModule(c, zip, args, change...))
	var parsed map[string]any
	json.Unmarshal([]byte(res.Out), &parsed)
	return res, parsed
}

// beginModule begins a module's call.
func (r *remote) beginModule(c closure, zip bool, args map[string]any, change ...func(meta)) uint32 {
	r.t.Helper()
	m := meta{"fqn": c.FQN, "manifest": r.push(c, zip), "profile": "legacy", "rlimit_nofile": 0, "secrets": nil}
	for _, f := range change {
		f(m)
	}
	if args == nil {
		args = map[string]any{}
	}
	input, err := json.Marshal(map[string]any{"ANSIBLE_MODULE_ARGS": args})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.begin("module", m, input)
}

// source makes a closure of one file of ours on top of another closure.
func (c closure) with(fqn, source string) closure {
	files := map[string][]byte{}
	for path, content := range c.Files {
		files[path] = content
	}
	files[filepath.Join("ansible/modules", fqn+".py")] = []byte(source)
	return closure{FQN: "ansible.modules." + fqn, Files: files}
}

// of returns that of two versions of ansible-core, an older and a newer one, which supports the agent's Python.
func (r *remote) of(older, newer controller) controller {
	if strings.HasPrefix(r.version, "3.1") && r.tg.name != "host" { // which ansible-core 2.14 does not support
		return newer
	}
	return older
}

// What is in a package can be listed, as in AnsiballZ's archive.
func TestPackagesCanBeListed(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		if tg.root != "" {
			tg.wrap = []string{"unshare", "--mount", "sh", "-c", `mount -t proc proc "$0/proc" && exec "$@"`, tg.root}
		}
		r := boot(t, tg)
		cl := r.of(controllers[0], controllers[2]).modules(t)["ping"]
		const listing = `
import sys, os, json, pkgutil
import ansible.module_utils.own as own
found = dict(modules=[[m[1], m[2]] for m in pkgutil.iter_modules(own.__path__, 'x.')], none=[m[1] for m in pkgutil.iter_modules([own.__path__[0] + '/none'])],
             walked=[m[1] for m in pkgutil.walk_packages(own.__path__, own.__name__ + '.')],
             within='own' in [m[1] for m in pkgutil.iter_modules([os.path.dirname(own.__path__[0])])])
try:
    from importlib.resources import files
    from importlib import readers  # without it, Python 3.9 looks into directories only
    places = dict((p.name, p) for p in files(own).iterdir())
    found['files'] = sorted(places), places['data.txt'].read_text(), sorted(p.name for p in places['below'].iterdir())
except ImportError:
    pass
print(json.dumps(found, sort_keys=True))
sys.exit(0)
`
		const want = `"modules": [["x.below", true], ["x.one", false], ["x.two", false]], "none": [], "walked": ["ansible.module_utils.own.below", ` +
			`"ansible.module_utils.own.below.deep", "ansible.module_utils.own.one", "ansible.module_utils.own.two"], "within": true}` + "\n"
		const files = `"files": [["__init__.py", "below", "data.txt", "one.py", "two.py"], "text", ["__init__.py", "deep.py"]], `
		for _, zip := range []bool{false, true} {
			cl := cl.with("lists", listing)
			for path, content := range map[string]string{"__init__.py": "", "one.py": "", "two.py": "", "data.txt": "text", "below/__init__.py": "", "below/deep.py": ""} {
				cl.Files["ansible/module_utils/own/"+path] = []byte(content)
			}
			// Python 3.10 and later have readers of archives, and files in memory.
			want := "{" + want
			if res, _ := r.module(cl, zip, nil); res.Out != want && res.Out != "{"+files+want[1:] || strings.HasPrefix(r.version, "3.1") != strings.Contains(res.Out, "files") {
				t.Errorf("archive: %v: %+v\nwant %s", zip, res, want)
			}
		}
	})
}
