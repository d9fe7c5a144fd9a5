package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports"
	"spindle/transports/wire"
)

// relay is a program on the far side as a transports.Link. It is a pump: the one place where blocking code (a dial,
// another interpreter's pumps) meets an interpreter's mailbox, which is why it may hold a lock. The interpreter only ever
// adds to it without blocking; credit bounds what it can hold.
type relay struct {
	system *actors.System
	interp *actor.PID
	mode   transports.Mode
	packs  bool // what goes through here crosses a network

	mu     sync.Mutex
	wake   *sync.Cond
	id     uint32
	in     [3]inflow
	credit [3]int // what may still be sent, by channel
	exit   *transports.Exit
	err    error
	done   chan struct{} // closed with exit or err
	closed bool
	shut   bool // the program's input has ended
}

// inflow is what has come in on one channel and has not been read.
type inflow struct {
	data   []byte
	window int // what the far side may still send
	taken  int // read since credit was last returned
	eof    bool
}

var (
	_ transports.Splicer = (*relay)(nil)
	_ transports.Packer  = (*relay)(nil)
)

func newRelay(system *actors.System, interp *actor.PID, mode transports.Mode) *relay {
	r := &relay{system: system, interp: interp, mode: mode, done: make(chan struct{})}
	r.wake = sync.NewCond(&r.mu)
	for i := range r.in {
		r.in[i].window = wire.WindowInitial
		r.credit[i] = wire.WindowInitial
	}
	return r
}

// Packs says whether the agent in front is beyond a network: what an agent behind it says is packed by itself then, and
// crosses that network as it is.
func (r *relay) Packs() bool { return r.packs }

// Read reads the program's output.
func (r *relay) Read(b []byte) (int, error) { return r.read(1, b) }

// Write writes the program's input; it waits for credit.
func (r *relay) Write(b []byte) (int, error) { return r.write(0, b) }

// Splice has the agent write a blob into the program's input. It takes no credit: the agent has room for the blob anyway.
func (r *relay) Splice(b wire.Blob, content []byte, form int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	if r.exit != nil || r.shut {
		return io.ErrClosedPipe
	}
	r.system.Send(r.interp, &streamSplice{id: r.id, blob: b, content: content, form: form})
	return nil
}

// CloseWrite ends the program's input. A terminal has no end that could be sent.
func (r *relay) CloseWrite() error {
	if r.mode == transports.FullTTY {
		return fmt.Errorf("end of a terminal: %w", errors.ErrUnsupported)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	if !r.shut {
		r.shut = true
		r.wake.Broadcast()
		r.system.Send(r.interp, &streamWrite{id: r.id, channel: 0, eof: true})
	}
	return nil
}

// Side is the program's stderr, or its terminal.
func (r *relay) Side() transports.Side {
	if r.mode == transports.FullTTY {
		return nil
	}
	return relaySide{r}
}

type relaySide struct{ r *relay }

func (s relaySide) Read(b []byte) (int, error) { return s.r.read(2, b) }

func (s relaySide) Write(b []byte) (int, error) {
	if s.r.mode != transports.ControlTTY {
		return 0, fmt.Errorf("write to stderr: %w", errors.ErrUnsupported)
	}
	return s.r.write(2, b)
}

// Wait waits for the program's end.
func (r *relay) Wait(ctx context.Context) (transports.Exit, error) {
	select {
	case <-r.done:
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.exit != nil {
			return *r.exit, nil
		}
		return transports.Exit{}, r.err
	case <-ctx.Done():
		return transports.Exit{}, ctx.Err()
	}
}

// Close kills the program and unblocks everyone.
func (r *relay) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	if r.exit == nil && r.err == nil {
		if r.id != 0 { // otherwise nothing has been started, and nothing will be
			r.system.Send(r.interp, &streamClose{id: r.id})
		}
		r.end(nil, io.ErrClosedPipe)
	}
	return nil
}

