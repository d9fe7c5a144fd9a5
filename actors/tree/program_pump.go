package tree

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports"
	"spindle/transports/wire"
)

// pieceSize is that of one read of a program's output; linger is how long the streams of a program that has ended may be
// silent before they are given up: a daemon that it started may hold them.
const (
	pieceSize = 32 << 10
	linger    = time.Second
)

// program is the pump of one command: it feeds the program, and keeps what that writes until it has ended, or passes it on
// against credit as soon as it is too much for one answer.
type program struct {
	self *actor.PID
	sys  *actors.System
	programOptions

	mu      sync.Mutex
	wake    *sync.Cond
	queue   [][]byte // input that came later
	ended   bool     // no more input comes
	out     [3][]byte
	credit  [3]int
	read    int64 // output, so far
	waiting int   // readers that wait for credit
	over    bool  // nobody waits for anything any more
}

type programOptions struct {
	tty   bool // errors join the output, and lines end as on a terminal
	quiet bool // nobody wants to see the output
	input []byte
	more  bool // input follows
}

// programRead says that the program was given so many bytes that had come as *Input.
type programRead struct{ bytes int }

// programOutput is output that is sent ahead.
type programOutput struct {
	channel int
	data    []byte
}

// programEnded is the pump's last word. start is why there was no program at all.
type programEnded struct {
	exit       transports.Exit
	err, start error
}

func startProgram(ctx actor.Context, way transports.Shell, l transports.Line, o programOptions) *program {
	p := &program{self: ctx.Self(), sys: actors.SystemOf(ctx), programOptions: o, ended: !o.more}
	p.wake = sync.NewCond(&p.mu)
	p.credit = [3]int{0, wire.WindowInitial, wire.WindowInitial}
	actors.Go(ctx, "program", func(ctx context.Context) error {
		defer p.stop()
		link, err := way.Run(ctx, l)
		if err != nil {
			if ctx.Err() == nil {
				p.sys.Send(p.self, &programEnded{start: err})
			}
			return nil
		}
		defer link.Close()
		defer context.AfterFunc(ctx, func() {
			p.stop()
			_ = link.Close()
		})()
		if m := p.relay(ctx, link); ctx.Err() == nil {
			p.sys.Send(p.self, m)
		}
		return nil
	})
	return p
}

// relay moves bytes until the program has ended.
func (p *program) relay(ctx context.Context, link transports.Link) *programEnded {
	var readers, writer sync.WaitGroup
	writer.Go(func() { p.write(link) })
	readers.Go(func() { p.collect(link, wire.ChannelOut) })
	if side := link.Side(); side != nil {
		channel := wire.ChannelErr
		if p.tty {
			channel = wire.ChannelOut
		}
		readers.Go(func() { p.collect(side, channel) })
	}
	all := make(chan struct{})
	go func() {
		readers.Wait()
		close(all)
	}()
	m := &programEnded{}
	m.exit, m.err = link.Wait(ctx)
	p.await(ctx, all)
	p.stop()
	_ = link.Close()
	<-all
	writer.Wait()
	return m
}

// await waits until all output was read, or none has come for a while.
func (p *program) await(ctx context.Context, all <-chan struct{}) {
	tick := time.NewTicker(linger)
	defer tick.Stop()
	for before := int64(-1); ; {
		select {
		case <-all:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.mu.Lock()
		read, waiting := p.read, p.waiting
		p.mu.Unlock()
		if read == before && waiting == 0 {
			return
		}
		before = read
	}
}

// write gives the program its input. What it does not want to read is dropped.
func (p *program) write(link transports.Link) {
	_, err := link.Write(p.input)
	p.input = nil
	for {
		data, end := p.next()
		switch {
		case end:
			_ = link.CloseWrite() // terminals have no end, and were told how much comes
			return
		case data == nil:
			return
		case err == nil:
			_, err = link.Write(data)
		}
		p.sys.Send(p.self, &programRead{bytes: len(data)})
	}
}

// next waits for input. There is none any more behind the end, and when the program is over.
func (p *program) next() (data []byte, end bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) == 0 && !p.ended && !p.over {
		p.wake.Wait()
	}
	switch {
	case p.over:
		return nil, false
	case len(p.queue) == 0:
		return nil, true
	}
	data, p.queue = p.queue[0], p.queue[1:]
	return data, false
}

// collect reads one stream to its end.
func (p *program) collect(r io.Reader, channel int) {
	buf := make([]byte, pieceSize)
	for {
		n, err := r.Read(buf)
		data := buf[:n]
		if p.tty {
			data = bytes.ReplaceAll(data, []byte{'\n'}, []byte("\r\n"))
		}
		p.keep(channel, data, n)
		if err != nil {
			return // why a link ended is known by Wait
		}
	}
}

// keep adds output. As soon as there is more than fits into an answer, it sends what it has of that channel, against credit.
func (p *program) keep(channel int, data []byte, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read += int64(n)
	if p.quiet || p.over {
		return
	}
	p.out[channel] = append(p.out[channel], data...)
	for len(p.out[1])+len(p.out[2]) > wire.InlineMax && len(p.out[channel]) > 0 && !p.over {
		if p.credit[channel] == 0 {
			p.waiting++
			p.wake.Wait()
			p.waiting--
			continue
		}
		piece := p.out[channel][:min(len(p.out[channel]), p.credit[channel], wire.ChunkMax)]
		p.credit[channel] -= len(piece)
		p.out[channel] = p.out[channel][len(piece):]
		p.sys.Send(p.self, &programOutput{channel: channel, data: bytes.Clone(piece)})
	}
}

// stop lets go of everybody who waits here.
func (p *program) stop() {
	p.mu.Lock()
	p.over = true
	p.wake.Broadcast()
	p.mu.Unlock()
}

// --- the actor's side: none of these block ---

// feed adds input; its sender keeps to its credit.
func (p *program) feed(data []byte, end bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(data) > 0 && !p.ended {
		p.queue = append(p.queue, data)
	}
	p.ended = p.ended || end
	p.wake.Broadcast()
}

func (p *program) grant(channel, n int) {
	if channel < 1 || channel > 2 || n <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.credit[channel] += n
	p.wake.Broadcast()
}

// taken is what was written and not sent ahead, no more than most.
func (p *program) taken(most int) (out, errs []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out, errs = p.out[1], p.out[2]
	p.out = [3][]byte{}
	if most < wire.InlineMax {
		out, errs = out[:min(len(out), most)], errs[:min(len(errs), most)]
	}
	return bytes.Clone(out), errs
}
