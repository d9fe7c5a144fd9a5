package tree

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/actors/tree/treetest"
	"spindle/transports"
	"spindle/transports/wire"
)

// broken is a method that panics wherever it is asked for anything that may block; with open, behind the opening.
type broken struct{ open bool }

func (broken) Name() string           { return "broken" }
func (broken) Timeout() time.Duration { return 10 * time.Second }

func (broken) Dial(context.Context, transports.Spawner, transports.Program) (*transports.Booted, error) {
	panic("dial")
}

func (d broken) Bare(context.Context, transports.Spawner) (transports.Shell, error) {
	if !d.open {
		panic("bare")
	}
	return brokenShell{}, nil
}

type brokenShell struct{ transports.Shell }

func (brokenShell) About() transports.About { return transports.About{How: "bare", Host: "host"} }
func (brokenShell) Lost() <-chan struct{}   { return nil }
func (brokenShell) Close() error            { return nil }

func (brokenShell) Run(context.Context, transports.Line) (transports.Link, error) { panic("run") }

// Whoever waits for a dial hears of its end also if that is a panic: otherwise nobody would ever get to the account again.
func TestADialThatPanicsIsReported(t *testing.T) {
	for name, bare := range map[string]bool{"agent": false, "bare": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Heartbeat{})
			b.say(b.tree, &OpenHop{Hop: &Hop{Key: "k", Dialer: broken{}}, Report: b.client, Bare: bare})
			got := expect[*HopFailed](b)
			var ce *transports.ConnectError
			if !errors.As(got.Err, &ce) || ce.Class != transports.Unreachable || !strings.Contains(ce.Text, "panic with a string") {
				t.Errorf("%v", got.Err)
			}
		})
	}
}

// So does whoever waits for a command or a file where there is no agent, and what has come of the file is removed.
func TestAWayThatPanicsIsReported(t *testing.T) {
	b := newBench(t, Heartbeat{})
	sh := b.openBare(b.tree, broken{open: true}).Interpreter
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	if err := os.WriteFile(src, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]any{
		"exec": invoke("exec", map[string]any{"command": "true"}, ""),
		"put":  &Put{Key: 1, Src: src, Dest: "/dest"},
		"get":  &Get{Key: 1, Src: "/src", Dest: filepath.Join(dir, "dest")},
	} {
		b.say(sh, m)
		if d := expect[*Done](b); d.Result.Status != wire.StatusFault || !strings.Contains(d.Result.Text, "panic with a string") {
			t.Errorf("%s: %+v", name, d.Result)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// And whoever waits for a transfer by way of an agent.
func TestATransferWhosePumpPanicsIsAnswered(t *testing.T) {
	for name, m := range map[string]any{
		"put:1": &Put{Key: 1, Src: "/etc/passwd", Dest: "/dest"},
		"get:1": &Get{Key: 1, Src: "/src", Dest: filepath.Join(t.TempDir(), "dest")},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Heartbeat{})
			hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
				f.Next() // the call
				b.say(actor.NewPID(b.tree.Address, b.tree.Id+"/ssh:web1/python3/"+name), &actors.PumpDone{
					Name: "file", Err: errors.New("it panicked"),
				})
				treetest.UntilGone(f)
			})
			b.say(hop.Interpreter, m)
			if d := expect[*Done](b); d.Result.Status != wire.StatusError || d.Result.Text != "it panicked" {
				t.Errorf("%+v", d.Result)
			}
		})
	}
}

// A panic on the way leaves nothing beside the destination.
func TestLandingThatPanicsRemovesItsFile(t *testing.T) {
	dir := t.TempDir()
	feed := make(chan []byte, 1)
	feed <- []byte(`{"size":5}` + "\nhello")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_ = land(t.Context(), filepath.Join(dir, "dest"), feed, func(int) { panic("stored") })
	}()
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestGetOfANegativeSizeIsRefused(t *testing.T) {
	b := newBench(t, Heartbeat{})
	hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
		f.Send(f.Next().ID, wire.Data{Channel: 1}, []byte(`{"size":-1}`+"\nhello"))
		treetest.UntilGone(f)
	})
	dir := t.TempDir()
	dest := filepath.Join(dir, "dest")
	b.say(hop.Interpreter, &Get{Key: 1, Src: "/src", Dest: dest})
	want := "fetch of '" + dest + "': the file header says a size of -1"
	if d := expect[*Done](b); d.Result.Status != wire.StatusError || d.Result.Text != want {
		t.Errorf("%+v, want %s", d.Result, want)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
