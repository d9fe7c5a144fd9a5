package tree

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"spindle/actors"
	"spindle/actors/actorstest"
	"spindle/actors/tree/treetest"
	"spindle/transports"
	"spindle/transports/wire"
)

// farLine is a link to an agent that takes files, beyond a line of some length, and the byways beside it.
type farLine struct {
	transports.Dialer
	e    *actorstest.Env
	trip time.Duration // there and back
	each time.Duration // what a chunk takes
	// bywayAnswer is how many byways the agent says that it takes.
	bywayAnswer int
	// refused is the server's answer to all of them; breaks, if above 0, is how many frames the first one carries. What it is given from then
	// on is lost, and it ends if it is not to be silent.
	refused error
	breaks  int
	silent  bool
	panics  bool // whoever opens a byway

	in     chan came
	over   chan struct{}
	opened atomic.Int32
	ended  sync.WaitGroup

	got    bytes.Buffer
	asked  int
	pings  int
	pinged int            // when a put ended
	by     map[string]int // PARTs by the way that they came
	datas  int
	eofs   int
}

// came is a frame, and the way it took.
type came struct {
	way   string
	frame wire.Frame
}

func (l *farLine) Dial(ctx context.Context, via transports.Spawner, p transports.Program) (*transports.Booted, error) {
	b, err := l.Dialer.Dial(ctx, via, p)
	if err == nil {
		b.Link = splitLink{b.Link, l}
	}
	return b, err
}

type splitLink struct {
	transports.Link
	line *farLine
}

func (splitLink) Splits() bool { return true }

func (s splitLink) Byway(context.Context, string) (io.WriteCloser, error) {
	l := s.line
	if l.panics {
		panic("byway")
	}
	if l.refused != nil {
		return nil, l.refused
	}
	near, far := net.Pipe()
	way, breaks := "second", 0
	if l.opened.Add(1) == 1 {
		way, breaks = "first", l.breaks
	}
	l.ended.Go(func() {
		defer far.Close()
		r := wire.NewReader(far)
		for n := 1; ; n++ {
			f, err := r.Next()
			if err != nil {
				return
			}
			if breaks > 0 && n > breaks {
				if l.silent {
					continue
				}
				return
			}
			l.push(came{way, f})
		}
	})
	return near, nil
}

func (l *farLine) push(c came) {
	select {
	case l.in <- c:
	case <-l.over:
	}
}

// play is the agent.
func (l *farLine) play(f *treetest.FarEnd) {
	l.ended.Go(func() {
		defer close(l.in)
		r := wire.NewReader(f.Conn)
		for {
			fr, err := r.Next()
			if err != nil {
				return
			}
			if _, bye := fr.Header.(wire.Bye); bye {
				return
			}
			l.push(came{"link", fr})
		}
	})
	t := &taker{line: l, far: f}
	for c := range l.in {
		t.take(c)
	}
	close(l.over)
}

// taker keeps the rules of an agent.
type taker struct {
	line                         *farLine
	far                          *treetest.FarEnd
	id                           uint32
	taken, granted, window, owed int64
	parts                        map[int64]came
	done, joined                 bool
}

func (t *taker) take(c came) {
	l := t.line
	switch h := c.frame.Header.(type) {
	case wire.Ping:
		l.pings++
		time.Sleep(l.trip)
		t.far.Send(c.frame.ID, wire.Ping{Reply: true, Stamp: h.Stamp}, nil)
	case wire.Call:
		*t = taker{line: l, far: t.far, id: c.frame.ID, granted: wire.WindowInitial, window: wire.WindowBulk, owed: wire.WindowBulk - wire.WindowInitial, parts: map[int64]came{}}
		l.got.Reset()
	case wire.Byway:
		l.asked++
		if h.Count != 2 || h.Path != "" {
			l.e.Errorf("asked for %+v", h)
		}
		path := "/tmp/x/s"
		if l.bywayAnswer == 0 {
			path = ""
		}
		t.far.Send(t.id, wire.Byway{Count: l.bywayAnswer, Path: path}, nil)
		if l.bywayAnswer > 0 {
			t.owed += int64(l.bywayAnswer-1) * wire.WindowBulk
			t.window = int64(l.bywayAnswer) * wire.WindowBulk
			t.grant()
		}
	case wire.Data:
		l.datas++
		if t.joined {
			l.e.Error("DATA behind PART")
		}
		t.part(t.taken, c)
	case wire.Part:
		l.by[c.way]++
		t.joined = t.joined || c.way == "link"
		t.part(h.Offset, c)
	case wire.EOF:
		l.eofs++
		t.finish()
	}
}

func (t *taker) part(offset int64, c came) {
	if offset+int64(len(c.frame.Body)) > t.granted {
		t.line.e.Errorf("%d bytes at %d with %d granted", len(c.frame.Body), offset, t.granted)
	}
	if offset >= t.taken {
		t.parts[offset] = c
	}
	for {
		c, here := t.parts[t.taken]
		if !here || t.done {
			return
		}
		delete(t.parts, t.taken)
		n := int64(len(c.frame.Body))
		t.taken += n
		t.line.got.Write(c.frame.Body)
		time.Sleep(t.line.each)
		t.owed += n
		t.grant()
		if h, is := c.frame.Header.(wire.Part); is && h.Last {
			t.finish()
		}
	}
}

func (t *taker) grant() {
	if t.owed >= t.window/4 && !t.done {
		t.granted += t.owed
		t.far.Send(t.id, wire.Credit{Bytes: int(t.owed)}, nil)
		t.owed = 0
	}
}

func (t *taker) finish() {
	t.done = true
	t.line.pinged = t.line.pings
	t.far.Send(t.id, wire.Result{}, nil)
}

