package ssh

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"al.essio.dev/pkg/shellescape"
	gossh "golang.org/x/crypto/ssh"

	"spindle/transports"
)

// Spawn runs c in a session of its own. The request is not waited for: what is written next travels right behind it,
// and a server that refuses to run anything is noticed by the end of the stream. ControlTTY does not exist here: a
// session's terminal is always all three streams.
func (c *Client) Spawn(ctx context.Context, cmd transports.Command) (transports.Link, error) {
	s, err := c.spawn(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return s.shared(), nil
}

func (c *Client) spawn(ctx context.Context, cmd transports.Command) (*session, error) {
	if cmd.Mode != transports.Pipes && cmd.Mode != transports.FullTTY {
		return nil, unreachable(fmt.Sprintf("an SSH session cannot start a program with mode %s", cmd.Mode), errors.ErrUnsupported)
	}
	if len(cmd.Argv) == 0 {
		return nil, unreachable("no program to start", nil)
	}
	return c.start(ctx, cmd.Mode, sessionCommand(cmd))
}

// start runs a command line in the account's login shell.
func (c *Client) start(ctx context.Context, mode transports.Mode, line string) (*session, error) {
	channel, requests, err := c.open(ctx, "session", nil)
	if err != nil {
		return nil, err
	}
	s := &session{client: c, channel: channel, requests: requests, over: make(chan struct{})}
	c.follow(s)
	if err := s.request(mode, line); err != nil {
		go func() { _ = s.channel.Close() }()
		return nil, c.startError("start program", err)
	}
	return s, nil
}

// open opens a channel.
func (c *Client) open(ctx context.Context, kind string, payload []byte) (gossh.Channel, <-chan *gossh.Request, error) {
	type opened struct {
		channel  gossh.Channel
		requests <-chan *gossh.Request
		err      error
	}
	result := make(chan opened, 1)
	go func() {
		channel, requests, err := c.ssh.OpenChannel(kind, payload)
		result <- opened{channel, requests, err}
	}()
	var o opened
	select {
	case o = <-result:
	case <-ctx.Done():
		go func() { // the answer may still come, or the connection end
			if o := <-result; o.err == nil {
				go gossh.DiscardRequests(o.requests)
				_ = o.channel.Close()
			}
		}()
		return nil, nil, expired(ctx, ctx.Err())
	}
	if o.err != nil {
		return nil, nil, c.startError("open "+kind, o.err)
	}
	return o.channel, o.requests, nil
}

// startError is the error for a session that did not come about.
func (c *Client) startError(what string, err error) error {
	if lost := c.Err(); lost != nil {
		err = lost
	}
	return unreachable("ssh: "+what+" on "+c.target.address()+": "+systemText(err), err)
}

// session is one program on a Client that has it for itself: Close ends the connection too.
type session struct {
	client   *Client
	channel  gossh.Channel
	requests <-chan *gossh.Request
	tty      bool

	over   chan struct{} // closed when the channel is
	exited bool          // the fields below are set once over is closed
	exit   transports.Exit
}

var (
	_ transports.Link   = (*session)(nil)
	_ transports.Packer = (*session)(nil)
)

// Packs says whether mitogen_ssh_compression is on: natively, it is our own frames that are compressed.
func (s *session) Packs() bool { return s.client.packs }

// request sends everything that starts the program, in one flight.
func (s *session) request(mode transports.Mode, line string) error {
	send := func(name string, payload []byte) error {
		_, err := s.channel.SendRequest(name, false, payload)
		return err
	}
	if s.client.target.forwardAgent != "" {
		if err := send("auth-agent-req@openssh.com", nil); err != nil {
			return err
		}
	}
	for _, pair := range s.client.target.env {
		name, value, _ := strings.Cut(pair, "=")
		if err := send("env", gossh.Marshal(struct{ Name, Value string }{name, value})); err != nil {
			return err
		}
	}
	if mode == transports.FullTTY {
		s.tty = true
		if err := send("pty-req", gossh.Marshal(rawTerminal())); err != nil {
			return err
		}
	}
	return send("exec", gossh.Marshal(struct{ Command string }{line}))
}

// sessionCommand is what the far login shell gets. The directory and the variables need a POSIX shell.
func sessionCommand(cmd transports.Command) string {
	argv := cmd.Argv
	if len(cmd.Env) > 0 {
		argv = append(append([]string{"env"}, cmd.Env...), argv...)
	}
	line := farCommand(argv)
	if cmd.Dir != "" {
		line = "/bin/sh -c " + shellescape.Quote("cd "+shellescape.Quote(cmd.Dir)+" && exec "+line)
	}
	return line
}

// ptyRequest is the payload of a pty-req.
type ptyRequest struct {
	Term                         string
	Columns, Rows, Width, Height uint32
	Modes                        string
}

// rawTerminal asks for a terminal that changes no byte and shows nothing of what is typed.
func rawTerminal() ptyRequest {
	var modes []byte
	set := func(op byte, value uint32) {
		modes = append(modes, gossh.Marshal(struct {
			Op    byte
			Value uint32
		}{op, value})...)
	}
	for _, off := range []uint8{
		gossh.IGNPAR, gossh.PARMRK, gossh.INPCK, gossh.ISTRIP, gossh.INLCR, gossh.IGNCR, gossh.ICRNL, gossh.IXON, gossh.IXANY,
		gossh.IXOFF, gossh.ISIG, gossh.ICANON, gossh.ECHO, gossh.ECHOE, gossh.ECHOK, gossh.ECHONL, gossh.IEXTEN, gossh.OPOST,
	} {
		set(off, 0)
	}
	set(gossh.CS8, 1)
	modes = append(modes, 0) // TTY_OP_END
	return ptyRequest{Term: "dumb", Columns: 80, Rows: 24, Modes: string(modes)}
}

// follow reads what the server says about the program until the channel ends.
func (s *session) follow() {
	for r := range s.requests {
		s.hear(r)
	}
	s.end()
}

// hear takes one thing that the server says.
func (s *session) hear(r *gossh.Request) {
	switch r.Type {
	case "exit-status":
		var m struct{ Status uint32 }
		if gossh.Unmarshal(r.Payload, &m) == nil {
			s.exited, s.exit = true, transports.Exit{Code: int(m.Status)}
		}
	case "exit-signal":
		var m struct {
			Signal     string
			CoreDumped bool
			Message    string
			Lang       string
		}
		if gossh.Unmarshal(r.Payload, &m) == nil {
			s.exited, s.exit = true, transports.Exit{Code: -1, Signal: m.Signal, Text: m.Message}
		}
	}
	_ = r.Reply(false, nil)
}

// end is called when the channel has ended.
func (s *session) end() {
	if !s.exited {
		s.exit = transports.Exit{Code: -1, Text: "the server did not say how the program ended"}
		if lost := s.client.Err(); lost != nil {
			s.exit.Text = lost.Error()
		}
	}
	close(s.over)
}

// ended turns the end of a stream into what it means: the library reports a lost connection as a plain end.
func (s *session) ended(err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-s.over:
		if s.exited {
			return err
		}
	default:
	}
	if lost := s.client.Err(); lost != nil {
		return lost
	}
	return err
}

