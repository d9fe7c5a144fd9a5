package bootstrap

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"spindle/transports/wire"
)

// state is what a process holds.
type state struct{ kib, fds, children int }

func look(t *testing.T, pid int) state {
	t.Helper()
	var s state
	status, err := os.ReadFile("/proc/" + itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	// What is its own: pages of files come and go with the machine's memory.
	s.kib, _ = strconv.Atoi(string(regexp.MustCompile(`RssAnon:\s+(\d+)`).FindSubmatch(status)[1]))
	fds, err := os.ReadDir("/proc/" + itoa(pid) + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	s.fds = len(fds)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	s.children = len(strings.Fields(string(children)))
	return s
}

// An agent that has done thousands of tasks of all kinds has as much memory, descriptors and children as one that did a few hundred.
// Ten thousand are done with SPINDLE_TEST_ALL; the ordinary run does a part.
func TestManyTasksLeaveNothingBehind(t *testing.T) {
	tasks := 1500
	if os.Getenv("SPINDLE_TEST_ALL") != "" {
		tasks = 10000
	}
	if testing.Short() {
		t.Skip("short")
	}
	for _, tg := range targets() {
		if tg.name != "host" && os.Getenv("SPINDLE_TEST_ALL") == "" {
			continue
		}
		t.Run(tg.name, func(t *testing.T) {
			if tg.skip != "" {
				t.Skip(tg.skip)
			}
			r := boot(t, tg)
			modules := controllers[0].modules(t) // whose modules run on every Python
			content := bytes.Repeat([]byte("content"), 1000)
			kinds := []func(i int){
				func(int) { r.call("exec", meta{"command": "echo out; echo err >&2", "tty": true, "fresh": true}, nil) },
				func(int) { r.call("exec", meta{"argv": []string{"/nonexistent"}}, nil) },
				func(i int) {
					r.call("exec", meta{"argv": []string{"cat"}, "env": meta{fmt.Sprintf("V%d", i): "x"}}, content)
				},
				func(i int) {
					dir := fmt.Sprintf("%s/t%d", r.dir, i)
					r.files("", meta{"op": "mkdir", "path": dir, "temp": true})
					r.files("", meta{"op": "remove", "path": dir, "recursive": true})
				},
				func(int) { r.put(r.dir+"/put", meta{}, content) },
				func(int) { r.module(modules["ping"], false, nil) },
				func(int) { r.module(modules["command"], false, map[string]any{"_raw_params": "true"}) },
				func(int) {
					id := r.begin("exec", meta{"command": "echo up; exec sleep 1000"}, nil, stream)
					r.until(id, 1, "up") // a child that has just been forked may lose its TERM, and is killed later
					r.send(id, wire.Cancel{Reason: "test"})
					r.finish(id)
				},
			}
			run := func(n int) {
				for i := range n {
					kinds[i%len(kinds)](i)
				}
			}
			run(400)
			before := look(t, r.pid)
			run(tasks - 400)
			r.alone()
			after := look(t, r.pid)
			t.Logf("after 400 tasks %+v, after %d %+v", before, tasks, after)
			if after.kib > before.kib+1024 {
				t.Errorf("its memory grew from %d to %d KiB", before.kib, after.kib)
			}
			if after.fds > before.fds || after.children > before.children {
				t.Errorf("it held %+v, and holds %+v", before, after)
			}
		})
	}
}
