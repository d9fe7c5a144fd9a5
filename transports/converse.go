package transports

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"spindle/transports/wire"
)

const (
	// noiseMax and noiseLines are how much may come on both streams before the marker. Login banners are thousands of times smaller.
	noiseMax, noiseLines = 16 << 20, 1 << 17
	// drain is how long the streams of a program that has ended are read on: a child of it may hold them open.
	drain = time.Second
	// readSize is that of one read of stdout, sideSize of the side, where a buffer stays for the life of the link.
	readSize = 16 << 10
	sideSize = 2 << 10
)

var errDeadline = errors.New("deadline of the dial")

const textNotWhole = "The agent was not sent whole: "

// Converse boots the agent behind link: it writes p.Flight, answers prompts, skips noise until the marker line
// that bears p.Nonce, and reads HELLO. Nothing waits for anything else: the far end may talk first, or not read
// before it has talked. Only if all streams are one terminal (link.Side is nil), the flight waits for the marker, since
// what is typed ahead would be taken for an answer to a prompt.
//
// Side goes on being read after Converse has returned, until the link is closed; see [Booted.OnSide]. When Converse fails,
// the link is closed, and the error is a *[ConnectError].
func Converse(ctx context.Context, link Link, s Script, p Program) (*Booted, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout(), errDeadline)
	defer cancel()
	return newConversation(link, s, p).converse(ctx)
}

// converse runs the conversation, and closes the link if nothing comes of it.
func (c *conversation) converse(ctx context.Context) (*Booted, error) {
	b, err := c.run(ctx)
	if err == nil {
		return b, nil
	}
	_ = c.link.Close()
	c.pumps.Wait()
	return nil, err
}

// conversation is one run of Converse. What several of its pumps use is behind mu.
type conversation struct {
	link   Link
	script Script
	mask   mask
	flight []byte
	agent  wire.Blob // what flight begins with
	behind <-chan wire.Frame
	nonce  string
	noPy   string // error text if there is no Python
	side   *sideLog
	// bare says that a shell's command line is waited for in place of an agent; see shell.go.
	bare bool
	// typeIn has answers typed into stdin, since there is no terminal.
	typeIn bool

	pumps   sync.WaitGroup // all goroutines
	writers sync.WaitGroup // those that write answers
	marker  chan struct{}  // closed when the marker has come
	flown   chan error     // the flight is written
	booted  chan hello     // HELLO has come, or something else in its place
	heard   chan struct{}  // closed when that has, or nothing comes any more
	outEnd  chan struct{}  // stdout has ended, and no marker was in it
	sideEnd chan struct{}  // the side has ended
	failed  chan error     // the first failure

	mu    sync.Mutex
	up    bool // the marker has come: nothing is a prompt any more
	done  bool // HELLO has come: the side's lines are no longer kept for errors
	noise int64
	lines int // noise too
	tail  tail
	asked map[string]bool
	// bare: what was read behind the markers, where the side's was found, and whether it was on stdout. Written by one
	// pump each, and read when booted or sideEnd tell.
	outRest, sideRest  []byte
	sideMarked, merged bool
	// trail is what is written behind the flight; nil if nothing is. Written before flown tells.
	trail *trail
}

type hello struct {
	frames *wire.Reader
	frame  wire.Frame
	err    error
}

func newConversation(link Link, s Script, p Program) *conversation {
	return &conversation{
		link: link, script: s, mask: newMask(s.Prompts), flight: p.Flight, agent: p.Agent, behind: p.Behind, nonce: p.Nonce, noPy: noPython(p.Candidates),
		side:    &sideLog{},
		marker:  make(chan struct{}),
		flown:   make(chan error, 1),
		booted:  make(chan hello, 1),
		heard:   make(chan struct{}),
		outEnd:  make(chan struct{}),
		sideEnd: make(chan struct{}),
		failed:  make(chan error, 1),
		asked:   map[string]bool{},
	}
}

// run waits for whatever comes first.
func (c *conversation) run(ctx context.Context) (*Booted, error) {
	wait, stop := context.WithCancel(ctx)
	defer stop()
	exited := make(chan Exit, 1)
	c.pump(c.readOut)
	c.pump(c.readSide)
	c.pump(c.fly)
	c.pump(func() {
		if exit, err := c.link.Wait(wait); err == nil {
			exited <- exit
		}
	})

	var exit *Exit
	var patience <-chan time.Time
	outEnd, sideEnd := c.outEnd, c.sideEnd
	for {
		// Why the program ended may be on the side, what it said last may still be on its way, and so may its status.
		if exit != nil && outEnd == nil && sideEnd == nil {
			return nil, c.ended(exit)
		}
		if patience == nil && (exit != nil || outEnd == nil) {
			patience = time.After(drain)
		}
		select {
		case err := <-c.failed:
			return nil, err
		case h := <-c.booted:
			return c.finish(ctx, h, exit)
		case e := <-exited:
			exit, exited = &e, nil
		case <-outEnd:
			outEnd = nil
		case <-sideEnd:
			sideEnd = nil
		case <-patience:
			return nil, c.ended(exit)
		case <-ctx.Done():
			return nil, c.giveUp(ctx)
		}
	}
}

