package bootstrap

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"spindle/transports/wire"
)

// ticks reads the CPU time, in hundredths of a second, of a process and of its children that were reaped.
func ticks(t *testing.T, pid int) (own, children int) {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
	n := func(i int) int { v, _ := strconv.Atoi(fields[i-3]); return v }
	return n(14) + n(15), n(16) + n(17)
}

// The budget is 10 ms from fork to exit of a trivial warm module. CPU time stands for it here, as it
// hardly depends on what else the machine does; the limit leaves room for machines much slower than ours.
func TestCostOfACall(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		measure := func(name string, n int, limit float64, f func()) {
			own, children := ticks(t, r.pid)
			for range n {
				f()
			}
			own2, children2 := ticks(t, r.pid)
			mine, theirs := float64(own2-own)*10/float64(n), float64(children2-children)*10/float64(n)
			t.Logf("%-20s agent %6.2f ms, child %6.2f ms", name, mine, theirs)
			if mine+theirs > limit {
				t.Errorf("%s costs %.1f ms of CPU, want under %.0f", name, mine+theirs, limit)
			}
		}
		boot, _ := ticks(t, r.pid)
		t.Logf("%-20s agent %6d ms", "boot", boot*10)
		ping := func() {
			if res, got := r.module(modules["ping"], false, nil); got["ping"] != "pong" {
				t.Fatalf("%+v", res)
			}
		}
		measure("first module", 1, 2000, ping)
		measure("warm module", 50, 40, ping)
		for name, how := range map[string]meta{"stat, ping": nil, "stat, ping, tidy": tidy} {
			one, input := r.stepOf(modules["stat"], map[string]any{"path": "/missing"}, "", leads.and(how))
			two, more := r.stepOf(modules["ping"], map[string]any{}, "", how)
			measure(name, 50, 90, func() { r.composite(meta{"steps": []any{one, two}}, append(bytes.Clone(input), more...), true) })
		}
		measure("exec", 50, 25, func() { r.call("exec", meta{"argv": []string{"/bin/true"}}, nil) })
		measure("files", 50, 25, func() { r.call("files", meta{"ops": []any{}}, nil) })
	})
}

// What a link of a chain takes, from one answer to the next: it is shown, and as wall time depends on all else that the machine does,
// nothing fails by it.
func TestCostOfALink(t *testing.T) {
	r := boot(t, targets()[0])
	command := controllers[0].modules(t)["command"]
	r.module(command, false, map[string]any{"_raw_params": "true"})
	m := meta{"fqn": command.FQN, "manifest": r.push(command, false), "profile": "legacy", "rlimit_nofile": 0, "secrets": nil}
	const links = 100
	var took []time.Duration
	for round := range 5 {
		start := time.Now()
		var ids []uint32
		for i := range links {
			ids = append(ids, r.begin("module", m.and(meta{"chain": []any{itoa(round), i}}), []byte(`{"ANSIBLE_MODULE_ARGS": {"_raw_params": "true"}}`)))
		}
		for _, id := range ids {
			if res := r.finish(id); res.Status != wire.StatusOK || res.RC != 0 {
				t.Fatalf("%+v", res)
			}
		}
		took = append(took, time.Since(start)/links)
	}
	slices.Sort(took)
	t.Logf("command: %v for each link", took[len(took)/2].Round(10*time.Microsecond))
}
