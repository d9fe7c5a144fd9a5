package bootstrap

import (
	"os"
	"strings"
	"testing"

	"spindle/transports/wire"
)

// opened is how many descriptors the agent has.
func (r *remote) opened() int {
	r.t.Helper()
	fds, err := os.ReadDir("/proc/" + itoa(r.pid) + "/fd")
	if err != nil {
		r.t.Fatal(err)
	}
	return len(fds)
}

// allowed is how many it may have.
func (r *remote) allowed() string {
	r.t.Helper()
	text, err := os.ReadFile("/proc/" + itoa(r.pid) + "/limits")
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			return strings.Join(strings.Fields(rest)[:2], " ")
		}
	}
	r.t.Fatalf("%s", text)
	return ""
}

// An agent that leads to many others has a descriptor for each of their streams, and those are more than accounts may have to begin with.
// What it starts has the limits that it was started with.
func TestManyPrograms(t *testing.T) {
	everyPair(t, func(t *testing.T, own *remote, modules map[string]closure, _ controller) {
		tg := own.tg
		tg.wrap = append([]string{"sh", "-c", `ulimit -S -n 256 && ulimit -H -n 4096 && exec "$@"`, "sh"}, tg.wrap...)
		r := boot(t, tg)
		limits := "ulimit -S -n; ulimit -H -n"
		children := func() {
			t.Helper()
			if got := r.relay(r.spawn(0, meta{"argv": []string{"sh", "-c", limits}})); got.out[1] != "256\n4096\n" {
				t.Errorf("a program has %+v", got)
			}
			if got := r.shell(limits); got != "256\n4096\n" {
				t.Errorf("a command has %q", got)
			}
			probe := modules["ping"].with("limits", probing("list(__import__('resource').getrlimit(7)) + [getattr(__import__('subprocess'), 'MAXFD', 256)]"))
			if res, _ := r.module(probe, false, nil); res.Out != "[256, 4096, 256]\n" {
				t.Errorf("a module has %+v", res)
			}
			if res, _ := r.module(probe, false, nil, func(m meta) { m["rlimit_nofile"] = 300 }); !strings.HasPrefix(res.Out, "[300, 4096, ") {
				t.Errorf("a module that is to have 300 has %+v", res)
			}
		}
		if children(); r.allowed() != "256 4096" {
			t.Errorf("an agent that leads to nobody may open %s", r.allowed())
		}
		const many = 120
		before := r.opened()
		var ids []uint32
		for range many {
			ids = append(ids, r.spawn(0, meta{"argv": []string{"cat"}}, []byte("up\n")...))
		}
		for _, id := range ids {
			r.until(id, 1, "up\n")
		}
		r.ping()
		if each := float64(r.opened()-before) / many; each > 3.1 {
			t.Errorf("each program takes %.1f descriptors", each)
		}
		if r.allowed() != "4096 4096" {
			t.Errorf("the agent may open %s", r.allowed())
		}
		children()
		for _, id := range ids {
			r.send(id, wire.EOF{Channel: 0})
		}
		for _, id := range ids {
			if got := r.relay(id); got.exit != (wire.Exit{}) {
				t.Errorf("%+v", got)
			}
		}
		if after := r.opened(); after > before+1 {
			t.Errorf("%d descriptors at the end, %d before", after, before)
		}
	})
}
