package bootstrap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"spindle/transports/wire"
)

// stepOf is one step of a composite call, and its part of the input: what its operations write, then the module's arguments.
func (r *remote) stepOf(c closure, args map[string]any, content string, change meta) (meta, []byte) {
	r.t.Helper()
	input, err := json.Marshal(map[string]any{"ANSIBLE_MODULE_ARGS": args})
	if err != nil {
		r.t.Fatal(err)
	}
	m := meta{"fqn": c.FQN, "manifest": r.push(c, false), "profile": "legacy", "size": len(input)}
	for k, v := range change {
		m[k] = v
	}
	return m, append([]byte(content), input...)
}

// took is what a composite call says of a step.
type took struct {
	Step, RC, Out, Err int
	Done               bool
	Next               *int
	Error              []any
	out, err           string
}

// takeApart splits the output of a composite call into its steps.
func takeApart(t *testing.T, output string) []took {
	t.Helper()
	var all []took
	for output != "" {
		line, rest, _ := strings.Cut(output, "\n")
		var one took
		if err := json.Unmarshal([]byte(line), &one); err != nil || len(rest) < one.Out+one.Err {
			t.Fatalf("composite: %v in %q", err, output)
		}
		one.out, one.err, output = rest[:one.Out], rest[one.Out:one.Out+one.Err], rest[one.Out+one.Err:]
		all = append(all, one)
	}
	for i, one := range all {
		if last := i == len(all)-1; !last && (one.Next == nil || *one.Next != all[i+1].Step) {
			t.Errorf("composite: step %d says that %v is next, and it is %d", one.Step, one.Next, all[i+1].Step)
		}
	}
	return all
}

// composite makes a composite call and takes its answer apart; foreseen: whether it ends where that was foreseen.
func (r *remote) composite(m meta, input []byte, foreseen bool) []took {
	r.t.Helper()
	res := r.call("composite", m, input)
	if res.Status != wire.StatusOK || (res.RC == 0) != foreseen || res.RC < 0 || res.RC > 1 || res.Err != "" {
		r.t.Fatalf("composite: %+v", res)
	}
	all := takeApart(r.t, res.Out)
	if all[len(all)-1].Next != nil {
		r.t.Errorf("composite: something is next: %q", res.Out)
	}
	return all
}

// tidy says of a step that it may run in the call's own process.
var tidy = meta{"tidy": true}

func (m meta) and(more meta) meta {
	all := meta{}
	for _, part := range []meta{m, more} {
		for k, v := range part {
			all[k] = v
		}
	}
	return all
}

// oneProcess says whether a target can run several modules in one process: it needs os.memfd_create.
func (r *remote) oneProcess() bool {
	var major, minor int
	fmt.Sscanf(r.version, "%d.%d", &major, &minor)
	return major == 3 && minor >= 8
}

