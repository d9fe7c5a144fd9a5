package bootstrap

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"spindle/transports/wire"
)

//go:embed testdata/state.py
var stateSource string

// leads makes a step lead to the next one if what it looks at is there, or is not: there has to be something that it leads to.
var leads = meta{"next": []any{[]any{1, []any{[]any{"exists", true, true}}}, []any{1, []any{[]any{"exists", true, false}}}}}

// answering is a module that does something and then gives an answer that leads on.
func answering(does string) string {
	return "import sys, os\nif __name__ == '__main__':\n" + does + `
    print('{"stat": {"exists": true}, "pid": %d}' % os.getpid())
    sys.exit(0)
`
}

// messy is a module that leaves behind whatever a module may, and the agent puts right.
const messy = `
    import atexit, locale
    from ansible.module_utils.common import warnings
    os.chdir('/usr'); os.umask(0o77)
    os.environ['LEFT'] = '1'; os.environ.pop('PATH', None); os.environ['HOME'] = '/left'
    sys.path.insert(0, '/left'); sys.argv = ['left', 'over']; sys.excepthook = None
    sys.stdout = os.fdopen(os.dup(1), 'w'); sys.stderr = sys.stdout
    locale.setlocale(locale.LC_ALL, 'C')
    warnings.warn('left')
    atexit.register(os.write, 2, b'bye')
`

// TestTidyModulesLeaveNothing: a module that runs in the process of another one finds all as if it had its own: the surroundings, and every object in Ansible's modules.
// Nothing is compared that such a module changes by itself before it can see it.
func TestTidyModulesLeaveNothing(t *testing.T) {
	oldest := controller{version: "2.10", root: "bullseye", since: 5, until: 11, python2: true}
	pairsOf(t, append([]controller{oldest}, controllers...), func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		r.shell("echo content >" + r.dir + "/there; ln -s there " + r.dir + "/link; mkdir " + r.dir + "/directory")
		state := modules["ping"].with("state", stateSource)
		look := func(first closure, args map[string]any, how meta) map[string]any {
			one, input := r.stepOf(first, args, "", leads.and(how))
			two, more := r.stepOf(state, map[string]any{"out": "x"}, "", how)
			got := r.composite(meta{"steps": []any{one, two}, "env": meta{"LC_ALL": "C.UTF-8"}}, append(input, more...), true)
			var said map[string]any
			if len(got) != 2 || json.Unmarshal([]byte(got[1].out), &said) != nil {
				t.Fatalf("%+v", got)
			}
			if want := map[bool]string{true: "bye"}[first.FQN == "ansible.modules.messy"]; got[0].err != want || got[1].err != "" {
				t.Errorf("errors: %+v", got)
			}
			return said
		}
		check := func(name string, first closure, args map[string]any) {
			want, got := look(first, args, nil), look(first, args, tidy)
			// What the first one has imported stays, and is what the next one would import.
			known := map[string]bool{}
			for place := range want["found"].(map[string]any) {
				module, _, _ := strings.Cut(place, ":")
				known[module] = true
			}
			if len(known) < 20 {
				t.Errorf("%s: only %d modules were looked at", name, len(known))
			}
			for place := range got["found"].(map[string]any) {
				if module, _, _ := strings.Cut(place, ":"); !known[module] {
					delete(got["found"].(map[string]any), place)
				}
			}
			if first.FQN == "ansible.modules.messy" {
				// What the agent's imports have registered for the exit runs with what this one has, and is not registered again.
				delete(want["early"].(map[string]any), "handlers")
				delete(got["early"].(map[string]any), "handlers")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("behind %s (-own process +the same):\n%s", name, diff)
			}
		}
		for _, name := range []string{"there", "missing", "link", "directory"} {
			check("stat of "+name, modules["stat"], map[string]any{"path": r.dir + "/" + name, "checksum_algorithm": "sha1"})
		}
		check("messy", modules["ping"].with("messy", answering(messy)), nil)
	})
}

