package tree

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports"
	"spindle/transports/wire"
)

const (
	// bywayQueue is how many parts a byway is given ahead of the time.
	bywayQueue = 2
	// bywayPatience is how long a byway may take to open, and how long nothing may be heard of what goes by way of any.
	bywayPatience = 15 * time.Second
)

// bywayName is what the pump is called.
const bywayName = "byway"

// bywayPump opens one byway and writes to it.
type bywayPump struct {
	parts chan wire.Frame
	pump  *actors.Pump
	load  int // parts that it was given and has not written
}

// The pump's words: it is open, it has written a part, or it has ended before its owner did.
type (
	bywayOpened struct{ n int }
	bywayPassed struct{ n int }
	bywayLost   struct {
		n   int
		err error
	}
)

// openByway starts the pump of the n-th byway of the calling actor.
func openByway(ctx actor.Context, n int, via transports.Splitter, path string) *bywayPump {
	p := &bywayPump{parts: make(chan wire.Frame, bywayQueue)}
	self, sys := ctx.Self(), actors.SystemOf(ctx)
	p.pump = actors.Go(ctx, bywayName, func(ctx context.Context) error {
		err := runByway(ctx, via, path, p.parts, func(m any) { sys.Send(self, m) }, n)
		if err != nil && ctx.Err() == nil {
			sys.Send(self, &bywayLost{n: n, err: err})
		}
		return nil
	})
	return p
}

func runByway(ctx context.Context, via transports.Splitter, path string, parts <-chan wire.Frame, tell func(any), n int) error {
	opening, cancel := context.WithTimeout(ctx, bywayPatience)
	w, err := via.Byway(opening, path)
	cancel()
	if err != nil {
		return err
	}
	defer w.Close()
	defer context.AfterFunc(ctx, func() { _ = w.Close() })()
	tell(&bywayOpened{n})
	var buf []byte
	for {
		select {
		case f := <-parts:
			if buf, err = wire.Append(buf[:0], f); err != nil {
				return err
			}
			if _, err := w.Write(buf); err != nil {
				return err
			}
			tell(&bywayPassed{n})
		case <-ctx.Done():
			return nil
		}
	}
}

// room says whether the byway can be given another part.
func (p *bywayPump) room() bool { return p.load < bywayQueue }

// give never blocks, as long as there is room.
func (p *bywayPump) give(f wire.Frame) {
	p.load++
	p.parts <- f
}