// TestComposite: a file is copied by what stat has found, in one call.
func TestComposite(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		const sum = "040f06fd774092478d450774f5ba30c5da78acc8" // of "content"
		dest, temp := r.dir+"/copied", r.dir+"/base/tmp/ansible-tmp-1"
		var how meta
		copied := func(foreseen bool) []took {
			stat, first := r.stepOf(modules["stat"], map[string]any{"path": dest, "checksum_algorithm": "sha1"}, "", how.and(meta{"next": []any{
				[]any{1, []any{[]any{"exists", true, false}}},
				[]any{1, []any{[]any{"exists", true, true}, []any{"isdir", true, false}, []any{"checksum", false, sum}, []any{"checksum", false, nil}}},
				[]any{2, []any{[]any{"exists", true, true}, []any{"isdir", true, false}, []any{"checksum", true, sum}}},
			}}))
			post := []any{meta{"op": "remove", "path": temp, "recursive": true}}
			whole, second := r.stepOf(modules["copy"], map[string]any{"src": temp + "/source", "dest": dest, "_original_basename": "source"}, "content", how.and(meta{
				"pre": []any{meta{"op": "write", "path": temp + "/source", "size": 7}}, "post": post,
			}))
			same, third := r.stepOf(modules["command"], map[string]any{"_raw_params": "echo same"}, "", how.and(meta{"post": post}))
			return r.composite(meta{"steps": []any{stat, whole, same}, "pre": []any{meta{"op": "mkdir", "path": temp, "temp": true}}},
				append(append(first, second...), third...), foreseen)
		}
		nothing := func() error { return os.RemoveAll(filepath.Join(r.local, "copied")) }
		cases := []struct {
			name  string
			make  func() error
			steps []int
			says  string
		}{
			{"nothing there", nothing, []int{0, 1}, `"changed": true`},
			{"the same", func() error { return nil }, []int{0, 2}, `"stdout": "same"`},
			{"another content", func() error { return os.WriteFile(filepath.Join(r.local, "copied"), []byte("other"), 0o644) }, []int{0, 1}, `"changed": true`},
			{"a directory", func() error {
				_ = nothing()
				return os.Mkdir(filepath.Join(r.local, "copied"), 0o755)
			}, []int{0}, `"isdir": true`},
		}
		for i, tc := range append(cases, cases...) {
			if i == len(cases) {
				how = tidy
			}
			if err := tc.make(); err != nil {
				t.Fatal(err)
			}
			got := copied(len(tc.steps) > 1)
			var steps []int
			for _, s := range got {
				steps = append(steps, s.Step)
				if s.RC != 0 || !s.Done || s.err != "" {
					t.Errorf("%s, %v: %+v", tc.name, how, s)
				}
			}
			if diff := cmp.Diff(tc.steps, steps); diff != "" || !strings.Contains(got[len(got)-1].out, tc.says) {
				t.Errorf("%s, %v: %s, %+v", tc.name, how, diff, got)
			}
			_, err := os.Stat(filepath.Join(r.local, "base/tmp/ansible-tmp-1"))
			if left := err == nil; left != (len(tc.steps) == 1) {
				t.Errorf("%s, %v: the temporary directory is there: %v", tc.name, how, left)
			}
			_ = os.Remove(filepath.Join(r.local, "base/tmp/ansible-tmp-1"))
		}
	})
}

