package tree

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/transports"
	"spindle/transports/wire"
)

// mute is a dialer whose program starts, and neither reads nor says anything.
type mute struct{}

func (mute) Name() string           { return "mute" }
func (mute) Timeout() time.Duration { return time.Minute }

func (mute) Dial(ctx context.Context, via transports.Spawner, p transports.Program) (*transports.Booted, error) {
	return transports.Plan{
		Command: transports.Command{Argv: []string{"sleep", "600"}}, Script: transports.Script{Timeout: time.Minute},
	}.Dial(ctx, via, p)
}

// askParent runs a shell that says what process it was forked from: the agent.
const askParent = `{"argv":["sh","-c","echo $PPID"]}`

// Any number of hops are set up through one agent at once. One that never answers delays none of them.
func TestHopsAreSetUpAtOnceAndADeadOneDelaysNoSibling(t *testing.T) {
	const siblings = 12
	b := newBench(t, Heartbeat{})
	root := realTree(t, b, &uplink{})
	b.say(root, &OpenHop{Hop: &Hop{Key: "login", Dialer: localDialer(t, `{}`)}, Report: b.client})
	login := expect[*HopReady](b).Interpreter
	b.say(login, &OpenHop{Hop: &Hop{Key: "mute", Dialer: mute{}}, Report: b.client})
	for i := range siblings {
		b.say(login, &OpenHop{Hop: &Hop{Key: fmt.Sprint(i), Dialer: localDialer(t, `{}`)}, Report: b.client})
	}
	var below []*actor.PID
	for range siblings {
		below = append(below, expect[*HopReady](b).Interpreter) // and not a *HopFailed
	}

	// One that was alive and is not any more: its link fills up, and that is nobody else's matter.
	b.say(below[0], &Invoke{Key: 1, Call: wire.Call{Op: "exec", MetaLen: len(askParent)}, Body: []byte(askParent)})
	d := expect[*Done](b)
	pid, err := strconv.Atoi(strings.TrimSpace(string(d.Body)))
	if err != nil {
		t.Fatalf("%+v %q", d.Result, d.Body)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	src := filepath.Join(t.TempDir(), "src")
	if err := os.WriteFile(src, make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	b.say(below[0], &Put{Key: 2, Src: src, Dest: src + ".dead"})
	for i, pid := range below[1:] {
		b.say(pid, &Put{Key: uint32(10 + i), Src: src, Dest: fmt.Sprint(src, i)})
	}
	for range below[1:] {
		if d := expect[*Done](b); d.Key < 10 || d.Result.Status != wire.StatusOK {
			t.Fatalf("%d: %+v", d.Key, d.Result)
		}
	}
	b.say(below[0], &Abort{Key: 2, Reason: "enough"})
	if d := expect[*Done](b); d.Key != 2 || d.Result.Status != wire.StatusCancelled {
		t.Errorf("%+v", d)
	}
}
