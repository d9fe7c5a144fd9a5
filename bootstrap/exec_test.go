package bootstrap

import (
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

func ok(out, err string) result { return result{Out: out, Err: err} }

func TestExec(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		cwd := r.facts["cwd"].(string)
		for _, tc := range []struct {
			name  string
			m     meta
			input string
			want  result
		}{
			{"argv", meta{"argv": []string{"/bin/echo", "a b", "$HOME", "é"}}, "", ok("a b $HOME é\n", "")},
			{"path", meta{"argv": []string{"echo", "-n", "x"}}, "", ok("x", "")},
			{"command", meta{"command": "echo out; echo err >&2; exit 3"}, "", result{wire.Result{RC: 3}, "out\n", "err\n"}},
			{"command with input", meta{"command": "cat"}, "a\x00\xff", ok("a\x00\xff", "")},
			{"no input", meta{"command": "cat"}, "", ok("", "")},
			{"tty", meta{"command": "echo out; echo err >&2", "tty": true}, "", ok("out\r\nerr\r\n", "")},
			{"signal", meta{"command": "kill -9 $$"}, "", result{wire.Result{RC: -9}, "", ""}},
			{"cwd", meta{"argv": []string{"pwd"}, "cwd": "/usr"}, "", ok("/usr\n", "")},
			{"default cwd", meta{"argv": []string{"pwd"}}, "", ok(cwd+"\n", "")},
			{"env", meta{"argv": []string{"/bin/sh", "-c", "echo $A-$B-${SPINDLE_TEST-unset}-$C"}, "env": meta{"A": "1", "B": json.RawMessage(`"é\udcff"`), "SPINDLE_TEST": nil}}, "", ok("1-é\xff-unset-\n", "")},
			{"umask", meta{"command": "umask", "umask": 0o27}, "", ok("0027\n", "")},
			{"bytes in argv", meta{"argv": []any{"printf", "%s", json.RawMessage(`"\udcff"`)}}, "", ok("\xff", "")},
			{"pre and input", meta{"argv": []string{"cat", r.dir + "/pre", "-"}, "pre": []any{
				meta{"op": "mkdir", "path": r.dir + "/sub"}, meta{"op": "write", "path": r.dir + "/pre", "size": 4},
			}}, "pre\nrest", ok("pre\nrest", "")},
			{
				"pre fails",
				meta{"argv": []string{"echo"}, "pre": []any{meta{"op": "mkdir", "path": r.dir + "/sub"}}},
				"",
				result{wire.Result{Status: wire.StatusError, Errno: 17, Text: "mkdir " + r.dir + "/sub: File exists"}, "", ""},
			},
			{
				"no such program",
				meta{"argv": []string{"/nonexistent/x"}},
				"",
				result{wire.Result{Status: wire.StatusError, Errno: 2, Text: "exec /nonexistent/x: No such file or directory"}, "", ""},
			},
			{
				"not a program",
				meta{"argv": []string{"/etc/passwd"}},
				"",
				result{wire.Result{Status: wire.StatusError, Errno: 13, Text: "exec /etc/passwd: Permission denied"}, "", ""},
			},
			{
				"no such directory",
				meta{"argv": []string{"pwd"}, "cwd": "/nonexistent"},
				"",
				result{wire.Result{Status: wire.StatusError, Errno: 2, Text: "chdir /nonexistent: No such file or directory"}, "", ""},
			},
			{"closes all", meta{"command": "exec <&- >&- 2>&-; exit 5"}, "", result{wire.Result{RC: 5}, "", ""}},
			{"SIGPIPE", meta{"argv": []string{"sh", "-c", "yes | head -n 1"}}, "", ok("y\n", "")},
		} {
			t.Run(tc.name, func(t *testing.T) {
				got := r.call("exec", tc.m, []byte(tc.input))
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("mismatch (-want +got):\n%s", diff)
				}
			})
		}
	})
}

func TestSession(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		id := r.begin("exec", meta{"command": "echo $$; read x"}, nil, func(c *wire.Call) { c.Flags |= wire.FlagMore | wire.FlagStream })
		pid := strings.TrimSpace(string(r.next(id).Body))
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
		if parent, group, session := fields[1], fields[2], fields[3]; parent != fmt.Sprint(r.pid) || group != pid || session != pid {
			t.Errorf("process %s has parent %s, group %s, session %s", pid, parent, group, session)
		}
		r.send(id, wire.EOF{Channel: 0})
		r.finish(id)
	})
}

func TestChildrenHaveNothingOfTheAgents(t *testing.T) {
	r := boot(t, targets()[0])
	other := r.begin("exec", meta{"command": "read x"}, nil, func(c *wire.Call) { c.Flags |= wire.FlagMore }) // has pipes as well
	links := func(dir string) map[string]bool {
		found := map[string]bool{}
		fds, _ := filepath.Glob(dir + "/[0-9]*")
		for _, fd := range fds {
			if to, err := os.Readlink(fd); err == nil {
				found[to] = true
			}
		}
		return found
	}
	held, inherited := links(fmt.Sprintf("/proc/%d/fd", r.pid)), links("/proc/self/fd")
	out := r.shell(`for f in /proc/$$/fd/*; do test ${f##*/} -lt 3 || readlink $f; done; true`)
	for _, link := range strings.Fields(out) {
		if held[link] && !inherited[link] {
			t.Errorf("a child has %s of the agent", link)
		}
	}
	if len(held) < 6 {
		t.Errorf("looked at the wrong descriptors: %v", held)
	}
	r.send(other, wire.EOF{Channel: 0})
	r.finish(other)
}

