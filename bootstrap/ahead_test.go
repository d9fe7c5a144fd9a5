package bootstrap

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"spindle/transports/wire"
)

// waitFor waits for something that nobody tells.
func (r *remote) waitFor(what string, is func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%s: not so; children are %v", what, r.children())
		}
	}
}

// held begins the first link of a chain, which does nothing until release and then runs a command; returns its id and its process.
func (r *remote) held(chain, then string, change ...func(*wire.Call)) (uint32, int) {
	r.t.Helper()
	r.shell("rm -f " + r.dir + "/fifo; mkfifo " + r.dir + "/fifo")
	id := r.begin("exec", meta{"command": "read x <" + r.dir + "/fifo; " + then, "chain": []any{chain, 0}}, nil, change...)
	var all []int
	r.waitFor("the first link runs", func() bool {
		all = r.children()
		if len(all) != 1 {
			return false
		}
		line, _ := os.ReadFile("/proc/" + itoa(all[0]) + "/cmdline")
		return strings.Contains(string(line), "/fifo; "+then)
	})
	return id, all[0]
}

func (r *remote) release() { r.shell("echo >" + r.dir + "/fifo") }

// ahead returns the process that waits for the end of another one, when it does.
func (r *remote) ahead(first int) int {
	r.t.Helper()
	if runtime.NumCPU() == 1 {
		r.t.Skip("with one CPU, nothing is forked ahead")
	}
	var pid int
	r.waitFor("a child waits", func() bool {
		all := slices.DeleteFunc(r.children(), func(pid int) bool { return pid == first })
		if len(all) != 1 {
			return false
		}
		pid = all[0]
		stat, _ := os.ReadFile("/proc/" + itoa(pid) + "/stat")
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		return len(fields) > 3 && fields[0] == "S" && fields[3] == itoa(pid) // it sleeps, in its own session
	})
	return pid
}

// pipes counts the descriptors of each pipe that a process has, but for those that everything here has.
func pipes(pid int) map[string]int {
	found := map[string]int{}
	for _, pid := range []int{pid, os.Getpid()} {
		fds, _ := filepath.Glob("/proc/" + itoa(pid) + "/fd/*")
		for _, fd := range fds {
			if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "pipe:") {
				if pid == os.Getpid() {
					delete(found, to)
				} else {
					found[to]++
				}
			}
		}
	}
	return found
}

