package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// chunk is what is read, delayed and written at once; queue is how many of them one direction holds.
const (
	chunk = 32 << 10
	queue = 256
)

// Options describe a proxy.
type Options struct {
	Listener  net.Listener                                // where the client connects; the proxy closes it
	Dial      func(ctx context.Context) (net.Conn, error) // opens the connection to the server
	Delay     time.Duration                               // one way
	Bandwidth int                                         // bytes a second in each direction; 0 is unlimited
	Inspect   func(d Direction, offset int64, b []byte)   // may change the bytes of one chunk in place; offset counts per connection
}

// Direction says which way bytes go.
type Direction int

// The two directions of a connection.
const (
	Up   Direction = iota // from the client to the server
	Down                  // from the server to the client
)

// String names the direction.
func (d Direction) String() string { return [...]string{"up", "down"}[d] }

// Counters is what has passed since the proxy began, or since Reset.
type Counters struct {
	Connections int64
	Up, Down    int64 // bytes
	Flights     int64 // see the package's comment
}

// Proxy is a running proxy.
type Proxy struct {
	o      Options
	ctx    context.Context
	stop   context.CancelFunc
	wg     sync.WaitGroup
	delay  atomic.Int64
	garble [2]atomic.Int64 // bytes of each direction that still pass unharmed, plus one; 0 is off
	end    [2]atomic.Int64 // bytes of each direction after which the connection ends, plus one; 0 is off

	connections, up, down, flights atomic.Int64

	mu    sync.Mutex
	open  map[*link]struct{}
	stall chan struct{} // closed when bytes may pass
}

// link is one proxied connection.
type link struct {
	client net.Conn
	depth  [2]atomic.Int64 // by direction: the highest flight that has been delivered
	sent   atomic.Int64    // the client's latest flight

	mu     sync.Mutex
	server net.Conn // nil until it is dialled
	closed bool
}

func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	_ = l.client.Close()
	if l.server != nil {
		_ = l.server.Close()
	}
}

// join adds the server's end. A link that was closed while it was dialled closes that as well, and says so.
func (l *link) join(server net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server = server
	if l.closed {
		_ = server.Close()
	}
	return !l.closed
}

// New starts a proxy.
func New(o Options) *Proxy {
	ctx, stop := context.WithCancel(context.Background())
	p := &Proxy{o: o, ctx: ctx, stop: stop, open: map[*link]struct{}{}, stall: make(chan struct{})}
	close(p.stall)
	p.delay.Store(int64(o.Delay))
	p.wg.Add(1)
	go p.accept()
	return p
}

// Addr is where the client has to connect.
func (p *Proxy) Addr() *net.TCPAddr {
	a, _ := p.o.Listener.Addr().(*net.TCPAddr)
	return a
}

// Close ends the proxy and every connection through it, and waits until nothing of it runs.
func (p *Proxy) Close() {
	p.stop()
	_ = p.o.Listener.Close()
	p.Cut()
	p.wg.Wait()
}

// Counters returns the counts so far.
func (p *Proxy) Counters() Counters {
	return Counters{p.connections.Load(), p.up.Load(), p.down.Load(), p.flights.Load()}
}

// Reset sets all counters back to zero.
func (p *Proxy) Reset() {
	for _, c := range []*atomic.Int64{&p.connections, &p.up, &p.down, &p.flights} {
		c.Store(0)
	}
}

// SetDelay changes the one-way latency of what is sent from now on.
func (p *Proxy) SetDelay(d time.Duration) { p.delay.Store(int64(d)) }

// Cut ends every open connection at once. New ones are accepted.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.open {
		l.close()
	}
}

// Stall makes the network silent: connections stay open and nothing passes, until it is called with false.
func (p *Proxy) Stall(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.stall:
		if on {
			p.stall = make(chan struct{})
		}
	default:
		if !on {
			close(p.stall)
		}
	}
}

// Garble inverts every byte of a direction after so many more have passed unharmed on a connection.
func (p *Proxy) Garble(d Direction, after int64) { p.garble[d].Store(after + 1) }

// Truncate ends each connection when so many bytes have passed in a direction since it was opened.
func (p *Proxy) Truncate(d Direction, after int64) { p.end[d].Store(after + 1) }

// Heal ends garbling, truncation and silence.
func (p *Proxy) Heal() {
	for d := range 2 {
		p.garble[d].Store(0)
		p.end[d].Store(0)
	}
	p.Stall(false)
}

func (p *Proxy) accept() {
	defer p.wg.Done()
	for {
		c, err := p.o.Listener.Accept()
		if err != nil {
			return
		}
		l := &link{client: c}
		l.sent.Store(1) // needs no answer before it
		p.mu.Lock()
		p.open[l] = struct{}{}
		p.mu.Unlock()
		p.wg.Add(1)
		go p.serve(l)
	}
}

