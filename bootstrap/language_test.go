package bootstrap

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// What Python makes of LC_CTYPE for itself when it starts, nothing has but a Python that starts.
func TestPythonsLanguageIsItsOwn(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		unset := []string{"env", "-u", "LANG", "-u", "LC_ALL", "-u", "LC_CTYPE", "-u", "PYTHONCOERCECLOCALE"}
		for _, tc := range []struct {
			name  string
			login []string // what the agent is started with
			env   meta     // what the task says
		}{
			{"nothing", nil, nil},
			{"C", []string{"LANG=C"}, nil},
			{"a language that is not there", []string{"LANG=xx_XX.UTF-8"}, nil},
			{"C for characters", []string{"LC_CTYPE=C"}, nil},
			{"what Python would say", []string{"LC_CTYPE=C.UTF-8"}, nil},
			{"a language", []string{"LANG=C.UTF-8"}, nil},
			{"C for all", []string{"LC_ALL=C"}, nil},
			{"switched off", []string{"PYTHONCOERCECLOCALE=0"}, nil},
			{"a task's C for all", nil, meta{"LC_ALL": "C"}},
			{"a task's language", nil, meta{"LANG": "C.UTF-8"}},
			{"a task's that is not there", nil, meta{"LANG": "xx_XX.UTF-8"}},
			{"a task's POSIX", nil, meta{"LANG": "POSIX"}},
			{"switched off by a task", nil, meta{"PYTHONCOERCECLOCALE": "0"}},
			{"a task without the language", []string{"LANG=C.UTF-8"}, meta{"LANG": nil}},
			{"a task's C for all over a language", []string{"LANG=C.UTF-8"}, meta{"LC_ALL": "C"}},
			{"a task's POSIX for all over a language", []string{"LC_ALL=C.UTF-8"}, meta{"LC_ALL": "POSIX"}},
			{"a task's C over one for all", []string{"LC_ALL=C.UTF-8"}, meta{"LANG": "C"}},
			{"a task's C over a language, with none for characters", []string{"LANG=C.UTF-8", "PYTHONCOERCECLOCALE=0"}, meta{"LANG": "C"}},
			{"a task's C for characters", []string{"LANG=C.UTF-8"}, meta{"LC_CTYPE": "C"}},
			{"a task without C for all", []string{"LC_ALL=C"}, meta{"LC_ALL": nil}},
		} {
			t.Run(tc.name, func(t *testing.T) {
				tg.wrap = append(slices.Clone(unset), tc.login...)
				r := boot(t, tg)
				cl := r.of(controllers[0], controllers[2]).modules(t)["ping"]
				const look = "sorted([n, v] for n, v in __import__('os').environ.items() if n[:3] == 'LC_' or n == 'LANG')"
				env := map[string]string{}
				for _, variable := range tc.login {
					name, value, _ := strings.Cut(variable, "=")
					env[name] = value
				}
				for name, value := range tc.env {
					if delete(env, name); value != nil {
						env[name] = value.(string)
					}
				}
				var want string
				for _, name := range slices.Sorted(maps.Keys(env)) {
					if name != "PYTHONCOERCECLOCALE" {
						want += name + "=" + env[name] + "\n"
					}
				}
				const show = "env | grep -e ^LC_ -e ^LANG= | LC_ALL=C sort"
				if got := r.call("exec", meta{"command": show, "env": tc.env}, nil); got.Out != want {
					t.Errorf("a program has %q, want %q", got.Out, want)
				}
				fresh := r.call("exec", meta{"argv": []string{tg.python, "-c", "import json; print(json.dumps(" + look + "))"}, "env": tc.env}, nil)
				res, _ := r.module(cl.with("language", probing(look)), false, nil, func(m meta) { m["env"] = tc.env })
				if res.Out != fresh.Out || fresh.Out == "" {
					t.Errorf("a module has %q, a new Python %q", res.Out, fresh.Out)
				}
				// How it reads files: as a new one, but for the cases that the facts tell of, where it is to be a new one.
				const reads = "[__import__('locale').setlocale(6, ''), __import__('locale').getpreferredencoding(False).lower()]"
				fresh = r.call("exec", meta{"argv": []string{tg.python, "-c", "import json; print(json.dumps(" + reads + "))"}, "env": tc.env}, nil)
				res, _ = r.module(cl.with("reads", probing(reads)), false, nil, func(m meta) { m["env"] = tc.env })
				told := false
				if mode, known := r.facts["utf8_mode"].(float64); known && mode == 0 {
					name := "LC_ALL"
					if r.facts["coerces"] == false && tc.env[name] == nil {
						name = "LANG"
					}
					told = tc.env[name] == "C" || tc.env[name] == "POSIX"
				}
				if (res.Out != fresh.Out) != told && fresh.RC == 0 {
					t.Errorf("a module reads by %q, a new Python by %q, and that this may be: %v", res.Out, fresh.Out, told)
				}
			})
		}
	})
}