// counted makes content in which every place is another.
func counted(size int) []byte {
	b := make([]byte, 0, size)
	for len(b) < size {
		b = binary.BigEndian.AppendUint64(b, uint64(len(b)))
	}
	return b[:size]
}

// bywayPut puts a file as often as it is told over a line, and checks that all of the content comes every time.
func bywayPut(t *testing.T, l *farLine, size, times int) {
	t.Helper()
	content := counted(size)
	src := filepath.Join(t.TempDir(), "src")
	if err := os.WriteFile(src, content, 0o600); err != nil {
		t.Fatal(err)
	}
	want := append(content, sumOf(content)...)
	actorstest.Bubble(t, func(e *actorstest.Env) {
		var wg sync.WaitGroup
		l.e, l.in, l.over, l.by = e, make(chan came, 64), make(chan struct{}), map[string]int{}
		l.Dialer = &treetest.Dialer{T: e.T, Label: "ssh:far", Joined: &wg, Play: l.play}
		service := e.Spawn(actors.Spec{Kind: "service", Name: "service", New: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if m, is := ctx.Message().(*Reserve); is {
					ctx.Respond(&Reserved{Bytes: m.Bytes})
				}
			})
		}})
		root := e.Spawn(Spec(&Config{
			Logger: zap.NewNop(), Program: func(Boot) transports.Program { return transports.Program{} }, Blobs: service, Transfers: service,
		}))
		probe := e.Probe("client")
		probe.Request(root, &OpenHop{Hop: &Hop{Key: "k", Dialer: l}, Report: probe.PID()})
		hop := actorstest.Expect[*HopReady](probe)
		for range times {
			probe.Request(hop.Interpreter, &Put{Key: 1, Src: src, Dest: "/d"})
			time.Sleep(2 * time.Minute) // of the bubble's
			if d := actorstest.Expect[*Done](probe); d.Result != (wire.Result{}) {
				e.Fatalf("%+v", d.Result)
			}
			if !bytes.Equal(l.got.Bytes(), want) {
				e.Errorf("%d bytes came, want %d, or others", l.got.Len(), len(want))
			}
		}
		probe.Watch(hop.Hop)
		probe.Request(root, &Drain{Reason: "test"})
		time.Sleep(time.Minute)
		actorstest.Expect[*actor.Terminated](probe)
		wg.Wait()
		l.ended.Wait()
	})
}

const farFile = 48<<20 + 4711

func TestLargePutGoesByTwoBywaysWhereTheRoundTripIsTheLimit(t *testing.T) {
	l := &farLine{trip: 100 * time.Millisecond, each: 6 * time.Millisecond, bywayAnswer: 2}
	bywayPut(t, l, farFile, 1)
	if l.asked != 1 || l.by["first"] < 20 || l.by["second"] < 20 || l.by["link"] != 0 || l.eofs != 0 {
		t.Errorf("asked %d times, PARTs %v, %d EOF", l.asked, l.by, l.eofs)
	}
	if chunks := farFile/wire.ChunkMax + 2; l.datas+l.by["first"]+l.by["second"] != chunks {
		t.Errorf("%d DATA and PARTs %v, want %d in all", l.datas, l.by, chunks)
	}
}

func TestNoBywaysWhereTheyWouldNotHelp(t *testing.T) {
	for name, c := range map[string]struct {
		size       int
		trip, each time.Duration
		pinged     int
	}{
		"a small file":  {20 << 20, 100 * time.Millisecond, 6 * time.Millisecond, 0},
		"a short line":  {farFile, 9 * time.Millisecond, 100 * time.Microsecond, 1},
		"a narrow line": {farFile, 100 * time.Millisecond, 20 * time.Millisecond, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := &farLine{trip: c.trip, each: c.each, bywayAnswer: 2}
			bywayPut(t, l, c.size, 1)
			if l.asked != 0 || len(l.by) != 0 || l.eofs != 1 || c.pinged == 0 && l.pinged != 0 {
				t.Errorf("asked %d times, PARTs %v, %d EOF, %d PINGs", l.asked, l.by, l.eofs, l.pinged)
			}
		})
	}
}

// Whoever refuses is not asked again on that link, and the transfer goes on.
func TestRefusedBywaysAreDoneWithout(t *testing.T) {
	for name, l := range map[string]*farLine{
		"by the server": {bywayAnswer: 2, refused: errors.New("administratively prohibited")},
		"by the agent":  {bywayAnswer: 0},
		"by a panic":    {bywayAnswer: 2, panics: true},
	} {
		t.Run(name, func(t *testing.T) {
			l.trip, l.each = 100*time.Millisecond, 6*time.Millisecond
			bywayPut(t, l, farFile, 2)
			if l.asked != 1 || len(l.by) != 0 || l.eofs != 2 {
				t.Errorf("asked %d times, PARTs %v, %d EOF", l.asked, l.by, l.eofs)
			}
		})
	}
}

// What a byway has swallowed comes by way of the link, and so does what is left. It is tried once for a link.
func TestLostBywaysAreDoneWithout(t *testing.T) {
	for name, silent := range map[string]bool{"one that ends": false, "one that says nothing": true} {
		for _, breaks := range []int{1, 60} {
			t.Run(fmt.Sprint(name, " behind ", breaks), func(t *testing.T) {
				l := &farLine{trip: 100 * time.Millisecond, each: 6 * time.Millisecond, bywayAnswer: 2, breaks: breaks, silent: silent}
				bywayPut(t, l, farFile, 2)
				if l.asked != 1 || l.by["first"] != breaks || l.by["link"] < 10 || l.eofs != 1 {
					t.Errorf("asked %d times, PARTs %v, %d EOF", l.asked, l.by, l.eofs)
				}
			})
		}
	}
}