// serve carries one connection to its end.
func (p *Proxy) serve(l *link) {
	defer p.wg.Done()
	defer func() {
		l.close()
		p.mu.Lock()
		delete(p.open, l)
		p.mu.Unlock()
	}()
	p.connections.Add(1)
	p.flights.Add(1) // the handshake of TCP itself
	// One round trip before anything can be sent.
	if !p.sleep(2 * time.Duration(p.delay.Load())) {
		return
	}
	server, err := p.o.Dial(p.ctx)
	if err != nil || !l.join(server) || p.ctx.Err() != nil { // Close cancels first, and may not have seen this link
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.carry(l, Up, l.client, server) })
	both.Go(func() { p.carry(l, Down, server, l.client) })
	both.Wait()
}

// sleep waits, and says whether the proxy still runs.
func (p *Proxy) sleep(d time.Duration) bool {
	if d <= 0 {
		return p.ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}

// parcel is a chunk on its way.
type parcel struct {
	due    time.Time
	flight int64  // what it belongs to, or answers
	data   []byte // nil at the end of the stream
}

// carry moves one direction of a connection: this goroutine reads, another writes what is due.
func (p *Proxy) carry(l *link, d Direction, from, to net.Conn) {
	parcels := make(chan parcel, queue)
	var writer sync.WaitGroup
	writer.Go(func() { p.deliver(l, d, to, parcels) })
	defer writer.Wait()
	defer close(parcels)
	var offset int64
	var sent time.Time // when the last byte has left, at the given bandwidth
	for {
		buf := make([]byte, chunk)
		n, err := from.Read(buf)
		if n > 0 {
			b, last := p.harm(d, offset, buf[:n])
			offset += int64(len(b))
			flight := p.count(l, d, len(b))
			now := time.Now()
			if sent.Before(now) {
				sent = now
			}
			if p.o.Bandwidth > 0 {
				sent = sent.Add(time.Duration(float64(len(b)) / float64(p.o.Bandwidth) * float64(time.Second)))
			}
			parcels <- parcel{sent.Add(time.Duration(p.delay.Load())), flight, b}
			if last {
				parcels <- parcel{due: time.Now().Add(time.Duration(p.delay.Load()))}
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				l.close()
			}
			parcels <- parcel{due: time.Now().Add(time.Duration(p.delay.Load()))}
			return
		}
	}
}

// harm applies the faults that are switched on to a chunk. It says whether the connection ends behind it.
func (p *Proxy) harm(d Direction, offset int64, b []byte) ([]byte, bool) {
	last := false
	if e := p.end[d].Load(); e > 0 && offset+int64(len(b)) >= e-1 {
		b, last = b[:max(0, e-1-offset)], true
	}
	if g := p.garble[d].Load(); g > 0 {
		clean := int(min(int64(len(b)), g-1))
		p.garble[d].Add(int64(-clean))
		for i := clean; i < len(b); i++ {
			b[i] = ^b[i]
		}
	}
	if p.o.Inspect != nil {
		p.o.Inspect(d, offset, b)
	}
	return b, last
}

// count books a chunk that was read, and returns the flight that it belongs to. Server data belongs to the latest flight that the server has
// received; client data to the one behind the latest that it has had an answer to.
func (p *Proxy) count(l *link, d Direction, n int) int64 {
	if d == Down {
		p.down.Add(int64(n))
		return l.depth[Up].Load()
	}
	p.up.Add(int64(n))
	if next := l.depth[Down].Load() + 1; next > l.sent.Load() {
		l.sent.Store(next)
		p.flights.Add(1)
	}
	return l.sent.Load()
}

// deliver writes what is due. After an error it only drains, so that the reader never blocks.
func (p *Proxy) deliver(l *link, d Direction, to net.Conn, parcels <-chan parcel) {
	broken := false
	for c := range parcels {
		if broken {
			continue
		}
		if !p.sleep(time.Until(c.due)) || !p.pass() {
			broken = true
			continue
		}
		if c.data == nil {
			if h, ok := to.(interface{ CloseWrite() error }); ok && p.end[d].Load() == 0 {
				_ = h.CloseWrite()
			} else {
				l.close()
			}
			continue
		}
		l.depth[d].Store(c.flight)
		if _, err := to.Write(c.data); err != nil {
			broken = true
			l.close()
		}
	}
}

// pass waits while the network is silent, and says whether the proxy still runs.
func (p *Proxy) pass() bool {
	p.mu.Lock()
	stall := p.stall
	p.mu.Unlock()
	select {
	case <-stall:
		return true
	case <-p.ctx.Done():
		return false
	}
}
