package frames

import (
	"context"
	"io"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports"
	"spindle/transports/wire"
)

// batchBytes is how much one batch carries at most: a few chunks, so that a control frame never waits behind more
// than that, and small frames still share a system call.
const batchBytes = 256 << 10

// smallBody is the largest body that is copied next to its head instead of being written on its own.
const smallBody = 16 << 10

// Wrote tells the owner of an Outbox that the batch under way has left the process.
type Wrote struct {
	// Bytes is the size of the batch, heads included. Blobs that were spliced do not count.
	Bytes int
	// Data lists the DATA frames of the batch, so that the owner can return credit for them.
	Data []Sent
}

// Sent is one DATA frame that has been written.
type Sent struct {
	ID      uint32
	Channel int
	Bytes   int
}

// Lost tells the owner that a pump ended: the peer closed, the stream failed, or it sent something that is no
// protocol. Err is io.EOF for an orderly end.
type Lost struct {
	Pump string
	Err  error
}

// Outbox queues the frames of one link. It belongs to one actor and is used from its Receive only.
type Outbox struct {
	lanes actors.Lanes[wire.Frame]
	pump  *writer
	busy  bool
	shut  bool
}

// NewOutbox starts the writer pump on w for the calling actor.
func NewOutbox(ctx actor.Context, w io.Writer) *Outbox {
	return &Outbox{pump: startWriter(ctx, w)}
}

// Push queues f and starts writing when the pump is idle. The body belongs to the outbox from then on.
func (o *Outbox) Push(f wire.Frame) {
	if o.shut {
		return
	}
	size := len(f.Body) + 64
	switch f.Header.(type) {
	case wire.Data:
		o.lanes.PushBulk(f.ID, f, size)
	case wire.Credit, wire.Cancel:
		o.lanes.PushUrgent(f.ID, f, size) // neither may wait for bulk of the same id, which may never move without them
	default:
		o.lanes.PushControl(f.ID, f, size)
	}
	o.next()
}

// OnWrote must be called for every *Wrote that the owner receives.
func (o *Outbox) OnWrote(*Wrote) {
	o.busy = false
	o.next()
}

// Idle reports whether everything that was pushed has been written.
func (o *Outbox) Idle() bool { return !o.busy && o.lanes.Len() == 0 }

// Close ends the pump once the batch under way is written; what is still queued is dropped.
func (o *Outbox) Close() {
	if !o.shut {
		o.shut = true
		o.pump.end()
	}
}

func (o *Outbox) next() {
	if o.busy || o.shut {
		return
	}
	batch := o.lanes.Pop(batchBytes)
	if len(batch) == 0 {
		return
	}
	o.busy = true
	o.pump.write(batch)
}

// encode lays frames out for writing: heads and small bodies share buffers, large bodies are written as they are.
func encode(batch []wire.Frame) (parts [][]byte, err error) {
	var cur []byte
	for _, f := range batch {
		if cur, err = wire.AppendHead(cur, f); err != nil {
			return nil, err
		}
		if len(f.Body) <= smallBody {
			cur = append(cur, f.Body...)
		} else {
			parts = append(parts, cur, f.Body)
			cur = nil
		}
	}
	if len(cur) > 0 {
		parts = append(parts, cur)
	}
	return parts, nil
}

// writeAll writes a batch. Blobs are not written if w is a Splicer, which may have them beyond the network already.
func writeAll(ctx context.Context, w io.Writer, batch []wire.Frame) (*Wrote, error) {
	m := &Wrote{}
	for _, f := range batch {
		if d, ok := f.Header.(wire.Data); ok {
			m.Data = append(m.Data, Sent{ID: f.ID, Channel: d.Channel, Bytes: len(f.Body)})
		}
	}
	s, splices := w.(transports.Splicer)
	for len(batch) > 0 {
		n := len(batch)
		if splices {
			n = leading(batch)
		}
		if n == 0 {
			f := batch[0]
			if err := s.Splice(f.Header.(wire.Blob), f.Body, wire.FormFrame); err != nil {
				return nil, err
			}
			batch = batch[1:]
			continue
		}
		parts, err := encode(batch[:n])
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			if _, err := w.Write(p); err != nil {
				return nil, err
			}
			m.Bytes += len(p)
		}
		batch = batch[n:]
	}
	return m, ctx.Err()
}

// leading is how many frames stand in front of the first blob.
func leading(batch []wire.Frame) int {
	for i, f := range batch {
		if _, blob := f.Header.(wire.Blob); blob {
			return i
		}
	}
	return len(batch)
}