// A link that was forked ahead has looked at nothing, and done nothing, before the one before it has ended, whatever it is.
func TestChainForksAheadOfAnythingThatCounts(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		probe := modules["ping"].with("probe", probing(`dict(pid=os.getpid(), cwd=os.getcwd(), seen=sorted(os.listdir('.')), mask=os.umask(0),
        env=os.environ.get('AHEAD'), stdin=sys.stdin.read(), fds=[os.readlink('/proc/self/fd/%d' % n) for n in range(3, 50) if os.path.exists('/proc/self/fd/%d' % n)])`))
		r.module(probe, false, nil)
		r.module(modules["stat"], false, map[string]any{"path": "/"})
		made := r.dir + "/made"
		sum := sha256.Sum256([]byte("put"))
		step, args := r.stepOf(modules["stat"], map[string]any{"path": made}, "", tidy)
		for name, link := range map[string]struct {
			op    string
			meta  meta
			input string
			good  func(pid int, out string) bool
		}{
			"module": {
				"module", meta{
					"fqn": probe.FQN, "manifest": r.push(probe, false), "profile": "legacy", "cwd": made + "/sub", "umask": 0o27, "env": meta{"AHEAD": "1"},
					"pre": []any{meta{"op": "mkdir", "path": made + "/sub/pre"}},
				}, `{"ANSIBLE_MODULE_ARGS": {}}`, func(pid int, out string) bool {
					got, want := map[string]any{}, map[string]any{
						"pid": float64(pid), "cwd": made + "/sub", "seen": []any{"pre"}, "mask": float64(0o27), "env": "1", "stdin": "",
					}
					json.Unmarshal([]byte(out), &got)
					for pipe := range pipes(r.pid) {
						if strings.Contains(fmt.Sprint(got["fds"]), pipe) {
							t.Errorf("it has %s of the agent's", pipe)
						}
					}
					delete(got, "fds")
					return fmt.Sprint(got) == fmt.Sprint(want)
				},
			},
			"composite": {"composite", meta{"steps": []any{step}}, string(args), func(pid int, out string) bool {
				return strings.Contains(out, `"isdir": true`)
			}},
			"exec": {"exec", meta{"command": "echo $$; pwd; umask", "cwd": made, "umask": 0o27}, "", func(pid int, out string) bool {
				return out == fmt.Sprintf("%d\n%s\n0027\n", pid, made)
			}},
			"exec with input": {"exec", meta{"command": "cat; ls", "cwd": made}, "in\n", func(pid int, out string) bool { return out == "in\nsub\n" }},
			"files": {"files", meta{"ops": []any{
				meta{"op": "exists", "path": made}, meta{"op": "write", "path": made + "/file", "size": 1},
			}}, "x", func(pid int, out string) bool { return out == "[true,null]" }},
			"get": {"get", meta{"path": made + "/../got"}, "", func(pid int, out string) bool { return strings.Contains(out, "}\nnew\n") }},
			"put": {"put", meta{"dest": made + "/put", "size": 3}, "put" + string(sum[:]), func(pid int, out string) bool {
				got, _ := os.ReadFile(r.local + "/made/put")
				return string(got) == "put"
			}},
		} {
			if err := os.RemoveAll(r.local + "/made"); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(r.local+"/got", []byte("old\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			first, running := r.held(name, "echo new >"+r.dir+"/got; mkdir -p "+made+"/sub")
			link.meta["chain"] = []any{name, 1}
			id := r.begin(link.op, link.meta, []byte(link.input))
			pid := r.ahead(running)
			if cwd, _ := os.Readlink("/proc/" + itoa(pid) + "/cwd"); cwd != filepath.Join("/", r.tg.root) {
				t.Errorf("%s: its directory is %s", name, cwd)
			}
			for pipe, n := range pipes(pid) {
				if n > 1 || pipes(running)[pipe] > 0 {
					t.Errorf("%s: it has %s %d times, and the one before it %d times", name, pipe, n, pipes(running)[pipe])
				}
			}
			r.release()
			if res := r.finish(first); res.Status != wire.StatusOK || res.RC != 0 {
				t.Errorf("%s: the one before it: %+v", name, res)
			}
			if res := r.finish(id); res.Status != wire.StatusOK || res.RC != 0 || !link.good(pid, res.Out) {
				t.Errorf("%s: process %d: %+v", name, pid, res)
			}
		}
	})
}

// What a login gives, and whether it still gives that, is looked at when a link's turn has come.
func TestChainLooksAtTheLoginInItsTurn(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, withOwnEtc(t, tg), func(o *Options) { o.Watch = 1 })
		first, running := r.held("a", "echo NEW=2 >/etc/environment")
		second := r.begin("exec", meta{"command": "echo $NEW; read x <" + r.dir + "/fifo; echo new:x:4712:root >>/etc/group", "fresh": true, "chain": []any{"a", 1}}, nil)
		third := r.begin("exec", meta{"command": "echo third", "fresh": true, "chain": []any{"a", 2}}, nil)
		fourth := r.links("a", 3, "echo fourth")[0]
		pid := r.ahead(running)
		r.release()
		r.finish(first)
		r.ahead(pid)
		r.release()
		if res := r.finish(second); res.Out != "2\n" {
			t.Errorf("variables of a file that was changed: %+v", res)
		}
		if res := r.finish(third); res.Status != wire.StatusStale || res.Errno != 0 {
			t.Errorf("a login that has changed: %+v", res)
		}
		notBegun(t, "behind", r.finish(fourth))
	})
}

