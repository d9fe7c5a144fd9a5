package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"spindle/transports/wire"
)

// treeLimit is the most that a census may take: about a hundred thousand actors.
const treeLimit = 64 << 20

// errNobody says that a socket's multiplexer is gone.
var errNobody = errors.New("nobody listens there any more: its multiplexer was killed, and the file may be removed")

// peer is what a multiplexer says of itself when it answers.
type peer struct {
	PID     int
	Version string
}

// ask makes one call without arguments on a multiplexer's socket. Everything ends by the context's deadline, which must be set.
func ask(ctx context.Context, socket, op string) (peer, []byte, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return peer{}, nil, errors.New("no deadline set")
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist) {
		return peer{}, nil, errNobody
	}
	if err != nil {
		return peer{}, nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := conn.SetDeadline(deadline); err != nil {
		return peer{}, nil, err
	}
	answerer, out, err := converse(conn, op, time.Until(deadline))
	if err != nil && (ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)) {
		err = errors.New("it did not answer in time")
	}
	return answerer, out, err
}

// converse greets, calls, and collects the answer.
func converse(conn net.Conn, op string, limit time.Duration) (peer, []byte, error) {
	var request []byte
	for _, frame := range []wire.Frame{
		{Header: wire.Hello{Proto: wire.Proto, Role: "cli", PID: os.Getpid(), Version: version()}, Body: []byte("{}")},
		{ID: 1, Header: wire.Call{Op: op, MetaLen: 2, Timeout: limit}, Body: []byte("{}")},
	} {
		var err error
		if request, err = wire.Append(request, frame); err != nil {
			return peer{}, nil, err
		}
	}
	if _, err := conn.Write(request); err != nil {
		return peer{}, nil, err
	}
	var from peer
	var out []byte
	for frames := wire.NewReader(conn); ; {
		frame, err := frames.Next()
		if err != nil {
			return from, nil, fmt.Errorf("read its answer: %w", err)
		}
		switch h := frame.Header.(type) {
		case wire.Ready:
			if h.Proto != wire.Proto {
				return from, nil, fmt.Errorf("it speaks protocol %d, and this program %d: use the spindle program of its version, %s",
					h.Proto, wire.Proto, h.Version)
			}
			from = peer{PID: h.PID, Version: h.Version}
		case wire.Data:
			if out = append(out, frame.Body...); len(out) > treeLimit {
				return from, nil, fmt.Errorf("its answer is longer than %d MiB", treeLimit>>20)
			}
			credit, err := wire.Append(nil, wire.Frame{ID: 1, Header: wire.Credit{Channel: h.Channel, Bytes: len(frame.Body)}})
			if err != nil {
				return from, nil, err
			}
			// Should it be gone, what it sent before is still to be read, and reading tells.
			_, _ = conn.Write(credit)
		case wire.Result:
			if h.Status != wire.StatusOK {
				return from, nil, fmt.Errorf("it answered %v: %s", h.Status, h.Text)
			}
			return from, append(out, frame.Body[:h.OutLen]...), nil
		case wire.Bye:
			return from, nil, fmt.Errorf("it hung up: %s", h.Reason)
		}
	}
}

// askJSON is ask for answers in JSON.
func askJSON(ctx context.Context, socket, op string, into any) (peer, error) {
	from, out, err := ask(ctx, socket, op)
	if err != nil {
		return from, err
	}
	if err := json.Unmarshal(out, into); err != nil {
		return from, fmt.Errorf("read its answer: %w", err)
	}
	return from, nil
}
