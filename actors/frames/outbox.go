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
	start func() *writer
	pump  *writer // nil while it rests
	given int64
	busy  bool
	shut  bool
}

// NewOutbox makes the outbox for w, whose writer pump belongs to the calling actor. That runs while there is something to write, and a
// little longer: idle links have none.
func NewOutbox(ctx actor.Context, w io.Writer) *Outbox { return newOutbox(ctx, w, layout{}) }

// NewPackingOutbox is NewOutbox for a link on which frames are packed: all but BLOB and DATA go through one stream.
func NewPackingOutbox(ctx actor.Context, w io.Writer) *Outbox {
	return newOutbox(ctx, w, layout{packer: new(wire.Packer)})
}

func newOutbox(ctx actor.Context, w io.Writer, l layout) *Outbox {
	return &Outbox{start: func() *writer { return startWriter(ctx, w, l) }}
}

// Push queues f and starts writing when the pump is idle. The body belongs to the outbox from then on.
func (o *Outbox) Push(f wire.Frame) {
	if o.shut {
		return
	}
	size := len(f.Body) + 64
	switch f.Header.(type) {
	case wire.Data, wire.Part, wire.Packed: // what is packed already was one of these
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

// OnRested must be called for every *Rested that the owner receives. It lets the pump go, if there is still nothing to do.
func (o *Outbox) OnRested() {
	if !o.busy && !o.shut && o.pump != nil {
		o.pump.end()
		o.pump = nil
	}
}

// Idle reports whether everything that was pushed has been written.
func (o *Outbox) Idle() bool { return !o.busy && o.lanes.Len() == 0 }

// Given is how many bytes of frames, before they are packed, the pump was given to write: what is queued is not among them.
func (o *Outbox) Given() int64 { return o.given }

// Close ends the pump once the batch under way is written; what is still queued is dropped.
func (o *Outbox) Close() {
	if !o.shut {
		o.shut = true
		if o.pump != nil {
			o.pump.end()
		}
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
	for _, f := range batch {
		o.given += int64(len(f.Body))
	}
	if o.pump == nil {
		o.pump = o.start()
	}
	o.pump.write(batch)
}

const (
	// packLeast is what is worth packing: a PING is not.
	packLeast = 64
	// packMost bounds what is gathered for one PACKED frame, so that the far side can begin.
	packMost = 64 << 10
)

// layout says how frames become bytes. It belongs to the writer pump.
type layout struct{ packer *wire.Packer }

// encode lays frames out for writing: heads and small bodies share buffers, large bodies are written as they are. With a
// packer, what stands between BLOB and DATA is packed.
func (l layout) encode(batch []wire.Frame) (parts [][]byte, err error) {
	var cur, run []byte
	pack := func() error {
		if len(run) < packLeast || len(run) > wire.MaxPacked {
			cur = append(cur, run...)
		} else if cur, err = l.packer.Append(cur, run); err != nil {
			return err
		}
		run = run[:0]
		return nil
	}
	for _, f := range batch {
		if l.packer != nil && packs(f) {
			if len(run)+len(f.Body) > packMost {
				if err := pack(); err != nil {
					return nil, err
				}
			}
			if run, err = wire.Append(run, f); err != nil {
				return nil, err
			}
			continue
		}
		if err := pack(); err != nil {
			return nil, err
		}
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
	if err := pack(); err != nil {
		return nil, err
	}
	if len(cur) > 0 {
		parts = append(parts, cur)
	}
	return parts, nil
}

// packs says whether a frame goes through the stream of its link.
func packs(f wire.Frame) bool {
	switch f.Header.(type) {
	case wire.Blob, wire.Data, wire.Part, wire.Packed:
		return false
	}
	return true
}

// writeAll writes a batch. Blobs are not written if w is a Splicer, which may have them beyond the network already.
func (l layout) writeAll(ctx context.Context, w io.Writer, batch []wire.Frame) (*Wrote, error) {
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
		parts, err := l.encode(batch[:n])
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