// A child that waits ends with its chain, without a trace, and is not waited for by anybody.
func TestChainEndsTheChildThatWaits(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		r.shell("true")
		fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.pid))
		for name, tc := range map[string]struct {
			end    func(first, next uint32)
			status wire.Status // of the first
			gone   bool        // whether the one that waits ends while the first goes on
		}{
			"time":                         {func(first, next uint32) {}, wire.StatusTimeout, false},
			"the running link's cancelled": {func(first, next uint32) { r.send(first, wire.Cancel{Reason: "enough"}) }, wire.StatusCancelled, false},
			"the next one's cancelled":     {func(first, next uint32) { r.send(next, wire.Cancel{Reason: "enough"}) }, wire.StatusOK, true},
			"the last one's cancelled":     {func(first, next uint32) { r.send(next+1, wire.Cancel{Reason: "enough"}) }, wire.StatusOK, true},
			"gap":                          {func(first, next uint32) { notBegun(t, "gap", r.finish(r.links("gap", 7, "true")[0])) }, wire.StatusOK, true},
		} {
			first, running := r.held(name, "true", func(c *wire.Call) {
				if name == "time" {
					c.Timeout = 2 * time.Second
				}
			})
			ids := r.links(name, 1, "touch "+r.dir+"/1", "touch "+r.dir+"/2")
			pid := r.ahead(running)
			tc.end(first, ids[0])
			if tc.gone {
				r.waitFor(name+": it has gone", func() bool { return slices.Equal(r.children(), []int{running}) })
				r.release()
			}
			if res := r.finish(first); res.Status != tc.status {
				t.Errorf("%s: the first: %+v", name, res)
			}
			for _, id := range ids {
				notBegun(t, name, r.finish(id))
			}
			r.waitFor(name+": all have gone", func() bool { return len(r.children()) == 0 })
			if _, err := os.Stat("/proc/" + itoa(pid)); err == nil {
				t.Errorf("%s: there is a zombie", name)
			}
			if files, _ := filepath.Glob(r.local + "/[12]"); len(files) > 0 {
				t.Errorf("%s: it has run: %v", name, files)
			}
		}
		if now, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.pid)); len(now) != len(fds) {
			t.Errorf("the agent had %d descriptors, and has %d", len(fds), len(now))
		}
	})
}

// A link that could not be done as it was asked for ends the one that waits behind it, too.
func TestChainEndsTheChildThatWaitsBehindAnError(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		r.shell("mkfifo " + r.dir + "/fifo")
		first := r.begin("files", meta{"chain": []any{"e", 0}, "ops": []any{
			meta{"op": "write", "path": r.dir + "/fifo", "size": 2}, meta{"op": "chmod", "path": "/no/such", "mode": 448},
		}}, []byte("x\n"))
		r.waitFor("the first link runs", func() bool { return len(r.children()) == 1 })
		running := r.children()[0]
		next := r.links("e", 1, "touch "+r.dir+"/1")[0]
		r.ahead(running)
		r.shell("read x <" + r.dir + "/fifo")
		if res := r.finish(first); res.Status != wire.StatusError {
			t.Errorf("the first: %+v", res)
		}
		notBegun(t, "behind", r.finish(next))
		r.waitFor("all have gone", func() bool { return len(r.children()) == 0 })
		if _, err := os.Stat(r.local + "/1"); err == nil {
			t.Error("it has run")
		}
	})
}

