package bootstrap

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"spindle/transports/wire"
)

// What is behind a strict link begins only if its module has plainly done its work.
func TestStrictChains(t *testing.T) {
	pairsOf(t, controllers[:1], func(t *testing.T, r *remote, modules map[string]closure, _ controller) {
		for name, c := range map[string]struct {
			module string
			strict bool
			goesOn bool
		}{
			"plain":        {`print('{"changed": true}')`, true, true},
			"rc 0":         {`print('{"rc": 0, "failed": false}')`, true, true},
			"failed":       {`print('{"failed": true}')`, true, false},
			"failed text":  {`print('{"failed": "yes"}')`, true, false},
			"rc in answer": {`print('{"rc": 3}')`, true, false},
			"facts":        {`print('{"ansible_facts": {}}')`, true, false},
			"status":       {"print('{}')\nimport sys\nsys.exit(1)", true, false},
			"no JSON":      {`print('hello {}')`, true, false},
			"space":        {`print('  {"changed": true} \r\n\t')`, true, true},
			"junk":         {`print('{"changed": false} junk}')`, true, false},
			"two answers":  {`print('{"changed": false}\n{"failed": true}')`, true, false},
			"bytes":        {`print('{"a": "\\uDCff"}')`, true, false},
			"text":         {`print('{"a": "\\u00fc"}')`, true, true},
			"no object":    {`print('[1]')`, true, false},
			"nothing":      {"pass", true, false},
			"much":         {`print('{"a": "%s"}' % ('x' * 3000000))`, true, false},
			"killed":       {"import os\nos.kill(os.getpid(), 9)", true, false},
			"not strict":   {"print('{\"failed\": true}')\nimport sys\nsys.exit(1)", false, true},
		} {
			place := func(n int) []any {
				if c.strict {
					return []any{name, n, true}
				}
				return []any{name, n}
			}
			mark := strings.ReplaceAll(name, " ", "-")
			begin := func(n int, source string) uint32 {
				return r.beginModule(modules["ping"].with("link", source+"\nimport sys\nsys.exit(0)\n"), false, nil, func(m meta) { m["chain"] = place(n) })
			}
			first := begin(0, c.module)
			second := begin(1, fmt.Sprintf("open(%q, 'w').close()\nprint('{}')", r.dir+"/"+mark))
			if res := r.finish(first); res.Status != wire.StatusOK {
				t.Errorf("%s: %+v", name, res)
			}
			res := r.finish(second)
			_, err := os.Stat(filepath.Join(r.local, mark))
			if c.goesOn {
				if res.Status != wire.StatusOK || err != nil {
					t.Errorf("%s: what is behind it: %+v, %v", name, res, err)
				}
				continue
			}
			notBegun(t, name, res)
			if err == nil {
				t.Errorf("%s: what is behind it has run", name)
			}
		}
	})
}

// A link whose client has read a file of a directory that is here, too, is not begun: what runs ahead of it may change that file.
func TestLinksBesideTheirSourceAreNotBegun(t *testing.T) {
	pairsOf(t, controllers[:1], func(t *testing.T, r *remote, modules map[string]closure, _ controller) {
		st, err := os.Stat(r.local)
		if err != nil {
			t.Fatal(err)
		}
		inode := st.Sys().(*syscall.Stat_t).Ino
		for name, beside := range map[string][]any{
			"here":            {r.dir, inode},
			"another":         {r.dir, inode + 1},
			"not here":        {r.dir + "/none", inode},
			"no place at all": {"/proc/version/none", inode},
		} {
			mark := strings.ReplaceAll(name, " ", "-")
			link := func(n int, source string, more func(meta)) uint32 {
				return r.beginModule(modules["ping"].with("link", source+"\nprint('{}')\nimport sys\nsys.exit(0)\n"), false, nil, func(m meta) {
					m["chain"] = []any{"beside " + name, n, true}
					more(m)
				})
			}
			calls := []uint32{
				link(0, "", func(meta) {}),
				link(1, fmt.Sprintf("open(%q, 'w').close()", r.dir+"/"+mark), func(m meta) { m["beside"] = beside }),
				link(2, "", func(meta) {}),
			}
			var results []result
			for _, id := range calls {
				results = append(results, r.finish(id))
			}
			_, err := os.Stat(filepath.Join(r.local, mark))
			if name == "here" {
				if results[0].Status != wire.StatusOK || wire.StatusStale != results[1].Status || syscall.Errno(results[1].Errno) != syscall.EEXIST || err == nil {
					t.Errorf("%s: %+v, %v", name, results, err)
				}
				notBegun(t, name, results[2])
				continue
			}
			for _, res := range results {
				if res.Status != wire.StatusOK || err != nil {
					t.Errorf("%s: %+v, %v", name, res, err)
				}
			}
		}
	})
}
