package transports

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"spindle/transports/wire"
)

// Mode says what a program has for its standard streams. The numbers are those of SPAWN frames.
type Mode int

const (
	// Pipes gives stdin, stdout and stderr each a pipe, and no terminal at all.
	Pipes Mode = 0
	// ControlTTY gives pipes for stdin and stdout; stderr is a new terminal (raw, no echo), which is the program's
	// controlling terminal too. Programs that read passwords from /dev/tty, or insist on a terminal, are satisfied,
	// while stdin and stdout stay clean.
	ControlTTY Mode = 1
	// FullTTY gives a new terminal (raw, no echo) for everything, for programs that read passwords from their stdin
	// only if that is a terminal. An agent holds back what is typed until the program has turned off the echo, a second
	// at most: some ask first, and then throw away what has been typed.
	FullTTY Mode = 2
)

// String returns the mode's name.
func (m Mode) String() string {
	switch m {
	case Pipes:
		return "pipes"
	case ControlTTY:
		return "control-tty"
	case FullTTY:
		return "full-tty"
	}
	return "mode?"
}

// Command is a program to start.
type Command struct {
	// Argv is the program, looked up in PATH by the spawner's side, and its arguments.
	Argv []string
	// Env is set on top of what programs of this spawner inherit anyway: "NAME=value", the last of a name counts.
	Env []string
	// Dir is the working directory; the spawner's own if empty.
	Dir string
	// Mode says which streams are what.
	Mode Mode
}

// Exit is how a program ended.
type Exit struct {
	// Code is the exit status. A program killed by a signal has minus its number, or -1 where only a name is known.
	Code int
	// Signal is the name of the signal that killed the program, without SIG: "TERM". Empty otherwise.
	Signal string
	// Text is what the spawner has to say on top: why a program could not be started far away, or that its link was
	// lost. Usually empty.
	Text string
}

// Link is a running program. All methods may be called from any goroutine; Read and Write each by one at a time.
type Link interface {
	// Reader reads the program's stdout. It returns io.EOF when that has ended, and an error after Close.
	io.Reader
	// Writer writes to the program's stdin. Write may block for as long as the program does not read.
	io.Writer
	// CloseWrite ends the program's stdin. A terminal has no end that could be sent: FullTTY links return an error
	// matching errors.ErrUnsupported.
	CloseWrite() error
	// Side is stderr (Pipes; writing fails) or the controlling terminal (ControlTTY). It is nil for FullTTY. Somebody
	// has to read it, or the program may block in writing it.
	Side() Side
	// Wait returns how the program ended, or ctx's error. It may be called any number of times. What the program
	// wrote before may still be unread then.
	Wait(ctx context.Context) (Exit, error)
	// Close ends the program if it runs, and everything that belongs to it, and waits until it is gone. It makes every
	// Read and Write return. It may be called again, and at any time. To let a program end by itself, use CloseWrite
	// and Wait before.
	Close() error
}

// Side is the third stream of a Link. The rules for Read, Write and Close of the Link hold for it too.
type Side interface {
	io.Reader
	io.Writer
}

// Resolver is a Dialer whose settings are words for something that others may have other words for.
type Resolver interface {
	// Resolve returns what stands behind the settings of a dial that starts from this machine. Equal answers are the same connection; an
	// empty one says that the settings' own words are what counts. It may ask programs of this machine, and reaches no other. The answer
	// is to be compared and not to be shown: a password may be in it.
	Resolve(ctx context.Context) (string, error)
}

// Sharer is a Dialer that may use a connection which somebody else has opened to where it leads.
type Sharer interface {
	// Unshare has all dialers with the same settings, those to come too, open connections of their own. It waits for nothing.
	Unshare()
}

// Packer is a Link that may cross a network by way of which nothing is compressed yet. Links that are no Packer stay on one
// machine, or see to it themselves, as the ssh program does.
type Packer interface {
	// Packs says whether frames on the link are to be packed (protocol.md §4).
	Packs() bool
}

