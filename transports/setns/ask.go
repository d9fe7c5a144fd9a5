package setns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"al.essio.dev/pkg/shellescape"

	"spindle/transports"
)

const (
	// answerMax is how much of a tool's answer is looked at. The longest is that of `lxc info`: some hundred lines.
	answerMax = 256 << 10
	// drain is how long the streams of a tool that has ended are read on: a child of it may hold them open.
	drain = time.Second
)

// reply is what a tool said.
type reply struct {
	out, side string
	exit      transports.Exit
}

// words are those that tell why it failed.
func (r reply) words() string {
	var words []string
	for _, w := range []string{r.side, r.out} {
		if w = strings.TrimSpace(w); w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, "\n")
}

// ask runs a tool to its end, in English. Nothing of it is left.
func ask(ctx context.Context, via transports.Spawner, argv []string) (r reply, err error) {
	link, err := via.Spawn(ctx, transports.Command{Argv: argv, Env: []string{"LC_ALL=C"}})
	if err != nil {
		return r, unstarted(ctx, argv, err)
	}
	read := make(chan struct{})
	var streams sync.WaitGroup
	streams.Go(func() { r.out = text(link) })
	streams.Go(func() { r.side = text(link.Side()) })
	go func() { streams.Wait(); close(read) }()
	_ = link.CloseWrite() // several of them read settings from their stdin
	r.exit, err = link.Wait(ctx)
	if err == nil {
		timer := time.NewTimer(drain)
		select {
		case <-read:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	_ = link.Close()
	<-read
	switch {
	case err != nil:
		return r, outOfTime(ctx)
	case r.exit.Code == 127 && r.exit.Text != "": // a spawner that hears of it only now
		return r, failed(fmt.Sprintf("could not execute %s: %s", command(argv), r.exit.Text))
	}
	return r, nil
}

// text reads the beginning of a stream, and skips the rest.
func text(from io.Reader) string {
	var b strings.Builder
	_, _ = io.Copy(&b, io.LimitReader(from, answerMax))
	_, _ = io.Copy(io.Discard, from)
	return b.String()
}

// unstarted is the error for a tool that could not be started.
func unstarted(ctx context.Context, argv []string, err error) error {
	if ctx.Err() != nil {
		return outOfTime(ctx)
	}
	reason := err.Error()
	if rest, ok := strings.CutPrefix(reason, "Child start failed: "); ok {
		reason, _, _ = strings.Cut(rest, ". Command was: ")
	}
	e := failed(fmt.Sprintf("could not execute %s: %s", command(argv), reason))
	e.Err = err
	return e
}

func outOfTime(ctx context.Context) error {
	e := failed(transports.TextTimeout)
	e.Err = context.Cause(ctx)
	if errors.Is(ctx.Err(), context.Canceled) {
		e.Text = "Connection cancelled."
	}
	return e
}

func failed(text string) *transports.ConnectError { return &transports.ConnectError{Text: text} }

func command(argv []string) string { return shellescape.QuoteCommand(argv) }
