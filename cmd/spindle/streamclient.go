package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"spindle/transports/wire"
)

// connectLimit bounds the way to a context: hops have their own, shorter ones.
const connectLimit = 5 * time.Minute

// client is a conversation with a multiplexer, for commands that move streams.
type client struct {
	conn   net.Conn
	frames *wire.Reader
	stop   func() bool
}

// openClient greets the multiplexer on a socket. The conversation ends with ctx.
func openClient(ctx context.Context, socket string) (*client, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", socket, errNobody)
	}
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, frames: wire.NewReader(conn), stop: context.AfterFunc(ctx, func() { conn.Close() })}
	hello := wire.Frame{Header: wire.Hello{Proto: wire.Proto, Role: "cli", PID: os.Getpid(), Version: version()}, Body: []byte("{}")}
	if err := c.send(hello); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *client) close() {
	c.stop()
	c.conn.Close()
}

func (c *client) send(f wire.Frame) error {
	b, err := wire.Append(nil, f)
	if err == nil {
		_, err = c.conn.Write(b)
	}
	return err
}

// connect returns the name of the context that a ticket leads to.
func (c *client) connect(ticket string) (string, error) {
	meta, err := json.Marshal(map[string]any{"ticket": ticket, "bare": true, "boot": true})
	if err != nil {
		return "", err
	}
	if err := c.conn.SetDeadline(time.Now().Add(connectLimit)); err != nil {
		return "", err
	}
	if err := c.send(wire.Frame{ID: 1, Header: wire.Call{Op: "connect", MetaLen: len(meta)}, Body: meta}); err != nil {
		return "", err
	}
	for {
		f, err := c.frames.Next()
		if err != nil {
			return "", fmt.Errorf("read the multiplexer's answer: %w", err)
		}
		switch h := f.Header.(type) {
		case wire.Ready:
			if h.Proto != wire.Proto {
				return "", fmt.Errorf("the multiplexer speaks protocol %d, and this program %d", h.Proto, wire.Proto)
			}
		case wire.Result:
			if h.Status != wire.StatusOK {
				return "", errors.New(h.Text)
			}
			var reply struct {
				Context string `json:"context"`
			}
			if err := json.Unmarshal(f.Body[:h.OutLen], &reply); err != nil {
				return "", err
			}
			return reply.Context, c.conn.SetDeadline(time.Time{})
		case wire.Bye:
			return "", fmt.Errorf("the multiplexer hung up: %s", h.Reason)
		}
	}
}

// incoming is a frame of the multiplexer's, or why no more come.
type incoming struct {
	frame wire.Frame
	err   error
}

// stream runs a command in a context, with its streams as they come. It returns the exit status, 128 and the signal for what was killed.
func (c *client) stream(ctx context.Context, name string, meta []byte, in io.Reader, out, errs io.Writer) (int, error) {
	const id = 2
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	head := wire.Call{Op: "exec", Context: name, MetaLen: len(meta), Flags: wire.FlagMore | wire.FlagStream}
	if err := c.send(wire.Frame{ID: id, Header: head, Body: meta}); err != nil {
		return 0, err
	}
	frames := make(chan incoming)
	go func() {
		for {
			f, err := c.frames.Next()
			select {
			case frames <- incoming{f, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	input := readInput(ctx, in)
	credit, rest := wire.WindowInitial, []byte(nil)
	for {
		var more <-chan []byte // as long as nothing is left to send
		if len(rest) == 0 {
			more = input
		}
		select {
		case data, open := <-more:
			if !open {
				input = nil
				if err := c.send(wire.Frame{ID: id, Header: wire.EOF{Channel: 0}}); err != nil {
					return 0, err
				}
				continue
			}
			rest = data
		case got := <-frames:
			if got.err != nil {
				return 0, fmt.Errorf("the multiplexer is gone: %w", got.err)
			}
			switch h := got.frame.Header.(type) {
			case wire.Credit:
				credit += h.Bytes
			case wire.Data:
				if err := c.show(id, h.Channel, got.frame.Body, out, errs); err != nil {
					return 0, err
				}
			case wire.Result:
				return finish(h, got.frame.Body, out, errs)
			case wire.Bye:
				return 0, fmt.Errorf("the multiplexer hung up: %s", h.Reason)
			}
		}
		for len(rest) > 0 && credit > 0 {
			n := min(len(rest), credit, wire.ChunkMax)
			if err := c.send(wire.Frame{ID: id, Header: wire.Data{Channel: 0}, Body: rest[:n]}); err != nil {
				return 0, err
			}
			rest, credit = rest[n:], credit-n
		}
	}
}

// show passes output on and gives the credit for it back.
func (c *client) show(id uint32, channel int, data []byte, out, errs io.Writer) error {
	to := out
	if channel == 2 {
		to = errs
	}
	if err := write(to, data); err != nil {
		return err
	}
	return c.send(wire.Frame{ID: id, Header: wire.Credit{Channel: channel, Bytes: len(data)}})
}

// write passes output on. Where nobody reads it any more, it is dropped, and the command goes on.
func write(to io.Writer, data []byte) error {
	if _, err := to.Write(data); err != nil && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	return nil
}

// finish passes on what rides in the result.
func finish(h wire.Result, body []byte, out, errs io.Writer) (int, error) {
	if h.Status != wire.StatusOK {
		return 0, errors.New(h.Text)
	}
	if err := errors.Join(write(out, body[:h.OutLen]), write(errs, body[h.OutLen:h.OutLen+h.ErrLen])); err != nil {
		return 0, err
	}
	if h.RC < 0 {
		return 128 - h.RC, nil
	}
	return h.RC, nil
}

// readInput reads in the background: a read of a terminal or pipe cannot be given up, so it may outlive the call, and ends with the program.
func readInput(ctx context.Context, in io.Reader) <-chan []byte {
	input := make(chan []byte)
	go func() {
		defer close(input)
		for {
			buf := make([]byte, 64<<10)
			n, err := in.Read(buf)
			if n > 0 {
				select {
				case input <- buf[:n]:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return input
}
