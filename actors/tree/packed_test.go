package tree

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spindle/actors/tree/treetest"
	"spindle/transports"
	"spindle/transports/local"
	"spindle/transports/wire"
)

// networked makes the links of a dialer such as cross a network, and counts what is written to them.
type networked struct {
	transports.Dialer
	packs bool
	wrote *kinds
}

func (d networked) Dial(ctx context.Context, via transports.Spawner, p transports.Program) (*transports.Booted, error) {
	b, err := d.Dialer.Dial(ctx, via, p)
	if err == nil {
		b.Link = &networkedLink{Link: b.Link, packs: d.packs, wrote: d.wrote}
	}
	return b, err
}

type networkedLink struct {
	transports.Link
	packs bool
	wrote *kinds
	part  []byte
}

func (l *networkedLink) Packs() bool { return l.packs }

func (l *networkedLink) Write(b []byte) (int, error) {
	for l.part = append(l.part, b...); len(l.part) > 4; {
		n := int(binary.BigEndian.Uint32(l.part)) + 4
		if len(l.part) < n {
			break
		}
		l.wrote.add(wire.Kind(l.part[4]), n)
		l.part = bytes.Clone(l.part[n:])
	}
	return l.Link.Write(b)
}

// kinds counts frames, and their bytes.
type kinds struct {
	mu            sync.Mutex
	frames, bytes map[wire.Kind]int
}

func (k *kinds) add(kind wire.Kind, n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.frames == nil {
		k.frames, k.bytes = map[wire.Kind]int{}, map[wire.Kind]int{}
	}
	k.frames[kind]++
	k.bytes[kind] += n
}

func (k *kinds) of(kind wire.Kind) (frames, bytes int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.frames[kind], k.bytes[kind]
}

// bootNetworked starts a real agent as if it were beyond a network.
func bootNetworked(t *testing.T, packs bool) (*bench, *agentSpawner, *kinds) {
	t.Helper()
	b, wrote := newBench(t, Heartbeat{}), new(kinds)
	return b, bootOn(t, b, func(d transports.Dialer) transports.Dialer { return networked{d, packs, wrote} }), wrote
}

func execute(b *bench, to *agentSpawner, key int) *Done {
	meta := []byte(`{"argv":["/bin/echo","` + strings.Repeat("the same words ", 30) + `"]}`)
	b.say(to.interp, &Invoke{Key: uint32(key), Call: wire.Call{Op: "exec", MetaLen: len(meta)}, Body: meta})
	return expect[*Done](b)
}

func TestCallsArePackedWhereTheLinkSaysSo(t *testing.T) {
	const calls = 30
	for _, packs := range []bool{true, false} {
		t.Run(fmt.Sprint(packs), func(t *testing.T) {
			b, agent, wrote := bootNetworked(t, packs)
			for n := range calls {
				if d := execute(b, agent, n); d.Result.RC != 0 || !strings.HasPrefix(string(d.Body), "the same words the same") {
					t.Fatalf("%+v", d)
				}
			}
			plain, _ := wrote.of(wire.KindCall)
			packed, bytes := wrote.of(wire.KindPacked)
			if packs && (plain > 0 || packed == 0 || bytes > 500+calls*40) || !packs && (packed > 0 || plain != calls) {
				t.Errorf("%d CALL frames, and %d PACKED ones of %d bytes", plain, packed, bytes)
			}
			if agent.packs = packs; agent.packs != newRelayOf(t, agent).Packs() {
				t.Error("what is behind the agent is not told")
			}
		})
	}
}

func newRelayOf(t *testing.T, s *agentSpawner) transports.Packer {
	t.Helper()
	link, err := s.Spawn(t.Context(), transports.Command{Argv: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = link.Close() })
	return link.(transports.Packer)
}

