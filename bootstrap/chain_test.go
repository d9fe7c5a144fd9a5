package bootstrap

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spindle/transports/wire"
)

// notBegun fails unless a link was answered without anything having been done for it.
func notBegun(t *testing.T, name string, res result) {
	t.Helper()
	if res.Status != wire.StatusStale || res.Errno == 0 {
		t.Errorf("%s: %+v, want STALE with an errno", name, res)
	}
}

// links begins a call for each of the commands, as one chain, all in one go.
func (r *remote) links(chain string, first int, commands ...string) []uint32 {
	var ids []uint32
	for i, command := range commands {
		ids = append(ids, r.begin("exec", meta{"command": command, "chain": []any{chain, first + i}}, nil))
	}
	return ids
}

// Links of a chain run in their order and never two at once, and what runs beside them is not held up.
func TestChainRunsOneBehindAnother(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		var commands []string
		for i := range 12 {
			commands = append(commands, fmt.Sprintf("echo begin %d >>%s/log; sleep 0.0%d; echo end %d >>%s/log; exit %d", i, r.dir, 9-i%10, i, r.dir, i%2))
		}
		slow := r.begin("exec", meta{"command": "read x; echo $x"}, nil, stream, more)
		ids := r.links("a", 0, commands...)
		other := r.links("b", 0, "echo other")
		if res := r.finish(other[0]); res.Out != "other\n" {
			t.Errorf("another chain: %+v", res)
		}
		var want strings.Builder
		for i, id := range ids {
			if res := r.finish(id); res.Status != wire.StatusOK || res.RC != i%2 {
				t.Errorf("link %d: %+v", i, res)
			}
			fmt.Fprintf(&want, "begin %d\nend %d\n", i, i)
		}
		if got, _ := os.ReadFile(filepath.Join(r.local, "log")); string(got) != want.String() {
			t.Errorf("got %s, want %s", got, want.String())
		}
		// It goes on where it was, whatever time has passed.
		if res := r.finish(r.links("a", 12, "echo on")[0]); res.Out != "on\n" {
			t.Errorf("the next link: %+v", res)
		}
		r.send(slow, wire.Data{Channel: 0}, []byte("beside\n")...)
		if res := r.finish(slow); res.Out != "beside\n" {
			t.Errorf("beside: %+v", res)
		}
	})
}

// A link that does not end well is the last one of its chain, and nothing is done for those behind it, whenever they come.
func TestChainEndsWithALinkThatFails(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		mark := func(name string) string { return "touch " + r.dir + "/" + name }
		bad := func(m meta) func(chain string, n int) uint32 {
			return func(chain string, n int) uint32 {
				m["chain"] = []any{chain, n}
				return r.begin("exec", m, nil)
			}
		}
		for name, breaks := range map[string]struct {
			begin  func(chain string, n int) uint32
			status wire.Status
		}{
			"error": {bad(meta{"argv": []string{"/no/such/program"}}), wire.StatusError},
			"fault": {bad(meta{}), wire.StatusFault},
			"pre":   {bad(meta{"command": "true", "pre": []meta{{"op": "chmod", "path": "/no/such", "mode": 448}}}), wire.StatusError},
			"more": {func(chain string, n int) uint32 {
				return r.begin("exec", meta{"command": "cat", "chain": []any{chain, n}}, nil, more)
			}, wire.StatusFault},
			"time": {func(chain string, n int) uint32 {
				return r.begin("exec", meta{"command": "sleep 100", "chain": []any{chain, n}}, nil, func(c *wire.Call) { c.Timeout = 100 * time.Millisecond })
			}, wire.StatusTimeout},
		} {
			first := r.links(name, 0, "sleep 0.1; "+mark(name+"0"))
			broken := breaks.begin(name, 1)
			behind := r.links(name, 2, mark(name+"2"), mark(name+"3"))
			if res := r.finish(first[0]); res.Status != wire.StatusOK {
				t.Errorf("%s: the one ahead: %+v", name, res)
			}
			if res := r.finish(broken); res.Status != breaks.status {
				t.Errorf("%s: %+v, want status %d", name, res, breaks.status)
			}
			if name == "more" { // it was refused before it was in the chain, so the next one's number is wrong
				name += " (gap)"
			}
			for _, id := range append(behind, r.links(name, 4, mark(name+"4"))...) {
				notBegun(t, name, r.finish(id))
			}
		}
		entries, err := os.ReadDir(r.local)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if n := e.Name(); strings.ContainsAny(n[len(n)-1:], "234") {
				t.Errorf("%s is there", n)
			}
		}
	})
}

// Cancelling any link ends the chain: what has not begun does not begin, before it or behind it.
func TestChainEndsWithACancelledLink(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		for _, which := range []int{0, 1, 3} {
			r := boot(t, tg)
			ids := r.links("c", 0, "echo up >"+r.dir+"/up; sleep 1", "touch "+r.dir+"/1", "touch "+r.dir+"/2", "touch "+r.dir+"/3")
			for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
				if _, err := os.Stat(r.local + "/up"); err == nil {
					break
				} else if time.Now().After(end) {
					t.Fatal("the first link does not run")
				}
			}
			r.send(ids[which], wire.Cancel{Reason: "enough"})
			res := r.finish(ids[0])
			if want := map[bool]wire.Status{true: wire.StatusCancelled, false: wire.StatusOK}[which == 0]; res.Status != want {
				t.Errorf("the running one: %+v", res)
			}
			for i, id := range ids[1:] {
				notBegun(t, fmt.Sprintf("cancelled %d, link %d", which, i+1), r.finish(id))
			}
			for _, n := range "123" {
				if _, err := os.Stat(r.local + "/" + string(n)); err == nil {
					t.Errorf("cancelled %d: link %c has run", which, n)
				}
			}
			// Its name can be used for another one.
			if res := r.finish(r.links("c", 0, "echo again")[0]); res.Out != "again\n" {
				t.Errorf("another chain of the same name: %+v", res)
			}
		}
	})
}

// What waits costs no descriptors and next to no time, and chains that nobody ends are forgotten.
func TestChainsAreCheap(t *testing.T) {
	r := boot(t, targets()[0])
	commands := []string{"read x <" + r.dir + "/fifo"}
	for range 1000 {
		commands = append(commands, "true")
	}
	r.finish(r.begin("exec", meta{"argv": []string{"mkfifo", r.dir + "/fifo"}}, nil))
	ids := r.links("long", 0, commands...)
	r.shell("true")
	if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.pid)); err != nil || len(fds) > 40 {
		t.Errorf("%d descriptors, %v", len(fds), err)
	}
	r.send(ids[700], wire.Cancel{Reason: "enough"})
	for _, id := range ids[1:] {
		notBegun(t, "behind", r.finish(id))
	}
	r.shell("echo >" + r.dir + "/fifo")
	r.finish(ids[0])
	for i := range 300 {
		if res := r.finish(r.links(fmt.Sprint("many", i), 0, "true")[0]); res.Status != wire.StatusOK {
			t.Fatalf("chain %d: %+v", i, res)
		}
	}
	notBegun(t, "the oldest", r.finish(r.links("many0", 1, "true")[0]))
	if res := r.finish(r.links("many299", 1, "true")[0]); res.Status != wire.StatusOK {
		t.Errorf("the newest: %+v", res)
	}
}
