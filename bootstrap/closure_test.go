package bootstrap

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
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