// finish checks HELLO and waits until everything is written that has to be: what is behind the flight may take longer than the dial has.
func (c *conversation) finish(ctx context.Context, h hello, exit *Exit) (*Booted, error) {
	if c.bare {
		return c.finishBare(ctx)
	}
	if h.err != nil {
		var pe *wire.ProtocolError
		if errors.As(h.err, &pe) {
			return nil, c.fail("The agent did not answer as one: "+pe.Error(), pe)
		}
		select { // an agent that died says why on the side
		case <-c.sideEnd:
		case <-time.After(drain):
		case <-ctx.Done():
		}
		return nil, c.ended(exit)
	}
	if hd, ok := h.frame.Header.(wire.Hello); !ok || hd.Role != "agent" || hd.Proto != wire.Proto {
		return nil, c.fail(fmt.Sprintf("The agent did not answer as one of protocol %d.", wire.Proto), nil)
	}
	if err := c.written(ctx, textNotWhole); err != nil {
		return nil, err
	}
	link, err := c.trailing()
	if err != nil {
		return nil, c.fail(textNotWhole+osText(err), err)
	}
	booted := &Booted{Link: link, Frames: h.frames, Hello: h.frame, Said: c.forget(), side: c.side}
	if c.trail != nil {
		booted.Behind = c.trail.size
	}
	return booted, nil
}

// written waits until the flight and all answers are.
func (c *conversation) written(ctx context.Context, text string) error {
	written := make(chan struct{})
	c.pump(func() { c.writers.Wait(); close(written) })
	select {
	case err := <-c.flown:
		if err != nil {
			return c.fail(text+osText(err), err)
		}
	case <-ctx.Done():
		return c.giveUp(ctx)
	}
	select {
	case <-written:
		return nil
	case <-ctx.Done():
		return c.giveUp(ctx)
	}
}

// forget drops what only the conversation needed, and returns what is to be told of it. The side's pump lives on with the
// rest, for as long as the link does.
func (c *conversation) forget() (said []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.script.Tell {
		said = c.tail.lines()
	}
	c.flight, c.tail, c.asked = nil, tail{}, nil
	return said
}

func (c *conversation) pump(fn func()) { c.pumps.Go(fn) }

// fly writes the flight, and then what is behind it, which a dial does not wait for.
func (c *conversation) fly() {
	if lead := c.script.Lead; lead.IsSet() {
		typed := append([]byte(lead.Reveal()), '\n')
		_, err := c.link.Write(typed)
		clear(typed)
		if err != nil {
			c.flown <- err
			return
		}
	}
	if c.link.Side() == nil || c.typeIn || c.bare && c.script.Waits {
		select {
		case <-c.marker:
		case <-c.outEnd:
			return
		}
		c.writers.Wait()
	}
	err := c.send()
	if err == nil && c.behind != nil {
		c.trail = c.follow()
	}
	trail := c.trail
	c.flown <- err
	if trail != nil {
		trail.write(c.link)
	}
}

// send writes the flight. Of what it begins with, a link that can get it from nearby is told the name.
func (c *conversation) send() error {
	rest := c.flight
	if s, ok := c.link.(Splicer); ok && c.agent.Size > 0 {
		if err := s.Splice(c.agent, rest[:c.agent.Size], wire.FormContent); err != nil {
			return err
		}
		rest = rest[c.agent.Size:]
	}
	_, err := c.link.Write(rest)
	return err
}

// readOut reads stdout up to HELLO.
func (c *conversation) readOut() {
	defer close(c.heard)
	defer func() {
		if !c.isUp() {
			close(c.outEnd)
		}
	}()
	s := &scanner{mask: c.mask}
	w := watch{c: c, only: c.link.Side() != nil}
	buf := make([]byte, readSize)
	for {
		n, err := c.link.Read(buf)
		rest := buf[:n]
		for len(rest) > 0 {
			var line []byte
			var ended bool
			line, ended, rest = s.next(rest)
			if ended && c.bare && c.atSideMarker(line) {
				c.merged = true
				continue
			}
			if ended && c.atMarker(line) {
				if c.bare {
					c.outRest = bytes.Clone(rest)
					c.booted <- hello{}
					return
				}
				// A copy: the buffer would live as long as the link.
				frames := wire.NewReader(io.MultiReader(bytes.NewReader(bytes.Clone(rest)), c.link))
				f, err := frames.Next()
				c.mu.Lock()
				c.done = err == nil
				c.mu.Unlock()
				c.booted <- hello{frames, f, err}
				return
			}
			w.look(s, line, ended)
		}
		c.count(n)
		if err != nil {
			w.flush(s)
			return
		}
	}
}

