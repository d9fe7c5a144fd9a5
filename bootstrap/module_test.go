package bootstrap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"spindle/transports/wire"
)

// everyPair runs a test with every Python and the modules of every ansible-core that supports it.
func everyPair(t *testing.T, test func(t *testing.T, r *remote, modules map[string]closure, c controller)) {
	pairsOf(t, controllers, test)
}

// pairsOf does so for some versions of ansible-core.
func pairsOf(t *testing.T, controllers []controller, test func(t *testing.T, r *remote, modules map[string]closure, c controller)) {
	each(t, func(t *testing.T, tg target) {
		for _, c := range controllers {
			t.Run(c.version, func(t *testing.T) {
				modules := c.modules(t)
				r := boot(t, tg)
				var major, minor int
				fmt.Sscanf(r.version, "%d.%d", &major, &minor)
				if major == 2 && !c.python2 || major == 3 && (minor < c.since || c.until > 0 && minor > c.until) {
					t.Skipf("ansible-core %s does not support Python %s", c.version, r.version)
				}
				test(t, r, modules, c)
			})
		}
	})
}

func TestAnsibleModules(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		res, got := r.module(modules["command"], false, map[string]any{"_raw_params": "echo hello; pwd", "_uses_shell": true, "chdir": "/usr"})
		if res.RC != 0 || got["stdout"] != "hello\n/usr" || got["rc"] != 0.0 || res.Err != "" {
			t.Errorf("command: %+v", res)
		}
		res, got = r.module(modules["stat"], false, map[string]any{"path": r.dir})
		stat, _ := got["stat"].(map[string]any)
		if res.RC != 0 || stat["isdir"] != true || stat["path"] != r.dir {
			t.Errorf("stat: %+v", res)
		}
		// What an action plugin does: the file rides along, and the module moves it where it belongs.
		m := meta{
			"fqn": modules["copy"].FQN, "manifest": r.push(modules["copy"], false), "profile": "legacy", "rlimit_nofile": 0, "secrets": nil,
			"pre": []any{
				meta{"op": "mkdir", "path": r.dir + "/base/tmp/ansible-tmp-1", "temp": true},
				meta{"op": "write", "path": r.dir + "/base/tmp/ansible-tmp-1/source", "size": 7},
			},
		}
		args, _ := json.Marshal(map[string]any{"ANSIBLE_MODULE_ARGS": map[string]any{
			"src": r.dir + "/base/tmp/ansible-tmp-1/source", "dest": r.dir + "/copied", "mode": "0640", "_original_basename": "source",
		}})
		res = r.call("module", m, append([]byte("content"), args...))
		if content, err := os.ReadFile(filepath.Join(r.local, "copied")); res.RC != 0 || string(content) != "content" || !strings.Contains(res.Out, `"changed": true`) {
			t.Errorf("copy: %+v, %q, %v", res, content, err)
		}
		res, got = r.module(modules["setup"], false, map[string]any{"gather_subset": []string{"!all", "!min", "platform"}})
		facts, _ := got["ansible_facts"].(map[string]any)
		if res.RC != 0 || facts["ansible_system"] != "Linux" {
			t.Errorf("setup: %+v", res)
		}
		// It looks for an interpreter that has python-apt, by way of the zip, and complains or reports.
		res, got = r.module(modules["apt"], true, map[string]any{"name": "bash", "state": "present", "_ansible_check_mode": true})
		if msg, _ := got["msg"].(string); got == nil || res.RC != 0 && !strings.Contains(msg, "apt") || res.RC == 0 && got["changed"] != false {
			t.Errorf("apt: %+v", res)
		}
		res, got = r.module(modules["command"], false, nil)
		if res.RC != 1 || got["failed"] != true {
			t.Errorf("command without arguments: %+v", res)
		}
	})
}

// probe is a module's source that prints a JSON object made by the Python expression.
func probing(expression string) string {
	return "import sys, os, json\nif __name__ == '__main__':\n    print(json.dumps(" + expression + "))\n    sys.exit(0)\n"
}