// TestTidyModulesShareAProcess: where the agent's Python can; and only if all are told the same of limits and secrets, and have the code that is imported already.
func TestTidyModulesShareAProcess(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		plain := modules["ping"].with("plain", answering(""))
		other := modules["ping"].with("other", answering(""))
		other.Files["ansible/module_utils/basic.py"] = append(bytes.Clone(other.Files["ansible/module_utils/basic.py"]), "\nX = 1\n"...)
		for _, tc := range []struct {
			name         string
			first        closure
			one, two     meta
			shared, zips bool
		}{
			{"tidy", plain, tidy, tidy, true, false},
			{"the first is not", plain, nil, tidy, false, false},
			{"the second is not", plain, tidy, nil, false, false},
			{"other limits", plain, tidy, tidy.and(meta{"rlimit_nofile": 100}), false, false},
			{"other secrets", plain, tidy.and(meta{"secrets": []string{"x"}}), tidy, false, false},
			{"other code", other, tidy, tidy, false, false},
			{"a file of it", plain, tidy, tidy, false, true},
		} {
			one, input := r.stepOf(tc.first, nil, "", leads.and(tc.one))
			if tc.zips {
				one["manifest"] = r.push(tc.first, true)
			}
			two, more := r.stepOf(plain, nil, "", tc.two)
			got := r.composite(meta{"steps": []any{one, two}}, append(input, more...), true)
			if len(got) != 2 || got[0].RC != 0 || got[1].RC != 0 {
				t.Fatalf("%s: %+v", tc.name, got)
			}
			if shared := got[0].out == got[1].out; shared != (tc.shared && r.oneProcess()) {
				t.Errorf("%s: in one process: %v", tc.name, shared)
			}
		}
	})
}

// TestTidyModulesThatEnd: what ends a process that several modules share is the end of the call, and what was done before is told.
func TestTidyModulesThatEnd(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		plain := modules["ping"].with("plain", answering(""))
		for name, tc := range map[string]struct {
			does string
			rc   int
		}{
			"signal": {"    os.kill(os.getpid(), 9)", -9},
			"exit":   {"    os._exit(3)", 3},
		} {
			hard := modules["ping"].with("hard", answering(tc.does))
			one, input := r.stepOf(plain, nil, "", leads.and(tidy))
			two, more := r.stepOf(hard, nil, "", tidy)
			id := r.begin("composite", meta{"steps": []any{one, two}, "chain": []any{name, 0}}, append(input, more...))
			behind := r.links(name, 1, "echo behind")
			res, next := r.finish(id), r.finish(behind[0])
			got := takeApart(t, res.Out)
			if !r.oneProcess() {
				if len(got) != 2 || got[1].RC != tc.rc || res.RC != 0 || next.Status != wire.StatusOK {
					t.Errorf("%s: %+v, %+v, %+v", name, res, got, next)
				}
				continue
			}
			if res.Status != wire.StatusOK || res.RC != tc.rc || len(got) != 1 || got[0].RC != 0 || got[0].Next == nil || *got[0].Next != 1 {
				t.Errorf("%s: %+v, %+v", name, res, got)
			}
			notBegun(t, name, next)
		}
		// Being told to end does it, whatever handler the agent's own code has.
		slow := modules["ping"].with("slow", answering("    import time; os.write(2, b'up'); time.sleep(1000)"))
		one, input := r.stepOf(slow, nil, "", leads.and(tidy))
		two, more := r.stepOf(plain, nil, "", tidy)
		id := r.begin("composite", meta{"steps": []any{one, two}}, append(input, more...))
		r.shell("true")
		r.send(id, wire.Cancel{Reason: "enough"})
		if res := r.finish(id); res.Status != wire.StatusCancelled || res.Text != "enough" {
			t.Errorf("cancelled: %+v", res)
		}
		r.alone()
	})
}