// readSide reads the side for as long as there is one.
func (c *conversation) readSide() {
	defer close(c.sideEnd)
	side := c.link.Side()
	if side == nil {
		return
	}
	s := &scanner{mask: c.mask}
	w := watch{c: c}
	buf := make([]byte, sideSize)
	for {
		n, err := side.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			var line []byte
			var ended bool
			line, ended, rest = s.next(rest)
			if ended && c.bare && c.atSideMarker(line) {
				c.sideRest, c.sideMarked = bytes.Clone(rest), true
				return
			}
			w.look(s, line, ended)
		}
		c.count(n)
		if err != nil {
			w.flush(s)
			return
		}
	}
}

// atMarker looks for the marker at the end of a line: noise may have ended without a newline.
func (c *conversation) atMarker(line []byte) bool {
	if c.nonce == "" || !bytes.Contains(line, []byte(c.nonce)) {
		return false
	}
	marker := "SPINDLE1 "
	if c.bare {
		marker = bareOut
	}
	switch {
	case bytes.HasSuffix(line, []byte(marker+c.nonce)):
		c.mu.Lock()
		c.up = true
		c.mu.Unlock()
		close(c.marker)
		return true
	case bytes.HasSuffix(line, []byte("SPINDLE0 "+c.nonce+" no-python")):
		c.fails(c.noPy, ErrNoPython)
	}
	return false
}

func (c *conversation) isUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up
}

// count adds noise, of which there may be only so much.
func (c *conversation) count(n int) {
	c.mu.Lock()
	c.noise += int64(n)
	over := (c.noise > noiseMax || c.lines > noiseLines) && !c.up
	c.mu.Unlock()
	if over {
		c.fails(fmt.Sprintf("More than %d MiB or %d lines of output, and no agent in it; last %d lines received:\n%s",
			noiseMax>>20, noiseLines, linesKept, c.last()), nil)
	}
}

// keep keeps a line for errors, or hands it on if the time of those is over.
func (c *conversation) keep(line []byte, side bool) {
	text := c.mask.readable(line)
	c.mu.Lock()
	done := c.done
	if !done {
		c.tail.add(text)
		c.lines++
	}
	c.mu.Unlock()
	if done && side {
		c.side.add(text)
	}
}

func (c *conversation) last() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.tail.lines(), "\n")
}

// fails reports a failure; the first one counts.
func (c *conversation) fails(text string, err error) {
	select {
	case c.failed <- c.fail(text, err):
	default:
	}
}

func (c *conversation) fail(text string, err error) *ConnectError {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &ConnectError{Class: c.script.Class, Text: text, Lines: c.tail.lines(), Err: err}
}

// ended is the error for a program that is no more, unless a failure has been recognised in what it said last.
func (c *conversation) ended(exit *Exit) error {
	select {
	case err := <-c.failed:
		return err
	default:
	}
	var cause error = io.EOF
	if exit != nil {
		cause = &ExitError{*exit}
	}
	text := TextEOF + c.last()
	if exit != nil && exit.Text != "" {
		text += "\n" + exit.Text
	}
	return c.fail(text, cause)
}

// giveUp is the error for a context that is done.
func (c *conversation) giveUp(ctx context.Context) error {
	e := c.script.outOfTime(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	e.Lines = c.tail.lines()
	return e
}

func (s Script) outOfTime(ctx context.Context) *ConnectError {
	cause := context.Cause(ctx)
	text := TextTimeout
	switch {
	case errors.Is(cause, errDeadline), errors.Is(cause, context.DeadlineExceeded):
	case errors.Is(cause, context.Canceled):
		text = "Connection cancelled."
	default:
		text = "Connection cancelled: " + cause.Error()
	}
	return &ConnectError{Class: s.Class, Text: text, Err: cause}
}

func (s Script) spawnFailed(ctx context.Context, err error) error {
	var ce *ConnectError
	switch {
	case errors.As(err, &ce):
		ce = &ConnectError{Class: s.Class, Text: ce.Text, Lines: ce.Lines, Err: ce.Err}
	case ctx.Err() != nil:
		ce = s.outOfTime(ctx)
	default:
		ce = &ConnectError{Class: s.Class, Text: err.Error(), Err: err}
	}
	return ce
}

func (s Script) timeout() time.Duration {
	if s.Timeout > 0 {
		return s.Timeout
	}
	return DefaultTimeout
}

func noPython(candidates []string) string {
	tried := ""
	if len(candidates) > 0 {
		tried = " (tried " + strings.Join(candidates, ", ") + ")"
	}
	return "No usable Python was found on the target" + tried +
		". Install one, or set ansible_python_interpreter to the path of one that is there."
}