func TestModuleSurroundings(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		cl := modules["ping"].with("probe", `# -*- coding: utf-8 -*-
import sys, os, json, inspect, time
from ..module_utils.basic import AnsibleModule
import ansible.module_utils.basic as basic
import __main__

def function():
    return 1  # é

if __name__ == '__main__':
    print(json.dumps(dict(
        argv=sys.argv, file=__file__, fqn=_module_fqn, modlib=_modlib_path, main=__main__._module_fqn, cwd=os.getcwd(),
        basic=basic.__file__, package=__package__, stdin=sys.stdin.read(), source=inspect.getsource(function),
        utils=inspect.getsource(basic.get_all_subclasses) if hasattr(basic, 'get_all_subclasses') else '',
        path=[p for p in sys.path if p in ('', '.')], args=basic._ANSIBLE_ARGS.decode('utf-8'), profile=getattr(basic, '_ANSIBLE_PROFILE', None),
        env=[os.environ.get('A'), os.environ.get('SPINDLE_TEST')], zone=time.strftime('%Z'), tty=sys.stdout.isatty(),
    )))
    sys.exit(0)
`)
		for _, zip := range []bool{false, true} {
			res, got := r.module(cl, zip, map[string]any{"x": "é"}, func(m meta) {
				m["cwd"], m["env"] = "/usr", meta{"A": "1", "SPINDLE_TEST": nil, "TZ": "XYZ3"}
			})
			if res.RC != 0 || res.Err != "" {
				t.Fatalf("%+v", res)
			}
			modlib, _ := got["modlib"].(string)
			file := modlib + "/ansible/modules/probe.py"
			want := map[string]any{
				"argv": []any{file}, "file": file, "fqn": "ansible.modules.probe", "main": "ansible.modules.probe", "modlib": modlib,
				"cwd": "/usr", "package": "ansible.modules", "stdin": "", "source": "def function():\n    return 1  # é\n",
				"path": []any{}, "args": `{"ANSIBLE_MODULE_ARGS":{"x":"é"}}`, "profile": nil, "env": []any{"1", nil}, "zone": "XYZ", "tty": false,
				"utils": got["utils"], "basic": got["basic"],
			}
			if c.version != "2.14" {
				want["profile"] = "legacy"
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("zip %v, surroundings (-want +got):\n%s", zip, diff)
			}
			if basic := got["basic"].(string); !strings.HasSuffix(basic, ".zip/ansible/module_utils/basic.py") {
				t.Errorf("basic is %s", basic)
			}
			if _, err := os.Stat(filepath.Join("/", r.tg.root, modlib)); (err == nil) != zip {
				t.Errorf("zip %v: %v", zip, err)
			}
		}
	})
}