func (r *relay) read(ch int, b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &r.in[ch]
	for len(f.data) == 0 {
		switch {
		case r.closed:
			return 0, io.ErrClosedPipe
		case f.eof:
			return 0, io.EOF
		case r.err != nil:
			return 0, r.err
		case len(b) == 0:
			return 0, nil
		}
		r.wake.Wait()
	}
	n := copy(b, f.data)
	f.data = f.data[n:]
	if len(f.data) == 0 {
		f.data = nil
	}
	f.taken += n
	if f.taken >= wire.WindowInitial/4 && !f.eof && r.err == nil {
		r.system.Send(r.interp, &streamGrant{id: r.id, channel: ch, bytes: f.taken})
		f.window += f.taken
		f.taken = 0
	}
	return n, nil
}

func (r *relay) write(ch int, b []byte) (n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(b) > 0 {
		for r.credit[ch] == 0 && r.err == nil && r.exit == nil && !(ch == 0 && r.shut) {
			r.wake.Wait()
		}
		if r.err != nil {
			return n, r.err
		}
		if r.exit != nil || ch == 0 && r.shut {
			return n, io.ErrClosedPipe // a write that waited for credit must not go behind the end
		}
		k := min(len(b), r.credit[ch], wire.ChunkMax)
		r.credit[ch] -= k
		r.system.Send(r.interp, &streamWrite{id: r.id, channel: ch, data: append([]byte(nil), b[:k]...)})
		b, n = b[k:], n+k
	}
	return n, nil
}

// --- the interpreter's side: none of these block ---

// opened reports false when nobody waits for the program any more.
func (r *relay) opened(id uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.id = id
	return !r.closed
}

// deliver adds what came in; it reports false when the far side had no credit for it.
func (r *relay) deliver(ch int, data []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ch < 1 || ch > 2 || len(data) > r.in[ch].window {
		return false
	}
	f := &r.in[ch]
	f.window -= len(data)
	if len(f.data) == 0 {
		f.data = data
	} else {
		f.data = append(f.data, data...)
	}
	r.wake.Broadcast()
	return true
}

func (r *relay) granted(ch, n int) {
	if ch < 0 || ch > 2 || n <= 0 {
		return
	}
	r.mu.Lock()
	r.credit[ch] += n
	r.wake.Broadcast()
	r.mu.Unlock()
}

func (r *relay) finished(ch int) {
	if ch < 1 || ch > 2 {
		return
	}
	r.mu.Lock()
	r.in[ch].eof = true
	r.wake.Broadcast()
	r.mu.Unlock()
}

func (r *relay) exited(e transports.Exit) {
	r.mu.Lock()
	r.end(&e, nil)
	r.mu.Unlock()
}

func (r *relay) fail(err error) {
	r.mu.Lock()
	r.end(nil, err)
	r.mu.Unlock()
}

func (r *relay) end(e *transports.Exit, err error) {
	if r.exit != nil || r.err != nil {
		return
	}
	r.exit, r.err = e, err
	for i := range r.in {
		if e != nil {
			r.in[i].eof = true
		}
	}
	close(r.done)
	r.wake.Broadcast()
}

// agentSpawner starts programs through an interpreter's agent. It is used by pumps, never by actors.
type agentSpawner struct {
	system *actors.System
	interp *actor.PID
	packs  bool
}

// openWait bounds the hand-over to the interpreter; the start itself is bounded by the dial that asked for it.
const openWait = 10 * time.Second

// Spawn starts c on the far side. The answer does not wait for the far side: a program that cannot be started ends with exit
// code 127 and a text.
func (s *agentSpawner) Spawn(ctx context.Context, c transports.Command) (transports.Link, error) {
	r := newRelay(s.system, s.interp, c.Mode)
	r.packs = s.packs
	ctx, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	reply, err := s.system.Request(ctx, s.interp, &openStream{relay: r, command: c})
	if err != nil {
		_ = r.Close() // the interpreter may have begun already, or be about to
		return nil, err
	}
	if _, ok := reply.(*streamOpened); !ok {
		return nil, &transports.ConnectError{Class: transports.Unreachable, Text: Interrupted}
	}
	return r, nil
}