// Close ends the connection, and with it the program's streams. A program that does not mind outlives that, as with
// every SSH client.
func (s *session) Close() error {
	err := s.client.Close()
	<-s.over
	return err
}

func (s *session) Read(p []byte) (int, error) {
	n, err := s.channel.Read(p)
	return n, s.ended(err)
}

// The library keeps buffers as large as the largest packet of a channel, twice. Only who moves bulk shall pay for that,
// and not every idle link for its boot.
const (
	bulkWrite  = 64 << 10 // writes above this are bulk
	smallPiece = 2 << 10
)

func (s *session) Write(p []byte) (int, error) {
	if len(p) > bulkWrite {
		n, err := s.channel.Write(p)
		return n, s.ended(err)
	}
	sent := 0
	for {
		piece := p[sent:min(len(p), sent+smallPiece)]
		n, err := s.channel.Write(piece)
		if sent += n; err != nil || sent == len(p) {
			return sent, s.ended(err)
		}
	}
}

func (s *session) CloseWrite() error {
	if s.tty {
		return fmt.Errorf("close a terminal's input: %w", errors.ErrUnsupported)
	}
	return s.ended(s.channel.CloseWrite())
}

func (s *session) Side() transports.Side {
	if s.tty {
		return nil
	}
	return sessionSide{s}
}

func (s *session) Wait(ctx context.Context) (transports.Exit, error) {
	select {
	case <-s.over:
		return s.exit, nil
	case <-ctx.Done():
		return transports.Exit{}, ctx.Err()
	}
}

// sessionSide is the program's stderr.
type sessionSide struct{ s *session }

func (e sessionSide) Read(p []byte) (int, error) {
	n, err := e.s.channel.Stderr().Read(p)
	return n, e.s.ended(err)
}

func (e sessionSide) Write([]byte) (int, error) {
	return 0, fmt.Errorf("write to stderr: %w", errors.ErrUnsupported)
}
