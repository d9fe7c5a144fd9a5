package bootstrap

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

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

// zombies lists the dead that an agent or its warden should have collected, and those of everybody below them.
func (r *remote) zombies() []string {
	states, parents := map[int]string{}, map[int]int{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		b, err := os.ReadFile(dir + "/stat")
		_, rest, _ := strings.Cut(string(b[max(0, bytes.LastIndexByte(b, ')')):]), ") ") // a name may hold anything
		f := strings.Fields(rest)
		if err != nil || len(f) < 2 {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(dir))
		states[pid] = f[0]
		parents[pid], _ = strconv.Atoi(f[1])
	}
	var dead []string
	for pid, state := range states {
		for up := pid; state == "Z" && up > 1; up = parents[up] {
			if parents[up] == r.pid || parents[up] == parents[r.pid] {
				dead = append(dead, fmt.Sprintf("%d below %d", pid, parents[pid]))
				break
			}
		}
	}
	return dead
}

// detaches is a module that leaves a job behind as async_wrapper does: in a session of its own, with somebody who waits for it.
const detaches = `
import os, sys, time
if __name__ == '__main__':
    if os.fork() == 0:
        os.setsid()
        for fd in range(3):
            os.dup2(os.open('/dev/null', os.O_RDWR), fd)
        job = os.fork()
        if job:
            os.waitpid(job, 0)
        else:
            time.sleep(0.05)
        os._exit(0)
    print('{"started": 1}')
    sys.stdout.flush()
    os._exit(0)
`

// respawns is a module that goes on in another interpreter, by way of its archive.
const respawns = `
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.respawn import has_respawned, respawn_module

def main():
    module = AnsibleModule(argument_spec={})
    if not has_respawned():
        respawn_module('/usr/bin/python3')
    module.exit_json(respawned=True)

if __name__ == '__main__':
    main()
`

// An agent that has done thousands of tasks of all kinds has as much memory, descriptors and children as one that did a few hundred.
// Ten thousand are done with SPINDLE_TEST_ALL; the ordinary run does a part.
func TestManyTasksLeaveNothingBehind(t *testing.T) {
	tasks, first := 1200, 400
	if os.Getenv("SPINDLE_TEST_ALL") != "" {
		tasks, first = 10000, 4000 // by then it remembers as many chains as it ever does
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
			leaves, again := modules["ping"].with("leaves", detaches), modules["apt"].with("again", respawns)
			stat, look1 := r.stepOf(modules["stat"], map[string]any{"path": r.dir}, "", leads.and(tidy))
			last, look2 := r.stepOf(modules["ping"], nil, "", tidy)
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
				func(int) {
					id := r.begin("exec", meta{"command": "sleep 1000 & exec sleep 1000"}, nil, func(c *wire.Call) { c.Timeout = 20 * time.Millisecond })
					if res := r.finish(id); res.Status != wire.StatusTimeout {
						t.Errorf("timeout: %+v", res)
					}
				},
				func(i int) { // one that ends well, and one that breaks off
					ids := r.links(fmt.Sprint("well", i), 0, "true", "echo", "true")
					ids = append(ids, r.links(fmt.Sprint("gap", i), 0, "true")[0], r.links(fmt.Sprint("gap", i), 2, "true")[0])
					for n, id := range ids {
						if res := r.finish(id); (res.Status == wire.StatusOK) != (n < 4) {
							t.Errorf("link %d: %+v", n, res)
						}
					}
				},
				func(int) {
					r.composite(meta{"steps": []any{stat, last}}, append(bytes.Clone(look1), look2...), true)
				},
				func(int) {
					if res := r.call("get", meta{"path": r.dir + "/put"}, nil); res.Status != wire.StatusOK || len(res.Out) < len(content) {
						t.Errorf("get: %+v", res)
					}
				},
				func(int) {
					if res, got := r.module(leaves, false, nil); got["started"] != 1.0 {
						t.Errorf("a job: %+v", res)
					}
				},
				func(i int) { // each starts two Pythons more, so not all of them
					if i%16 == 13 {
						if res, got := r.module(again, true, nil); got["respawned"] != true {
							t.Errorf("another interpreter: %+v", res)
						}
					}
				},
			}
			done := 0
			run := func(n int) {
				for range n {
					kinds[done%len(kinds)](done)
					done++
				}
			}
			run(first)
			before := look(t, r.pid)
			run(tasks - first)
			r.alone()
			var dead []string
			for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
				if dead = r.zombies(); len(dead) == 0 || time.Now().After(deadline) {
					break
				}
			}
			after := look(t, r.pid)
			t.Logf("after %d tasks %+v, after %d %+v, zombies %d", first, before, tasks, after, len(dead))
			if len(dead) > 0 {
				t.Errorf("nobody has collected %q", dead)
			}
			if after.kib > before.kib+1024 {
				t.Errorf("its memory grew from %d to %d KiB", before.kib, after.kib)
			}
			if after.fds > before.fds || after.children > before.children {
				t.Errorf("it held %+v, and holds %+v", before, after)
			}
		})
	}
}