func TestModuleEnds(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		legacy := c.version == "2.14"
		for _, tc := range []struct {
			name, source string
			rc           int
			out, err     string // what the output has
		}{
			{"exit 0", "import sys; sys.stdout.write('x'); sys.exit(0)", 0, "x", ""},
			{"exit None", "import sys; sys.exit()", 0, "", ""},
			{"exit 3", "import sys; sys.exit(3)", 3, "", ""},
			{"exit text", "import sys; sys.exit('text')", 1, "", "text\n"},
			{"exit -1", "import sys; sys.exit(-1)", 255, "", ""},
			{"exception", "def f():\n    raise ValueError('boom')\nf()", 1, map[bool]string{true: "", false: `"msg": "boom"`}[legacy], map[bool]string{true: "ValueError: boom", false: ""}[legacy]},
			{"traceback", "def f():\n    raise KeyboardInterrupt('boom')\nf()", 1, "", "modules/t.py\", line 2, in f\n    raise KeyboardInterrupt('boom')"},
			{"class", "class Own(KeyboardInterrupt):\n    pass\ntry:\n    {}['first']\nexcept KeyError:\n    raise Own('boom')", 1, "", "\nOwn: boom\n"},
			{"hook", "import sys\ndef hook(*args):\n    sys.stdout.write('hooked'); sys.exit(3)\nsys.excepthook = hook\nraise KeyboardInterrupt('boom')", 3, "hooked", ""},
			{"hook that fails", "import sys\nprint('x')\ndef hook(*args):\n    raise ValueError('in hook')\nsys.excepthook = hook\nraise SystemError('boom')", 1, "x\n", "ValueError: in hook\n\nOriginal exception was:\nTraceback (most recent call last):\n"},
			{"nowhere to complain", "import sys\nprint('x')\nsys.stderr.close()\nsys.exit('text')", 1, "x\n", ""},
			{"nowhere to complain of a fault", "import sys\nprint('x')\nsys.stderr.close()\nraise KeyboardInterrupt('boom')", 1, "x\n", ""},
			{"suggestion", "module = 1\nmodul", 1, "", "NameError: name 'modul' is not defined"},
			{"atexit ends", "import sys, atexit\ndef bye():\n    sys.exit(5)\natexit.register(bye)\nsys.exit(3)", 3, "", ""},
			{"no exit", "print('x')", 1, map[bool]string{true: `{"msg": "New-style module did not handle its own exit", "failed": true}`, false: "New-style module did not handle its own exit"}[legacy], ""},
			{"syntax", "x = = 1", 1, "", "SyntaxError"},
			{"atexit", "import sys, atexit\ndef bye():\n    sys.stdout.write('bye')\natexit.register(bye)\nsys.exit(0)", 0, "bye", ""},
			{"thread", "import sys, threading, time\ndef work():\n    time.sleep(0.2); sys.stdout.write('worked')\nthreading.Thread(target=work).start()\nsys.exit(0)", 0, "worked", ""},
			{"bytes", "import os\nos.write(1, b'\\xff\\x00'); os.write(2, b'\\xfe'); os._exit(0)", 0, "\xff\x00", "\xfe"},
			{"killed", "import os\nos.write(1, b'last words'); os.kill(os.getpid(), 9)", -9, "last words", ""},
			{"closes all", "import os\nfor i in range(256):\n    try:\n        os.close(i)\n    except OSError: pass\nos._exit(4)", 4, "", ""},
			{"child", "import subprocess, sys\nsys.stdout.flush(); subprocess.call(['sh', '-c', 'echo from the child; echo err >&2'])\nsys.exit(0)", 0, "from the child\n", "err\n"},
			{"group", "import os\nos.kill(0, 15)", -15, "", ""},
		} {
			t.Run(tc.name, func(t *testing.T) {
				var major, minor int
				if _, err := fmt.Sscanf(r.version, "%d.%d", &major, &minor); err != nil {
					t.Fatal(err)
				}
				if tc.name == "class" && 100*major+minor < 311 { // older ones name the module, too
					tc.err = "\n__main__.Own: boom\n"
				}
				version := 100*major + minor
				switch {
				case strings.Contains(tc.source, "raise KeyboardInterrupt") && tc.name != "hook" && version >= 308:
					tc.rc = 130
				case tc.name == "hook that fails" && !legacy: // 2.19 lets the hook know of no Exception
					tc.out, tc.err = "boom", ""
				case tc.name == "suggestion" && !legacy:
					tc.out, tc.err = "name 'modul' is not defined", ""
				case tc.name == "suggestion" && version >= 310:
					tc.err += ". Did you mean: 'module'?\n"
				case tc.name == "atexit ends" && version < 300:
					tc.rc = 5
				case tc.name == "atexit ends" && version >= 310:
					tc.err = "SystemExit: 5\n" // which says what it ignores
				}
				if tc.name == "syntax" && !legacy {
					tc.out, tc.err = "SyntaxError", ""
					if true { // 2.19 words it by itself
						tc.out = "invalid syntax"
					}
				}
				res, _ := r.module(modules["ping"].with("t", tc.source+"\n"), false, nil)
				if res.Status != wire.StatusOK || res.RC != tc.rc || !strings.Contains(res.Out, tc.out) || !strings.Contains(res.Err, tc.err) || tc.err == "" && res.Err != "" {
					t.Errorf("got %+v", res)
				}
			})
		}
	})
}