// Splitter is a Link whose program can be reached by way of further channels of the same connection, at a socket that it listens at.
type Splitter interface {
	// Splits says whether that lets more be under way at a time. It can be refused all the same.
	Splits() bool
	// Byway connects to the socket at path, on the far side; ctx covers no more than that. Write may block for as long as nobody reads
	// there, and returns at once when Close is called, from any goroutine. What it was given must not be changed then.
	Byway(ctx context.Context, path string) (io.WriteCloser, error)
}

// Splicer is a Link whose far side can hold content: what many programs there need is sent to it once.
type Splicer interface {
	// Splice puts a blob into the program's stdin, behind what was written before and ahead of what will be. form is that
	// of SPLICE frames: the content alone, or a whole BLOB frame. content is encoded as b says; it is kept, and must not be
	// changed any more. Splice does not wait for the program to read. The rules for Write hold for it.
	Splice(b wire.Blob, content []byte, form int) error
}

// Spawner starts programs at one place: this machine, the far side of an SSH connection, under an agent.
type Spawner interface {
	// Spawn starts c and returns at once, without waiting for anything that it does. ctx covers the start only. If
	// the program does not exist, the error is a *[ConnectError] from [StartError]; spawners that cannot know so early
	// report it by [Exit].
	Spawn(ctx context.Context, c Command) (Link, error)
}

// Program is what to run at the far end to get an agent there, whatever the method.
type Program struct {
	// Argv is the shell and its script: {"/bin/sh", "-c", …}.
	Argv []string
	// Flight is everything to be written to its stdin, in one go.
	Flight []byte
	// Agent names what the flight begins with, for links that can get it from elsewhere ([Splicer]): its first Agent.Size
	// bytes, as they are. Zero if that is nothing.
	Agent wire.Blob
	// Behind may give a frame that is written behind the flight, if it does before HELLO has come: what the agent is known to
	// need soon, for a round trip less. [Booted.Behind] says whether it was. It gives one at most, and nothing if it is nil.
	Behind <-chan wire.Frame
	// Nonce is the word in the marker lines of protocol.md §5.
	Nonce string
	// Candidates names the Pythons that the script tries, for the error text if none exists.
	Candidates []string
}

// Dialer reaches one context: one hop's settings, ready for use. It can be used again after a link was lost.
type Dialer interface {
	// Name is the actor's name, "ssh:deploy@web1" or "sudo:root": unique enough among the children of one parent, and
	// free of secrets.
	Name() string
	// Timeout covers a dial from the start of the program to the agent's HELLO.
	Timeout() time.Duration
	// Dial starts p by way of via and returns when its agent has said HELLO. Nothing is left behind on failure; the
	// error is then a *[ConnectError].
	Dial(ctx context.Context, via Spawner, p Program) (*Booted, error)
}

// Factory makes a Dialer from a hop's kwargs (the keys that mitogen_get_stack shows). It is pure: a wrong setting is an
// error here, and nothing has happened yet. Keys that it does not know are left alone.
type Factory func(kwargs json.RawMessage) (Dialer, error)

// Booted is a link with an agent at its end.
type Booted struct {
	// Link is to be written frames to, and to be closed. Its stdout is read by Frames, and its side by the
	// conversation that made it.
	Link Link
	// Frames reads what the agent sends behind HELLO.
	Frames *wire.Reader
	// Hello is the agent's first frame.
	Hello wire.Frame
	// Behind is how many bytes of content what [Program.Behind] gave has; 0 if it gave nothing. It may still be on its way.
	Behind int64
	// How names the way taken ("native", "binary", "local"), and Why says in a few words what decided for it.
	How, Why string
	// Plain says that frames are not to be packed, whatever the link says: the program that carries them compresses what it
	// sends, or was told not to.
	Plain bool
	// Said are the last lines that came before the agent did, if [Script].Tell asks for them.
	Said []string

	side *sideLog
}

// Packs says whether frames to and from the agent are to be packed.
func (b *Booted) Packs() bool {
	l, ok := b.Link.(Packer)
	return ok && l.Packs() && !b.Plain
}
