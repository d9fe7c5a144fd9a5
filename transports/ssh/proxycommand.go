package ssh

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"spindle/transports"
	"spindle/transports/local"
)

// proxyConn is a ProxyCommand as a connection. It has no deadlines; closing it ends everything.
type proxyConn struct {
	link   transports.Link
	noise  *tailBuffer
	silent chan struct{} // closed when its stderr has ended
}

// lastWords is how long the end of a command's output waits for the end of its stderr.
const lastWords = time.Second

var _ net.Conn = (*proxyConn)(nil)

// startProxy runs an expanded ProxyCommand by way of the user's shell, as ssh does.
func startProxy(ctx context.Context, command string) (*proxyConn, error) {
	shell := os.Getenv("SHELL")
	if shell == "" {
		shell = "/bin/sh"
	}
	sp := &local.Spawner{Grace: 200 * time.Millisecond}
	link, err := sp.Spawn(ctx, transports.Command{Argv: []string{shell, "-c", "exec " + command}})
	if err != nil {
		return nil, err
	}
	p := &proxyConn{link: link, noise: &tailBuffer{}, silent: make(chan struct{})}
	go func() {
		defer close(p.silent)
		p.noise.drain(link.Side())
	}()
	return p, nil
}

func (p *proxyConn) Read(b []byte) (int, error) {
	n, err := p.link.Read(b)
	p.listen(err)
	return n, err
}

func (p *proxyConn) Write(b []byte) (int, error) {
	n, err := p.link.Write(b)
	p.listen(err)
	return n, err
}

// listen waits, behind an error, for what the command has to say about it.
func (p *proxyConn) listen(err error) {
	if err == nil {
		return
	}
	patience := time.NewTimer(lastWords)
	defer patience.Stop()
	select {
	case <-p.silent:
	case <-patience.C:
	}
}

// Close ends the command and all that it has started.
func (p *proxyConn) Close() error {
	err := p.link.Close()
	<-p.silent
	return err
}

// LocalAddr is a name only, as RemoteAddr.
func (p *proxyConn) LocalAddr() net.Addr { return proxyAddr{} }

// RemoteAddr is a name only: only the command knows where it leads.
func (p *proxyConn) RemoteAddr() net.Addr { return proxyAddr{} }

// SetDeadline is not supported, nor are its two halves.
func (p *proxyConn) SetDeadline(time.Time) error { return errors.ErrUnsupported }

// SetReadDeadline is not supported.
func (p *proxyConn) SetReadDeadline(time.Time) error { return errors.ErrUnsupported }

// SetWriteDeadline is not supported.
func (p *proxyConn) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

type proxyAddr struct{}

func (proxyAddr) Network() string { return "proxycommand" }
func (proxyAddr) String() string  { return "proxycommand" }

// tailBuffer keeps the last bytes written to it.
type tailBuffer struct {
	mu   sync.Mutex
	tail []byte
}

const tailMax = 2 << 10

func (b *tailBuffer) drain(r io.Reader) {
	buf := make([]byte, tailMax)
	for {
		n, err := r.Read(buf)
		b.add(buf[:n])
		if err != nil {
			return
		}
	}
}

func (b *tailBuffer) add(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tail = append(b.tail, p...)
	if over := len(b.tail) - tailMax; over > 0 {
		b.tail = append(b.tail[:0], b.tail[over:]...)
	}
}

func (b *tailBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(bytes.TrimSpace(b.tail))
}

// dialTCP connects to a target that nothing stands in front of.
func dialTCP(ctx context.Context, t *target) (net.Conn, error) {
	d := net.Dialer{KeepAlive: 0}
	if t.attempts > 1 {
		d.Timeout = t.connectTimeout // each has as much; the only one has what there is
	}
	if t.bind != nil {
		d.LocalAddr = &net.TCPAddr{IP: t.bind}
	}
	var err error
	for try := range t.attempts {
		if try > 0 {
			pause := time.NewTimer(betweenTries)
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
				return nil, context.Cause(ctx)
			}
		}
		var conn net.Conn
		if conn, err = d.DialContext(ctx, t.network, t.address()); err == nil {
			return conn, nil
		}
		if dns := (*net.DNSError)(nil); errors.As(err, &dns) || ctx.Err() != nil {
			break
		}
	}
	return nil, err
}