// A program that a module runs finds what it would find anyway; where Python knows vfork, nothing keeps it from that.
func TestProgramsOfModules(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		cl := modules["ping"].with("programs", `
import subprocess, sys
from ansible.module_utils.basic import AnsibleModule
asked = []
original = subprocess.Popen

class Popen(original):
    def __init__(self, *args, **keywords):
        asked.append(keywords.get('preexec_fn') is not None)
        original.__init__(self, *args, **keywords)

def main():
    module = AnsibleModule(argument_spec={})
    subprocess.Popen = Popen
    found = []
    for mask in (None, 0, 0o27):
        rc, out, err = module.run_command('umask; kill -PIPE $$; echo it is ignored', use_unsafe_shell=True, umask=mask)
        found.append([rc, int(out, 8), err, asked.pop()])
    module.exit_json(found=found, later=sys.version_info > (3,))

if __name__ == '__main__':
    main()
`)
		res, got := r.module(cl, false, nil, func(m meta) { m["umask"] = 0o22 })
		python2 := got["later"] != true
		want := []any{[]any{-13.0, 18.0, "", python2}, []any{-13.0, 18.0, "", python2}, []any{-13.0, 23.0, "", true}}
		if diff := cmp.Diff(want, got["found"]); res.RC != 0 || diff != "" {
			t.Errorf("%+v %s", res, diff)
		}
	})
}

// What a module does to its process is gone with the process.
func TestModulesLeaveNoState(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		changes := modules["ping"].with("changes", `
import os, sys, signal, locale, resource
from ansible.module_utils import basic
from ansible.module_utils.common import warnings
basic.CHANGED = os.CHANGED = True
os.environ['CHANGED'] = '1'; os.chdir('/usr'); os.umask(0o77); sys.path.insert(0, '/changed')
signal.signal(signal.SIGINT, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.exit(0)
`)
		looks := modules["ping"].with("looks", probing(`[hasattr(os, 'CHANGED'), 'CHANGED' in os.environ, os.getcwd() == '/usr', os.umask(0) == 0o77, '/changed' in sys.path,
        hasattr(__import__('ansible.module_utils.basic').module_utils.basic, 'CHANGED'), 'ansible.modules.changes' in sys.modules]`))
		for range 2 {
			if res, _ := r.module(changes, false, nil); res.RC != 0 {
				t.Fatalf("%+v", res)
			}
			if res, _ := r.module(looks, false, nil); res.Out != "[false, false, false, false, false, false, false]\n" {
				t.Errorf("%+v", res)
			}
		}
	})
}

// The agent has looked at the language that it has begun with. It has not changed over to it.
func TestModulesBeginWithoutALanguage(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		for _, setting := range []string{"LANG=C.UTF-8", "LC_ALL=C.UTF-8", "LC_TIME=C.UTF-8", "LANG=xx_XX.UTF-8"} {
			tg.wrap = []string{"env", setting}
			r := boot(t, tg)
			look := "__import__('locale').setlocale(__import__('locale').LC_ALL, None)"
			cl := controllers[0].modules(t)["ping"].with("language", probing(look))
			if strings.HasPrefix(r.version, "3.1") && tg.name != "host" { // which ansible-core 2.14 does not support
				cl = controllers[2].modules(t)["ping"].with("language", probing(look))
			}
			want := r.call("exec", meta{"argv": []string{tg.python, "-c", "print(" + look + ")"}}, nil).Out
			for range 2 {
				if res, _ := r.module(cl, false, nil); res.Out != `"`+strings.TrimSpace(want)+"\"\n" {
					t.Errorf("%s: %+v, want %q", setting, res, want)
				}
			}
			r.end()
		}
	})
}

// Code is known by its content: a module never gets another release's module_utils, warm or not.
func TestModuleUtilsAreNotMixedUp(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		looks := probing(`getattr(__import__('ansible.module_utils.basic').module_utils.basic, 'MARK', 'none')`)
		plain := modules["ping"].with("looks", looks)
		marked := func(mark string) closure {
			cl := modules["ping"].with("looks", looks)
			cl.Files["ansible/module_utils/basic.py"] = append(bytes.Clone(cl.Files["ansible/module_utils/basic.py"]), "\nMARK = '"+mark+"'\n"...)
			return cl
		}
		one, two := marked("one"), marked("two")
		for _, tc := range []struct {
			cl   closure
			want string
		}{{one, "one"}, {two, "two"}, {plain, "none"}, {one, "one"}, {two, "two"}} {
			if res, _ := r.module(tc.cl, false, nil); res.Out != `"`+tc.want+"\"\n" {
				t.Errorf("got %+v, want %s", res, tc.want)
			}
		}
	})
}

