package frames

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports/wire"
)

// ReadAhead is how many frames a reader pump may have handed over that its owner has not finished with.
const ReadAhead = 64

// In is one frame that the peer sent. The owner calls Done when it has dealt with it.
type In struct {
	Frame wire.Frame
	// Bytes is about the size of the frame, as it is where it does not come packed.
	Bytes int
	token chan struct{}
}

// Done lets the reader pump go on.
func (m *In) Done() {
	if m.token != nil {
		<-m.token
	}
}

// Source is what a reader pump reads: a [wire.Reader], or a [wire.Unpacker] where frames may come packed.
type Source interface{ Next() (wire.Frame, error) }

// Read starts the reader pump on r for the calling actor. It ends with *Lost when r ends or its owner stops; closing the
// stream under r is what unblocks it.
func Read(ctx actor.Context, r Source) {
	self, sys := ctx.Self(), actors.SystemOf(ctx)
	tokens := make(chan struct{}, ReadAhead)
	actors.Go(ctx, "reader", func(ctx context.Context) error {
		for {
			f, err := r.Next()
			if err != nil {
				sys.Send(self, &Lost{Pump: "reader", Err: err})
				return nil
			}
			select {
			case tokens <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			sys.Send(self, &In{Frame: f, Bytes: len(f.Body) + 64, token: tokens})
		}
	})
}

// restAfter is how long a writer pump waits for more before it asks to be let go: a link is idle for most of its life, but for a question every
// ten seconds whether its agent lives.
const restAfter = 200 * time.Millisecond

// Rested tells the owner of an Outbox that its writer pump has had nothing to do for a while.
type Rested struct{}

// writer is the pump behind an Outbox.
type writer struct{ batches chan []wire.Frame }

// write never blocks, as long as one batch is under way at a time.
func (w *writer) write(batch []wire.Frame) { w.batches <- batch }

// end lets the pump return.
func (w *writer) end() { close(w.batches) }

func startWriter(ctx actor.Context, w io.Writer, l layout) *writer {
	pump := &writer{batches: make(chan []wire.Frame, 1)}
	self, sys := ctx.Self(), actors.SystemOf(ctx)
	actors.Go(ctx, "writer", func(ctx context.Context) error {
		rest := time.NewTimer(restAfter)
		defer rest.Stop()
		for {
			select {
			case batch, open := <-pump.batches:
				if !open {
					return nil
				}
				m, err := l.writeAll(ctx, w, batch)
				if errors.Is(err, context.Canceled) {
					return nil
				}
				if err != nil {
					sys.Send(self, &Lost{Pump: "writer", Err: err})
					return nil
				}
				sys.Send(self, m)
				rest.Reset(restAfter)
			case <-rest.C:
				sys.Send(self, &Rested{}) // the owner may have given something to do meanwhile, so it is the one to decide
			case <-ctx.Done():
				return nil
			}
		}
	})
	return pump
}

// Closer closes a link in a pump of its own, because closing may take a while and ends the other pumps. It does so when
// Close is called or its owner stops.
type Closer struct{ pump *actors.Pump }

// NewCloser makes the pump for c. It is no goroutine before it has something to do.
func NewCloser(ctx actor.Context, c io.Closer) *Closer {
	return &Closer{actors.Later(ctx, "link", func(context.Context) error {
		_ = c.Close() // the link is given up, whatever it says
		return nil
	})}
}

// Close starts closing; it may be called again.
func (k *Closer) Close() { k.pump.Start() }
