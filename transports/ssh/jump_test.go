package ssh

import (
	"bytes"
	"context"
	"crypto/rand"
	"net"
	"strconv"
	"testing"
	"time"

	"spindle/tests/proxy"
	"spindle/transports"
	"spindle/transports/local"
	"spindle/transports/wire"
)

// behindProxy is a server whose network can be made silent.
func behindProxy(t *testing.T, s *server) (*proxy.Proxy, *server) {
	t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(nextHost(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	p := proxy.New(proxy.Options{Listener: ln, Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(s.host, s.port))
	}})
	t.Cleanup(p.Close)
	return p, &server{host: p.Addr().IP.String(), port: strconv.Itoa(p.Addr().Port), hostKey: s.hostKey}
}

// listener is a server that says nothing, and calls heard once it has been sent something.
func listener(t *testing.T, heard func()) *server {
	t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(nextHost(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = c.Read(make([]byte, 1))
			heard()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	host, port, _ := net.SplitHostPort(ln.Addr().String())
	return &server{host: host, port: port, hostKey: newKey()}
}

// soon fails if fn has not returned before a silent network would have ended by itself.
func soon(t *testing.T, p *proxy.Proxy, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); fn() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		p.Close() // nothing would end
		t.Fatalf("%s takes longer than it may", what)
	}
}

// jumping writes the configuration of jump hosts.
func (d *desk) jumping(to *server, jumps ...*server) {
	text, way, known := "", "", []string{to.known()}
	for i, s := range jumps {
		name := "jump" + strconv.Itoa(i)
		way += "," + name
		text += "Host " + name + "\n  HostName " + s.host + "\n  Port " + s.port + "\n  User " + d.lab.user + "\n  IdentityFile " + d.identity() + "\n"
		known = append(known, s.known())
	}
	d.knows(known...)
	d.config(text + "Host 127.*\n  ProxyJump " + way[1:] + "\n")
}

// What a jump host that has gone silent can hold up is bounded by the dial's time.
func TestSilentJumpEndsADial(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	first, second := l.startServer(t), l.startServer(t)
	for name, more := range map[string][]*server{"one": nil, "two": {second}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, near := behindProxy(t, first)
			last := listener(t, func() { p.Stall(true) })
			d := newDesk(t, l)
			d.jumping(last, append([]*server{near}, more...)...)
			soon(t, p, "the dial", func() {
				_, err := d.dial(Native, d.kwargs(last, kw{"identity_file": d.identity(), "connect_timeout": 3}))
				wantText(t, err, transports.TextTimeout)
			})
		})
	}
}

// A link that is to end does so, whatever has become of the way.
func TestSilentJumpEndsWithTheLink(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	first, second, last := l.startServer(t), l.startServer(t), l.startServer(t)
	for name, more := range map[string][]*server{"one": nil, "two": {second}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, near := behindProxy(t, first)
			d := newDesk(t, l)
			d.jumping(last, append([]*server{near}, more...)...)
			b := d.mustDial(Native, d.kwargs(last, kw{"identity_file": d.identity()}))
			p.Stall(true)
			soon(t, p, "Close", func() { _ = b.Link.Close() })
			p.Heal()
		})
	}
}

// A connection that others use is left alone by what goes through it, when that ends and when it comes to nothing.
func TestSilentTunnelIsNobodysEnd(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	first, last := l.startServer(t), l.startServer(t)
	p, near := behindProxy(t, first)
	quiet := listener(t, func() { p.Stall(true) })
	d := newDesk(t, l)
	d.knows(near.known(), last.known(), quiet.known())
	key := kw{"identity_file": d.identity()}
	through := d.mustBare(Native, d.kwargs(near, key), &local.Spawner{})
	still := func() {
		t.Helper()
		p.Heal()
		if got := runLine(t, through, transports.Line{Text: "echo still"}, ""); got != (outcome{out: "still\n"}) {
			t.Errorf("%+v", got)
		}
	}
	b, err := d.dialer(d.kwargs(last, key)).Dial(t.Context(), through, echoProgram())
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, b)
	p.Stall(true)
	soon(t, p, "Close", func() { _ = b.Link.Close() })
	still()
	soon(t, p, "the dial", func() {
		_, err := d.dialer(d.kwargs(quiet, kw{"identity_file": d.identity(), "connect_timeout": 3})).Dial(t.Context(), through, echoProgram())
		wantText(t, err, transports.TextTimeout)
	})
	still()
}

// Much goes through a tunnel, in both directions, as it is.
func TestTunnelCarriesBulk(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	first, last := l.startServer(t), l.startServer(t)
	d := newDesk(t, l)
	d.jumping(last, first)
	b := d.mustDial(Native, d.kwargs(last, kw{"identity_file": d.identity()}))
	body := make([]byte, wire.ChunkMax)
	_, _ = rand.Read(body)
	frame, err := wire.Append(nil, wire.Frame{ID: 7, Header: wire.Data{Channel: 1}, Body: body})
	if err != nil {
		t.Fatal(err)
	}
	const times = 32
	go func() {
		for range times {
			_, _ = b.Link.Write(frame) // the other end knows
		}
	}()
	for range times {
		if f, err := b.Frames.Next(); err != nil || !bytes.Equal(f.Body, body) {
			t.Fatalf("%d bytes, %v", len(f.Body), err)
		}
	}
}
