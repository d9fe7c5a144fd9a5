package tree

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spindle/actors/tree/treetest"
	"spindle/transports/local"
	"spindle/transports/wire"
)

// Agents never ask for a sign of life. One that did so without end would have answers pile up.
func TestAnAgentThatAsksIsCutOff(t *testing.T) {
	b := newBench(t, Heartbeat{})
	hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
		f.Next() // the call
		f.Send(0, wire.Ping{Stamp: 1}, nil)
		treetest.UntilGone(f)
	})
	b.say(hop.Interpreter, &Invoke{Key: 1, Call: wire.Call{Op: "exec"}})
	d := expect[*Done](b)
	if d.Result.Status != wire.StatusUnreachable || !strings.Contains(d.Result.Text, "protocol error: the agent sent a PING that is no answer") {
		t.Errorf("%+v", d.Result)
	}
}

// Credit for input is passed on in portions, however it comes.
func TestCreditByteByByteIsAddedUp(t *testing.T) {
	const bytes = 3*creditLeast + 5
	b := newBench(t, Heartbeat{})
	hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
		id := f.Next().ID
		for range bytes {
			f.Send(id, wire.Credit{Channel: wire.ChannelIn, Bytes: 1}, nil)
		}
		f.Send(id, wire.Credit{Channel: wire.ChannelOut, Bytes: 1 << 30}, nil) // where no input goes
		f.Send(id, wire.Result{}, nil)
		treetest.UntilGone(f)
	})
	b.say(hop.Interpreter, &Invoke{Key: 1, Call: wire.Call{Op: "exec", Flags: wire.FlagMore}})
	for range 3 {
		if c := expect[*InputCredit](b); c.Bytes != creditLeast {
			t.Errorf("credit of %d, want %d", c.Bytes, creditLeast)
		}
	}
	if d := expect[*Done](b); d.Result.Status != wire.StatusOK {
		t.Errorf("%+v", d.Result)
	}
}

// An agent may open a bulk receiver's window, as input is taken again and again, and no more.
func TestCreditBeyondABulkWindowIsAProtocolError(t *testing.T) {
	b := newBench(t, Heartbeat{})
	const most = wire.WindowBulk - wire.WindowInitial
	taken := make(chan struct{})
	hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
		id := f.Next().ID
		f.Send(id, wire.Credit{Channel: wire.ChannelIn, Bytes: most}, nil)
		got := f.Next()
		f.Send(id, wire.Credit{Channel: wire.ChannelIn, Bytes: len(got.Body)}, nil)
		<-taken
		f.Send(id, wire.Credit{Channel: wire.ChannelIn, Bytes: 1}, nil)
		treetest.UntilGone(f)
	})
	b.say(hop.Interpreter, &Invoke{Key: 1, Call: wire.Call{Op: "exec", Flags: wire.FlagMore}})
	if c := expect[*InputCredit](b); c.Bytes != most {
		t.Errorf("credit of %d, want %d", c.Bytes, most)
	}
	b.say(hop.Interpreter, &Input{Key: 1, Data: make([]byte, wire.ChunkMax)})
	if c := expect[*InputCredit](b); c.Bytes != wire.ChunkMax {
		t.Errorf("credit of %d, want %d", c.Bytes, wire.ChunkMax)
	}
	close(taken)
	if d := expect[*Done](b); d.Result.Status != wire.StatusUnreachable || !strings.Contains(d.Result.Text, "protocol error: CREDIT for more input") {
		t.Errorf("%+v", d.Result)
	}
}

// The real agent keeps to all of this, while it is sent as much as it grants.
func TestLargeInputOfACallKeepsTheAgentsWindow(t *testing.T) {
	b := newBench(t, Heartbeat{})
	b.say(realTree(t, b, &local.Spawner{}), &OpenHop{Hop: &Hop{Key: "login", Dialer: localDialer(t, `{}`)}, Report: b.client})
	interp := expect[*HopReady](b).Interpreter
	m := invoke("exec", map[string]any{"command": "wc -c"}, strings.Repeat("x", wire.WindowInitial))
	m.Call.Flags = wire.FlagMore
	b.say(interp, m)
	const size = 16 << 20
	for sent, open := 0, wire.WindowInitial; sent < size; {
		for open < wire.ChunkMax {
			open += expect[*InputCredit](b).Bytes
		}
		b.say(interp, &Input{Key: 1, Data: make([]byte, wire.ChunkMax)})
		sent, open = sent+wire.ChunkMax, open-wire.ChunkMax
	}
	b.say(interp, &Input{Key: 1, EOF: true})
	for {
		switch d := (<-b.mail).(type) {
		case *InputCredit:
		case *Done:
			if got := strings.TrimSpace(string(d.Body)); d.Result.Status != wire.StatusOK || got != fmt.Sprint(size+wire.WindowInitial) {
				t.Errorf("%+v %s", d.Result, got)
			}
			return
		default:
			t.Fatalf("got %T", d)
		}
	}
}

// Nothing that costs no credit may come in any number.
func TestDataWithoutContentIsAProtocolError(t *testing.T) {
	for name, m := range map[string]any{
		"call": &Invoke{Key: 1, Call: wire.Call{Op: "exec"}},
		"get":  &Get{Key: 1, Src: "/src", Dest: filepath.Join(t.TempDir(), "dest")},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Heartbeat{})
			hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
				id := f.Next().ID
				f.Send(id, wire.Data{Channel: wire.ChannelOut}, nil)
				treetest.UntilGone(f)
			})
			b.say(hop.Interpreter, m)
			if d := expect[*Done](b); d.Result.Status != wire.StatusUnreachable || !strings.Contains(d.Result.Text, "protocol error: "+emptyData) {
				t.Errorf("%+v", d.Result)
			}
		})
	}
}

// However small the pieces of a file are, credit for them comes in portions; and what is held back of it stalls nobody.
func TestGetReturnsCreditInPortions(t *testing.T) {
	b := newBench(t, Heartbeat{})
	content := bytes.Repeat([]byte("0123456789"), 500_000)
	said := fmt.Appendf(nil, `{"size":%d,"mode":384,"mtime":1,"atime":1}`+"\n%s%s", len(content), content, sumOf(content))
	hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
		const piece = 10_000
		id, window := f.Next().ID, wire.WindowInitial
		for rest := said; len(rest) > 0; {
			n := min(piece, len(rest))
			for window < n {
				c, ok := f.Next().Header.(wire.Credit)
				if !ok {
					return
				}
				if c.Bytes < creditLeast {
					t.Errorf("credit of %d, want at least %d", c.Bytes, creditLeast)
				}
				window += c.Bytes
			}
			f.Send(id, wire.Data{Channel: wire.ChannelOut}, rest[:n])
			rest, window = rest[n:], window-n
		}
		f.Send(id, wire.Result{}, nil)
		treetest.UntilGone(f)
	})
	dest := filepath.Join(t.TempDir(), "dest")
	b.say(hop.Interpreter, &Get{Key: 1, Src: "/src", Dest: dest})
	if d := expect[*Done](b); d.Result != (wire.Result{}) {
		t.Errorf("%+v", d.Result)
	}
	if got, err := os.ReadFile(dest); !bytes.Equal(got, content) {
		t.Errorf("%d bytes, want %d: %v", len(got), len(content), err)
	}
}