// So does a module behind which a strict chain does not go on.
func TestChainEndsTheChildThatWaitsBehindAFailure(t *testing.T) {
	pairsOf(t, controllers[:1], func(t *testing.T, r *remote, modules map[string]closure, _ controller) {
		r.module(modules["ping"], false, nil)
		for answer, goesOn := range map[string]bool{`{"failed": true}`: false, `{"changed": true}`: true} {
			r.shell("rm -f " + r.dir + "/fifo; mkfifo " + r.dir + "/fifo")
			link := func(n int) func(meta) { return func(m meta) { m["chain"] = []any{answer, n, true} } }
			source := fmt.Sprintf("import sys\nopen(%q).read()\nprint('%s')\nsys.exit(0)\n", r.dir+"/fifo", answer)
			first := r.beginModule(modules["ping"].with("held", source), false, nil, link(0))
			r.waitFor("the first link runs", func() bool { return len(r.children()) == 1 })
			running := r.children()[0]
			next := r.beginModule(modules["ping"], false, nil, link(1))
			r.ahead(running)
			r.release()
			r.finish(first)
			if res := r.finish(next); goesOn != (res.Status == wire.StatusOK) {
				t.Errorf("behind %s: %+v", answer, res)
			} else if !goesOn {
				notBegun(t, answer, res)
			}
			r.waitFor("all have gone", func() bool { return len(r.children()) == 0 })
		}
	})
}

// Whatever way an agent ends, a child that waits ends without having done anything.
func TestChildThatWaitsEndsWithItsAgent(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		for name, end := range map[string]func(r *remote, pid int){
			"end of stream":         func(r *remote, pid int) { r.stdin.Close() },
			"kill -9 of the agent":  func(r *remote, pid int) { syscall.Kill(r.pid, syscall.SIGKILL) },
			"kill of the agent":     func(r *remote, pid int) { syscall.Kill(r.pid, syscall.SIGTERM) },
			"kill -9 of the warden": func(r *remote, pid int) { r.cmd.Process.Kill() },
			"kill -9 of the agent, and nobody sweeps": func(r *remote, pid int) {
				r.cmd.Process.Signal(syscall.SIGSTOP)
				syscall.Kill(r.pid, syscall.SIGKILL)
				r.waitFor("it has gone by itself", func() bool {
					stat, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
					return err != nil || bytes.Contains(stat, []byte(") Z "))
				})
				r.cmd.Process.Signal(syscall.SIGCONT)
			},
		} {
			t.Run(name, func(t *testing.T) {
				r := boot(t, tg)
				_, running := r.held("a", "touch "+r.dir+"/0")
				r.links("a", 1, "touch "+r.dir+"/1")
				end(r, r.ahead(running))
				r.end()
				if files, _ := filepath.Glob(r.local + "/[01]"); len(files) > 0 {
					t.Errorf("done for nobody: %v", files)
				}
			})
		}
	})
}

// A child that was killed while it waits has done nothing, so its link gets another one.
func TestChainGoesOnWithoutTheChildThatWaited(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGSTOP} {
			first, running := r.held(signal.String(), "true")
			ids := r.links(signal.String(), 1, "echo $$", "echo last")
			pid := r.ahead(running)
			if signal == syscall.SIGSTOP { // it is gone, and nobody has heard of that, when its turn has come
				syscall.Kill(r.pid, syscall.SIGSTOP)
				syscall.Kill(pid, syscall.SIGKILL)
				os.WriteFile(r.local+"/fifo", []byte("\n"), 0)
				r.waitFor("both have ended", func() bool {
					return !slices.ContainsFunc([]int{pid, running}, func(pid int) bool {
						stat, _ := os.ReadFile("/proc/" + itoa(pid) + "/stat")
						return !bytes.Contains(stat, []byte(") Z "))
					})
				})
				syscall.Kill(r.pid, syscall.SIGCONT)
			} else {
				syscall.Kill(pid, signal)
				r.waitFor("it has gone", func() bool { return slices.Equal(r.children(), []int{running}) })
				r.release()
			}
			r.finish(first)
			if res := r.finish(ids[0]); res.Status != wire.StatusOK || res.RC != 0 || res.Out == "" || res.Out == fmt.Sprintln(pid) {
				t.Errorf("%v: the next one: %+v", signal, res)
			}
			if res := r.finish(ids[1]); res.Out != "last\n" {
				t.Errorf("%v: the last one: %+v", signal, res)
			}
			r.waitFor("all have gone", func() bool { return len(r.children()) == 0 })
		}
	})
}