// An agent behind another packs what it says by itself, as the link between the two is not what crosses the network.
func TestAgentBehindAPackedLinkPacksToo(t *testing.T) {
	b, front, wrote := bootNetworked(t, true)
	dialer, err := local.Factory([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	b.say(front.interp, &OpenHop{Hop: &Hop{Key: "behind", Dialer: dialer}, Report: b.client})
	behind := &agentSpawner{system: b.sys, interp: expect[*HopReady](b).Interpreter}
	const calls = 30
	execute(b, behind, 0)
	_, before := wrote.of(wire.KindData)
	for n := range calls {
		if d := execute(b, behind, n); d.Result.RC != 0 || !strings.HasPrefix(string(d.Body), "the same words the same") {
			t.Fatalf("%+v", d)
		}
	}
	_, after := wrote.of(wire.KindData)
	if each := (after - before) / calls; each == 0 || each > 60 {
		t.Errorf("a call takes %d bytes of DATA on the link in front", each)
	}
}

// A file is packed on its way while the far side is slow to take it, and gets there whole.
func TestPutIsPackedWhereItIsSlow(t *testing.T) {
	noise := make([]byte, 2<<20)
	rand.New(rand.NewSource(1)).Read(noise)
	for name, content := range map[string][]byte{"text": bytes.Repeat([]byte("a line of text\n"), 2<<20/15), "noise": noise} {
		for _, packs := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s %v", name, packs), func(t *testing.T) {
				b, wrote := newBench(t, Heartbeat{}), new(kinds)
				got := make(chan []byte, 1)
				far := &treetest.Dialer{T: t, Label: "ssh:slow", Joined: &b.wg, Play: func(f *treetest.FarEnd) { got <- takeSlowly(f) }}
				b.say(b.tree, &OpenHop{Hop: &Hop{Key: "k", Dialer: networked{far, packs, wrote}}, Report: b.client})
				hop := expect[*HopReady](b)
				src := filepath.Join(t.TempDir(), "src")
				if err := os.WriteFile(src, content, 0o600); err != nil {
					t.Fatal(err)
				}
				b.say(hop.Interpreter, &Put{Key: 1, Src: src, Dest: "/d"})
				if d := expect[*Done](b); d.Result.Status != wire.StatusOK {
					t.Fatalf("%+v", d)
				}
				b.sys.Send(b.tree, &Drain{Reason: "test"})
				all := <-got
				if want := append(bytes.Clone(content), sumOf(content)...); !bytes.Equal(all, want) {
					t.Errorf("%d bytes came, want %d", len(all), len(want))
				}
				_, plain := wrote.of(wire.KindData)
				if small := packs && name == "text"; small && plain > len(content)/2 || !small && plain < len(content) {
					t.Errorf("%d bytes of %d were sent as they are", plain, len(content))
				}
			})
		}
	}
}

// takeSlowly is an agent that takes a file at some 5 MB a second, and answers; it returns what came.
func takeSlowly(f *treetest.FarEnd) (all []byte) {
	u := wire.NewUnpacker(wire.NewReader(f.Conn))
	for {
		fr, err := u.Next()
		if err != nil {
			return all
		}
		switch fr.Header.(type) {
		case wire.Data:
			all = append(all, fr.Body...)
			time.Sleep(25 * time.Millisecond) // a pace, for which nothing waits
			f.Send(fr.ID, wire.Credit{Channel: wire.ChannelIn, Bytes: len(fr.Body)}, nil)
		case wire.EOF:
			f.Send(fr.ID, wire.Result{}, nil)
		case wire.Bye:
			return all
		}
	}
}

// What an agent may not send packed ends its hop, and no other.
func TestPackedNonsenseClosesTheHopOnly(t *testing.T) {
	zeros := make([]byte, wire.MaxPacked)
	frame := func(p *wire.Packer, frames ...[]byte) []byte {
		b, err := p.Append(nil, slices.Concat(frames...))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	result, err := wire.Append(nil, wire.Frame{ID: 1, Header: wire.Result{RC: 5}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		packs bool
		sent  []byte
	}{
		"where nobody packs": {false, frame(new(wire.Packer), result)},
		"no frames":          {true, frame(new(wire.Packer), zeros)},
		"half a frame":       {true, frame(new(wire.Packer), result[:9])},
		"packed twice":       {true, frame(new(wire.Packer), frame(new(wire.Packer), result))},
		"no deflate":         {true, []byte{0, 0, 0, 8, byte(wire.KindPacked), 0, 0, 0, 0, 0x91, 0xc2, 7}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Heartbeat{})
			good := b.open(b.tree, "ssh:good", func(f *treetest.FarEnd) {
				f.Send(f.Next().ID, wire.Result{RC: 5}, nil)
				treetest.UntilGone(f)
			})
			far := &treetest.Dialer{T: t, Label: "ssh:bad", Joined: &b.wg, Play: func(f *treetest.FarEnd) {
				f.Next()
				_, _ = f.Conn.Write(c.sent)
				treetest.UntilGone(f)
			}}
			b.say(b.tree, &OpenHop{Hop: &Hop{Key: "bad", Dialer: networked{far, c.packs, new(kinds)}}, Report: b.client})
			bad := expect[*HopReady](b)
			b.say(bad.Interpreter, &Invoke{Key: 1, Call: wire.Call{Op: "exec"}})
			if d := expect[*Done](b); d.Result.Status != wire.StatusUnreachable || !strings.Contains(d.Result.Text, "protocol error") {
				t.Errorf("got %+v", d.Result)
			}
			b.say(good.Interpreter, &Invoke{Key: 2, Call: wire.Call{Op: "exec"}})
			if d := expect[*Done](b); d.Result.RC != 5 {
				t.Errorf("the other hop: %+v", d.Result)
			}
		})
	}
}