// TestCompositeEnds: whatever comes of one step, the answer says it, and nothing follows what was no plain answer.
func TestCompositeEnds(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		next := meta{"next": []any{[]any{1, []any{[]any{"exists", true, true}}}}}
		last, second := r.stepOf(modules["ping"], map[string]any{}, "", nil)
		const plain = `{\"stat\": {\"exists\": true}}`
		for _, tc := range []struct {
			name, source string
			rc, ran      int
			out          string
		}{ // those that end by exit() also in the call's own process
			{"plain", `print("` + plain + `")`, 0, 2, ""},
			{"nothing", ``, 0, 1, ""},
			{"noise ahead", `print("noise\n` + plain + `")`, 0, 1, "noise\n"},
			{"a failure", `print("{\"failed\": true, \"stat\": {\"exists\": true}}")`, 0, 1, ""},
			{"a status", `print("` + plain + `"); sys.stdout.flush(); os._exit(3)`, 3, 1, ""},
			{"a signal", `print("` + plain + `"); sys.stdout.flush(); os.kill(os.getpid(), 9)`, -9, 1, ""},
			{"another shape", `print("[1]")`, 0, 1, ""},
			{"much", `sys.stdout.write("x" * 300000)`, 0, 1, "x"},
			{"somebody who keeps its output", `print("` + plain + `"); sys.stdout.flush(); os.fork() or os.execvp("sleep", ["sleep", "3"])`, 0, 2, ""},
		} {
			source := "import sys, os\nif __name__ == '__main__':\n    " + tc.source + "\n    sys.exit(0)\n"
			for _, how := range []meta{nil, tidy} {
				if how != nil && tc.rc != 0 {
					continue
				}
				first, input := r.stepOf(modules["ping"].with("ends", source), map[string]any{}, "", next.and(how))
				got := r.composite(meta{"steps": []any{first, last.and(how)}}, append(bytes.Clone(input), second...), tc.ran > 1)
				if len(got) != tc.ran || got[0].RC != tc.rc || !strings.HasPrefix(got[0].out, tc.out) {
					t.Errorf("%s, %v: %+v", tc.name, how, got)
				}
			}
		}
		// What cannot be done ahead of a step is that step's error, and the one before it has its result.
		first, input := r.stepOf(modules["ping"].with("ends", "print('"+`{"stat": {"exists": true}}`+"')\nimport sys; sys.exit(0)\n"), map[string]any{}, "", next)
		refused, rest := r.stepOf(modules["ping"], map[string]any{}, "content", meta{"pre": []any{meta{"op": "write", "path": r.dir + "/no/where", "size": 7}}})
		got := r.composite(meta{"steps": []any{first, refused}}, append(input, rest...), false)
		if len(got) != 2 || !got[0].Done || got[1].Done || len(got[1].Error) != 3 || got[1].Error[0] != float64(wire.StatusError) || got[1].Error[1] != 2.0 {
			t.Errorf("refused: %+v", got)
		}
		// That nothing follows can be foreseen, too.
		first, input = r.stepOf(modules["ping"].with("ends", "print('"+`{"stat": {"exists": true}}`+"')\nimport sys; sys.exit(0)\n"), map[string]any{}, "", meta{"next": []any{
			[]any{1, []any{[]any{"exists", true, false}}},
			[]any{nil, []any{[]any{"exists", true, true}}},
		}})
		if got := r.composite(meta{"steps": []any{first, last}}, append(input, second...), true); len(got) != 1 || !got[0].Done {
			t.Errorf("foreseen: %+v", got)
		}
		// A closure that is not there is asked for ahead of everything.
		unknown := meta{"fqn": "x", "manifest": strings.Repeat("00", 32), "size": 0}
		if res := r.call("composite", meta{"steps": []any{first, unknown}}, input); res.Status != wire.StatusUnknownClosure {
			t.Errorf("unknown: %+v", res)
		}
	})
}

// TestCompositeInChain: what is behind a composite call begins when all of that has ended, and not at all unless it has ended where that was foreseen.
func TestCompositeInChain(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		run := func(name string, found bool) (result, result, string) {
			source := fmt.Sprintf("import sys, time\nif __name__ == '__main__':\n    time.sleep(0.2)\n    open(%q, 'a').write('%%s ')\n    print('"+`{"stat": {"exists": %v}}`+"')\n    sys.exit(0)\n", r.dir+"/"+name, found)
			first, input := r.stepOf(modules["ping"].with(name+"1", strings.Replace(source, "%s", "first", 1)), map[string]any{}, "", meta{"next": []any{[]any{1, []any{[]any{"exists", true, true}}}}})
			last, more := r.stepOf(modules["ping"].with(name+"2", strings.Replace(source, "%s", "second", 1)), map[string]any{}, "", nil)
			id := r.begin("composite", meta{"steps": []any{first, last}, "chain": []any{name, 0}}, append(input, more...))
			behind := r.links(name, 1, "echo behind >>"+r.dir+"/"+name)
			one, two := r.finish(id), r.finish(behind[0])
			log, err := os.ReadFile(filepath.Join(r.local, name))
			if err != nil {
				t.Fatal(err)
			}
			return one, two, string(log)
		}
		if one, two, log := run("whole", true); one.Status != wire.StatusOK || one.RC != 0 || two.Status != wire.StatusOK || log != "first second behind\n" {
			t.Errorf("%+v, %+v: %s", one, two, log)
		}
		one, two, log := run("asks", false)
		if one.Status != wire.StatusOK || one.RC != 1 || log != "first " {
			t.Errorf("%+v: %s", one, log)
		}
		notBegun(t, "behind one that asks on", two)
	})
}
