package bootstrap

import (
	"os"
	"strings"
	"testing"
	"time"

	"spindle/transports/wire"
)

// What a call has left behind, and has its output yet, can write there for as long as the agent is there: as much as it likes.
func TestWhatIsLeftBehindCanWrite(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		r.call("exec", meta{"command": "true"}, nil)
		before := r.opened()
		const later = "(trap 'echo ended by $? >>$F' EXIT; until test -e $F.go; do sleep 0.02; done; head -c 300000 /dev/zero && head -c 300000 /dev/zero >&2 && touch $F.done; until test -e $F.end; do sleep 0.02; done) & echo up"
		for _, m := range []meta{{"command": later}, {"command": later, "tty": true}} {
			file := r.dir + "/" + nonce()
			m["env"] = meta{"F": file}
			if got := r.call("exec", m, nil); got.Status != wire.StatusOK || strings.TrimSpace(got.Out) != "up" {
				t.Fatalf("got %+v", got)
			}
			r.shell("touch " + file + ".go; for i in $(seq 3000); do test -e " + file + ".done && exit; sleep 0.02; done; cat " + file + "; exit 1")
			r.shell("touch " + file + ".end; until test -s " + file + "; do sleep 0.02; done")
		}
		// Where nobody writes any more, nothing is kept.
		for deadline := time.Now().Add(patience); r.opened() > before && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		}
		if now := r.opened(); now > before {
			t.Errorf("%d descriptors, %d before", now, before)
		}
	})
}

// Neither many of them nor one that never stops takes much of the agent.
func TestManyThatAreLeftBehind(t *testing.T) {
	r := boot(t, targets()[0])
	for range 100 {
		r.call("exec", meta{"command": "sleep 1000 & echo $! >>" + r.dir + "/pids"}, nil)
	}
	if held := r.opened(); held > 160 {
		t.Errorf("it holds %d descriptors", held)
	}
	r.call("exec", meta{"command": "yes & echo $! >>" + r.dir + "/pids"}, nil)
	before, _ := ticks(t, r.pid)
	time.Sleep(time.Second)
	r.ping()
	if after, _ := ticks(t, r.pid); after-before > 20 {
		t.Errorf("it took %d ms of CPU in a second", 10*(after-before))
	}
	if pids, err := os.ReadFile(r.local + "/pids"); err != nil || strings.Count(string(pids), "\n") != 101 {
		t.Errorf("%q, %v", pids, err)
	}
	r.shell("kill $(cat " + r.dir + "/pids)")
}