// A link's time begins when its turn has come, and it is the only one that was forked ahead.
func TestChainCountsTimeFromTheTurn(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		first, running := r.held("a", "true")
		limit := func(c *wire.Call) { c.Timeout = 1500 * time.Millisecond }
		ids := []uint32{
			r.begin("exec", meta{"command": "echo $$", "chain": []any{"a", 1}}, nil, limit),
			r.begin("exec", meta{"command": "sleep 100", "chain": []any{"a", 2}}, nil, limit),
			r.begin("exec", meta{"command": "true", "chain": []any{"a", 3}}, nil, limit),
		}
		pid := r.ahead(running)
		time.Sleep(2 * time.Second)
		if now := r.ahead(running); now != pid || r.pending(ids[0]) > 0 {
			t.Errorf("%d waits, and %d did", now, pid)
		}
		start := time.Now()
		r.release()
		r.finish(first)
		if res := r.finish(ids[0]); res.Status != wire.StatusOK || res.Out != strconv.Itoa(pid)+"\n" {
			t.Errorf("the next one: %+v", res)
		}
		if res := r.finish(ids[1]); res.Status != wire.StatusTimeout || time.Since(start) < time.Second {
			t.Errorf("the one that takes long: %+v after %v", res, time.Since(start))
		}
		notBegun(t, "behind", r.finish(ids[2]))
	})
}

// Code that the agent has not made ready is not forked ahead, and what ails a link is told in its turn.
func TestChainForksAheadOnlyWhatIsReady(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		modules := controllers[0].modules(t)
		ready := map[string]any{"fqn": "x", "manifest": "00", "profile": "legacy"}
		for name, tc := range map[string]struct {
			op     string
			meta   meta
			status wire.Status
		}{
			"code to be compiled": {"module", meta{"fqn": modules["ping"].FQN, "manifest": r.push(modules["ping"], false), "profile": "legacy"}, wire.StatusOK},
			"no closure":          {"module", ready, wire.StatusUnknownClosure},
			"no manifest":         {"module", meta{"fqn": "x"}, wire.StatusUnknownClosure},
			"broken":              {"module", meta{"manifest": 1}, wire.StatusFault},
			"no such operation":   {"dance", meta{}, wire.StatusError},
		} {
			first, running := r.held(name, "true")
			tc.meta["chain"] = []any{name, 1}
			id := r.begin(tc.op, tc.meta, []byte(`{"ANSIBLE_MODULE_ARGS": {}}`))
			r.ping()
			if all := r.children(); len(all) != 1 || all[0] != running || r.pending(id) > 0 {
				t.Errorf("%s: children are %v, answered: %d", name, all, r.pending(id))
			}
			r.release()
			r.finish(first)
			if res := r.finish(id); res.Status != tc.status {
				t.Errorf("%s: %+v, want status %d", name, res, tc.status)
			}
		}
	})
}

// On a single CPU nothing would be gained by it.
func TestChainForksNothingAheadOnOneCPU(t *testing.T) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	cpu := 0
	for !set.IsSet(cpu) {
		cpu++
	}
	tg := targets()[0]
	tg.wrap = []string{"taskset", "-c", itoa(cpu)}
	r := boot(t, tg)
	first, running := r.held("a", "echo first")
	next := r.links("a", 1, "echo next")[0]
	r.ping()
	if all := r.children(); !slices.Equal(all, []int{running}) {
		t.Errorf("children are %v", all)
	}
	r.release()
	for id, want := range map[uint32]string{first: "first\n", next: "next\n"} {
		if res := r.finish(id); res.Out != want {
			t.Errorf("got %+v, want %q", res, want)
		}
	}
}
