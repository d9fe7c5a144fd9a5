package meter

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// dialTimeout bounds the connection to the address behind the meter.
const dialTimeout = 10 * time.Second

// bufferSize is what one read takes at most.
const bufferSize = 64 << 10

// Counts is what a Meter has seen.
type Counts struct {
	Connections int   `json:"connections"`
	Up          int64 `json:"bytes_up"`
	Down        int64 `json:"bytes_down"`
	RoundTrips  int64 `json:"round_trips"`
}

// Sub returns what was added to earlier to make c.
func (c Counts) Sub(earlier Counts) Counts {
	return Counts{
		Connections: c.Connections - earlier.Connections,
		Up:          c.Up - earlier.Up,
		Down:        c.Down - earlier.Down,
		RoundTrips:  c.RoundTrips - earlier.RoundTrips,
	}
}

// Options says how a Meter treats what passes.
type Options struct {
	// Delay holds every byte back this long, in each direction.
	Delay time.Duration
}

// Meter is a counting TCP proxy. Listen makes one.
type Meter struct {
	target   string
	options  Options
	listener net.Listener
	done     chan struct{}
	group    sync.WaitGroup

	mu     sync.Mutex
	counts Counts
	open   map[net.Conn]struct{}
	closed bool
}

// Listen starts a Meter on a free loopback port in front of the target address.
func Listen(target string, options Options) (*Meter, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the meter: %w", err)
	}
	m := &Meter{
		target:   target,
		options:  options,
		listener: listener,
		done:     make(chan struct{}),
		open:     map[net.Conn]struct{}{},
	}
	m.group.Go(m.accept)
	return m, nil
}

// Addr is where clients connect to.
func (m *Meter) Addr() *net.TCPAddr { return m.listener.Addr().(*net.TCPAddr) }

// Counts returns what was counted so far.
func (m *Meter) Counts() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts
}

// Close ends every connection and waits for the last goroutine. A second Close does nothing.
func (m *Meter) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed = true
	close(m.done)
	err := m.listener.Close()
	for conn := range m.open {
		conn.Close()
	}
	m.mu.Unlock()
	m.group.Wait()
	return err
}

func (m *Meter) accept() {
	for {
		client, err := m.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if m.keep(client) {
			m.group.Go(func() { m.serve(client) })
		}
	}
}

// keep remembers a connection for Close. It refuses, and closes, one that comes behind Close.
func (m *Meter) keep(conn net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		conn.Close()
		return false
	}
	m.open[conn] = struct{}{}
	return true
}

func (m *Meter) forget(conn net.Conn) {
	conn.Close()
	m.mu.Lock()
	delete(m.open, conn)
	m.mu.Unlock()
}

func (m *Meter) serve(client net.Conn) {
	defer m.forget(client)
	server, err := net.DialTimeout("tcp", m.target, dialTimeout)
	if err != nil || !m.keep(server) {
		return
	}
	defer m.forget(server)
	m.mu.Lock()
	m.counts.Connections++
	m.mu.Unlock()

	t := &turns{meter: m}
	var both sync.WaitGroup
	both.Go(func() { m.pass(server, client, t.up) })
	both.Go(func() { m.pass(client, server, t.down) })
	both.Wait()
}

// pass copies one direction until it ends, then closes the far end's input only: the other direction may have more to say.
func (m *Meter) pass(to, from net.Conn, count func(int)) {
	type chunk struct {
		data []byte
		due  time.Time
	}
	// A queue deep enough for a fast line keeps the delay from becoming a limit of bandwidth.
	line := make(chan chunk, 4096)
	var writer sync.WaitGroup
	writer.Go(func() {
		defer closeWrite(to)
		for c := range line {
			if wait := time.Until(c.due); wait > 0 {
				select {
				case <-time.After(wait):
				case <-m.done:
				}
			}
			if _, err := to.Write(c.data); err != nil {
				// Nobody listens any more: stop the reader too, then let it drain into nothing.
				from.Close()
				for range line {
				}
				return
			}
		}
	})
	for {
		data := make([]byte, bufferSize)
		n, err := from.Read(data)
		if n > 0 {
			count(n)
			line <- chunk{data: data[:n], due: time.Now().Add(m.options.Delay)}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				// A reset is no orderly end: pass it on as one.
				to.Close()
			}
			break
		}
	}
	close(line)
	writer.Wait()
}

func closeWrite(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
		return
	}
	conn.Close()
}

// turns watches one connection turn around.
type turns struct {
	meter   *Meter
	pending bool // bytes went up and nothing has come down since
}

func (t *turns) up(n int) {
	t.meter.mu.Lock()
	defer t.meter.mu.Unlock()
	t.meter.counts.Up += int64(n)
	t.pending = true
}

func (t *turns) down(n int) {
	t.meter.mu.Lock()
	defer t.meter.mu.Unlock()
	t.meter.counts.Down += int64(n)
	if t.pending {
		t.meter.counts.RoundTrips++
		t.pending = false
	}
}