// A module_utils that does not like this Python says so to whoever runs a module, and the agent goes on.
func TestModuleUtilsThatFail(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		bad := modules["ping"].with("t", "from ansible.module_utils import basic\n")
		bad.Files["ansible/module_utils/basic.py"] = []byte("import sys\nprint('{\"failed\": true, \"msg\": \"too old\"}')\nsys.exit(1)\n")
		for range 2 {
			res, got := r.module(bad, false, nil)
			if res.RC != 1 || got["msg"] != "too old" {
				t.Errorf("got %+v", res)
			}
		}
		if res, got := r.module(modules["ping"], false, nil); res.RC != 0 || got["ping"] != "pong" {
			t.Errorf("got %+v", res)
		}
	})
}

// What a closure does to the agent while it is made ready ends the calls that want it. So does code that is too much for the compiler, when it is run.
func TestClosuresThatCannotBeMadeReady(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		ping := r.of(controllers[0], controllers[2]).modules(t)["ping"]
		bad := ping.with("t", "")
		bad.Files["ansible/module_utils/basic.py"] = []byte("import sys\nsys.modules[1] = None\n")
		source := "x = 1" + strings.Repeat("+1", 30000) + "+a\n" // each release has its own limits; far beyond them some crash
		switch r.version[:3] {
		case "2.7":
			source = "x = " + strings.Repeat("-", 3000) + "1\n"
		case "3.9":
			source = "x = a" + strings.Repeat(".b", 5000) + "\n"
		}
		deep := ping.with("deep", source)
		if res, _ := r.module(deep, false, nil); res.Status != wire.StatusOK || res.RC == 0 || !strings.Contains(res.Out+res.Err, "Error") {
			t.Errorf("got %+v", res)
		}
		r.end()

		r = boot(t, tg)
		first, second := r.beginModule(bad, false, nil), r.begin("exec", meta{"command": "echo goes on"}, nil)
		if res := r.finish(first); res.Status != wire.StatusFault || !strings.Contains(res.Text, "AttributeError") {
			t.Errorf("got %+v", res)
		}
		for _, id := range []uint32{second, r.begin("exec", meta{"command": "echo goes on"}, nil)} {
			if res := r.finish(id); res.Out != "goes on\n" {
				t.Errorf("got %+v", res)
			}
		}
	})
}

func TestRespawn(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		cl := modules["apt"].with("again", `
import sys, json
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.respawn import has_respawned, respawn_module, probe_interpreters_for_module

def main():
    module = AnsibleModule(argument_spec=dict(word=dict()))
    if not has_respawned():
        found = probe_interpreters_for_module(['/usr/bin/python9', '/usr/bin/python3'], 'json')
        respawn_module(found)
    module.exit_json(word=module.params['word'], executable=sys.executable, file=__file__)

if __name__ == '__main__':
    main()
`)
		var zips []string
		for range 2 {
			res, got := r.module(cl, true, map[string]any{"word": "again"})
			if res.RC != 0 || got["word"] != "again" || got["executable"] != "/usr/bin/python3" {
				t.Fatalf("%+v", res)
			}
			zips, _ = filepath.Glob(filepath.Join(r.local, "base/tmp/ansible-spindle-*/*.zip"))
			if len(zips) != 1 {
				t.Errorf("zips: %q", zips)
			}
		}
		r.end() // which looks for what is left
		if _, err := os.Stat(zips[0]); err == nil {
			t.Errorf("%s is left", zips[0])
		}
	})
}