func TestDaemonsDoNotHoldUpTheirCall(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		// What stays behind has the call's stdout, and is none of its business.
		got := r.call("exec", meta{"command": "sleep 1000 & echo $!"}, nil)
		pid := strings.TrimSpace(got.Out)
		if got.Status != wire.StatusOK || pid == "" {
			t.Fatalf("got %+v", got)
		}
		r.shell("kill -0 " + pid + " && kill " + pid)
	})
}

// What a shell does not wait for may say its last words.
func TestWhatIsSaidAfterTheShell(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		for command, want := range map[string]string{
			"(sleep 0.6; echo late; sleep 0.6; echo later >&2) & echo early":                               "early\nlate\n",
			"mkfifo " + r.dir + "/f; (sleep 0.2; cat <" + r.dir + "/f) & exec >" + r.dir + "/f; echo said": "said\n",
		} {
			got := r.call("exec", meta{"command": command}, nil)
			if got.Status != wire.StatusOK || got.Out != want || strings.Contains(command, "later") != (got.Err == "later\n") {
				t.Errorf("%s: got %+v", command, got)
			}
		}
	})
}

func TestUnknownOperation(t *testing.T) {
	r := boot(t, targets()[0])
	got := r.call("dance", meta{}, nil)
	if got.Status != wire.StatusError || got.Text != "unknown operation: dance" {
		t.Errorf("got %+v", got)
	}
	for name, body := range map[string]string{"no JSON": "x", "not an object": "[]", "not a list": `{"argv":3}`, "nothing": `{}`, "deep": strings.Repeat("[", 100000)} {
		id := r.newID()
		r.send(id, wire.Call{Op: "exec", MetaLen: len(body)}, []byte(body)...)
		if got := r.finish(id); got.Status != wire.StatusFault || got.Text == "" {
			t.Errorf("%s: got %+v, want a FAULT", name, got)
		}
	}
	r.shell("true") // and goes on
}

func TestNoReply(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		noReply := func(c *wire.Call) { c.Flags |= wire.FlagNoReply }
		quiet := r.begin("exec", meta{"command": "echo lost; echo done >" + r.dir + "/quiet"}, nil, noReply)
		failed := r.begin("files", meta{"ops": []any{meta{"op": "mkdir", "path": "/nonexistent/x"}}}, nil, noReply)
		// The failure is told by a LOG, for want of a better place.
		f := r.next(0)
		if l, ok := f.Header.(wire.Log); !ok || l.Text != "mkdir /nonexistent/x: No such file or directory" || l.Level != 30 {
			t.Errorf("got %#v, want a LOG of the failure", f.Header)
		}
		r.shell("until test -s " + r.dir + "/quiet; do sleep 0.01; done")
		r.ping()
		if n := r.pending(quiet) + r.pending(failed); n != 0 {
			t.Errorf("%d frames came for calls that nobody waits for", n)
		}
	})
}

func TestTimeoutKillsTheGroup(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		started := time.Now()
		got := r.call("exec", meta{"command": "echo before; sleep 1000 & sleep 1000"}, nil, func(c *wire.Call) { c.Timeout = 300 * time.Millisecond })
		want := result{wire.Result{Status: wire.StatusTimeout, RC: -15, Text: "timed out"}, "before\n", ""}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("mismatch (-want +got):\n%s", diff)
		}
		if d := time.Since(started); d < 280*time.Millisecond { // Python 2 has a coarse clock
			t.Errorf("timed out after %v", d)
		}
		// One that does not want to go is made to.
		got = r.call("exec", meta{"argv": []string{"/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"}}, nil, func(c *wire.Call) { c.Timeout = 300 * time.Millisecond })
		if got.Status != wire.StatusTimeout || got.RC != -9 {
			t.Errorf("got %+v, want it killed", got)
		}
		r.alone()
	})
}

func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		id := r.begin("exec", meta{"command": "(trap '' TERM; sleep 1000) & echo up; sleep 1000"}, nil, func(c *wire.Call) { c.Flags |= wire.FlagStream })
		if f := r.next(id); string(f.Body) != "up\n" {
			t.Fatalf("got %#v %q", f.Header, f.Body)
		}
		r.send(id, wire.Cancel{Reason: "no longer wanted"})
		got := r.finish(id)
		if got.Status != wire.StatusCancelled || got.Text != "no longer wanted" {
			t.Errorf("got %+v", got)
		}
		// Late frames for it are no error.
		r.send(id, wire.Cancel{})
		r.send(id, wire.Data{Channel: 0}, 'x')
		r.send(id, wire.Credit{Channel: 1, Bytes: 1})
		r.shell("true")
		r.alone() // the one that ignored TERM too
	})
}