func TestModuleLimitsAndInput(t *testing.T) {
	r := boot(t, targets()[0])
	modules := controllers[0].modules(t)
	cl := modules["ping"].with("limits", probing("__import__('resource').getrlimit(7)[0]"))
	for _, tc := range []struct{ ask, want int }{{77, 77}, {0, -1}, {1 << 40, -2}} {
		res, _ := r.module(cl, false, nil, func(m meta) { m["rlimit_nofile"] = tc.ask })
		var got int
		fmt.Sscan(res.Out, &got)
		if tc.want > 0 && got != tc.want || got < 77 {
			t.Errorf("limit %d: %+v", tc.ask, res)
		}
	}
	// Arguments and results of any size.
	big := modules["ping"].with("big", "import sys\nfrom ansible.module_utils import basic\nsys.stdout.write(basic._ANSIBLE_ARGS.decode() * 2)\nsys.exit(0)\n")
	word := strings.Repeat("x", 700000)
	res, _ := r.module(big, false, map[string]any{"a": word})
	if want := `{"ANSIBLE_MODULE_ARGS":{"a":"` + word + `"}}`; res.Out != want+want {
		t.Errorf("%d bytes of output, want %d", len(res.Out), 2*len(want))
	}
}

func TestUnknownClosure(t *testing.T) {
	r := boot(t, targets()[0])
	cl := controllers[0].modules(t)["ping"]
	res := r.call("module", meta{"fqn": cl.FQN, "manifest": wire.Sum(nil).String()}, nil)
	if res.Status != wire.StatusUnknownClosure {
		t.Errorf("got %+v", res)
	}
	manifest := r.blob([]byte(`{"files":{"x.py":"` + wire.Sum([]byte("x")).String() + `"},"zip":false}`)).String()
	if res := r.call("module", meta{"fqn": "x", "manifest": manifest}, nil); res.Status != wire.StatusUnknownClosure {
		t.Errorf("got %+v", res)
	}
	r.blob([]byte("x"))
	if res := r.call("module", meta{"fqn": "x", "manifest": manifest}, nil); res.Status != wire.StatusOK || res.RC != 1 {
		t.Errorf("got %+v", res)
	}
}

// What a manifest has for Python 2 only is a part of the closure there, and nowhere else.
func TestWhatIsForPython2Only(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		module := []byte("import sys, ansible.module_utils.new\nsys.stdout.write('%d' % ansible.module_utils.new.x)\nsys.exit(0)\n")
		files := map[string]wire.Digest{"ansible/modules/x.py": r.blob(module)}
		for _, path := range []string{"ansible/__init__.py", "ansible/modules/__init__.py", "ansible/module_utils/__init__.py", "ansible/module_utils/basic.py"} {
			files[path] = r.blob(nil)
		}
		old := []byte("x = 2\n")
		files["ansible/module_utils/new.py"] = r.blob([]byte("try:\n    import selectors\n    x = 3\nexcept ImportError:\n    from ansible.module_utils.old import x\n"))
		body, err := json.Marshal(map[string]any{"files": files, "python2": map[string]wire.Digest{"ansible/module_utils/old.py": wire.Sum(old)}, "zip": false})
		if err != nil {
			t.Fatal(err)
		}
		m := meta{"fqn": "ansible.modules.x", "manifest": r.blob(body).String()}
		res, want := r.call("module", m, nil), "3"
		if res.Status == wire.StatusUnknownClosure && tg.name == "2.7" {
			r.blob(old)
			res, want = r.call("module", m, nil), "2"
		}
		if res.Status != wire.StatusOK || res.Out != want {
			t.Errorf("got %+v, want %s", res, want)
		}
	})
}

func TestModuleTimeoutAndCancel(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		cl := controllers[0].modules(t)["ping"].with("slow", "import subprocess\nsubprocess.call(['sleep', '1000'])\n")
		manifest := r.push(cl, false)
		m := meta{"fqn": cl.FQN, "manifest": manifest}
		// Cancelled while it waits for the agent to compile what it needs: it never runs.
		id := r.begin("module", m, nil)
		r.send(id, wire.Cancel{Reason: "early"})
		if res := r.finish(id); res.Status != wire.StatusCancelled || res.Text != "early" {
			t.Errorf("got %+v", res)
		}
		res := r.call("module", m, nil, func(c *wire.Call) { c.Timeout = time.Second })
		if res.Status != wire.StatusTimeout {
			t.Errorf("got %+v", res)
		}
		r.alone()
	})
}
