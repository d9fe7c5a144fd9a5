package wire

import "time"

// Header is the fixed part of a frame. The set is closed: exactly the eighteen
// types below, used as values.
type Header interface {
	// Kind returns the kind of the frames that have this header.
	Kind() Kind
	// encode writes the msgpack array.
	encode(e *encoder)
	// check returns what is wrong with the header of a frame with so long a body, or "".
	check(body int) string
}

// Hello is the first frame of whoever answers a link: a worker, the command line
// tools, or an agent. The body is a JSON object of facts.
type Hello struct {
	Proto   int
	Role    string // "worker", "cli" or "agent"
	PID     int
	Version string
}

// Ready is the multiplexer's answer to a worker's HELLO, and the first frame that
// an agent is sent. The body is a JSON object of settings.
type Ready struct {
	Proto   int
	PID     int
	Version string
	Silence time.Duration // an agent that received nothing for so long ends itself; 0: never
}

// Call asks the server for one piece of work. The body is MetaLen bytes of JSON and
// then the input.
type Call struct {
	Op         string
	Context    string
	Closure    Digest // meaningful if HasClosure
	HasClosure bool
	MetaLen    int
	Timeout    time.Duration // 0: none of its own. Written in milliseconds, rounded up
	Flags      Flags
}

// Result ends a call. The body is OutLen bytes of output and ErrLen bytes of errors.
type Result struct {
	Status Status
	RC     int
	OutLen int
	ErrLen int
	Errno  int
	Text   string
}

// Cancel asks the server to end a call or a spawned program.
type Cancel struct {
	Reason string
}

// Spawn starts a program whose input and output travel as DATA. The body is
// MetaLen bytes of JSON and then the first input.
type Spawn struct {
	Mode    int // 0 pipes, 1 pipes and a controlling terminal, 2 all on the terminal
	MetaLen int
}

// Data carries at most [ChunkMax] bytes of a channel, in its body.
type Data struct {
	Channel int
}

// EOF says that no more DATA comes on a channel.
type EOF struct {
	Channel int
}

// Exit ends a spawned program.
type Exit struct {
	RC     int
	Signal int
	Text   string
}

// Credit allows the peer to send so many more bytes of DATA on a channel.
type Credit struct {
	Channel int
	Bytes   int
}

// Blob delivers the content that a digest names, or a bundle of several. Size is
// that of the decoded content; the receiver has to check both.
type Blob struct {
	Digest   Digest
	Size     int
	Encoding int // EncodingRaw, EncodingZlib or EncodingBundle
}

// Splice tells an agent to write a blob that it holds into a channel.
type Splice struct {
	Channel int
	Digest  Digest
	Form    int // FormContent or FormFrame
}

// Log is one record of an agent, with Python's numbers for levels.
type Log struct {
	Level  int
	Logger string
	Text   string
}

// Ping asks whether the peer lives, or, with Reply set, answers with the same stamp.
type Ping struct {
	Reply bool
	Stamp int64
}

// Bye is the last frame of a link.
type Bye struct {
	Reason string
}

// Packed stands for whole frames. The body is a piece of a deflate stream (RFC 1951) that inflates to them, less the
// four bytes that each flush ends with: the next piece of the link's stream in this direction, or, with Fresh set, one
// that refers to nothing before it. See [Packer] and [Unpacker].
type Packed struct {
	Fresh bool
}

// Byway asks an agent to take the input of a call by way of Count further connections, and is its answer: how many it takes, and at the
// socket of which path.
type Byway struct {
	Count int
	Path  string
}

// Part carries at most [ChunkMax] bytes of a channel, in its body, with their place in it. Last says that the channel ends there.
type Part struct {
	Channel int
	Offset  int64
	Last    bool
}

// Kind implements Header.
func (Hello) Kind() Kind { return KindHello }

// Kind implements Header.
func (Ready) Kind() Kind { return KindReady }

// Kind implements Header.
func (Call) Kind() Kind { return KindCall }

// Kind implements Header.
func (Result) Kind() Kind { return KindResult }

// Kind implements Header.
func (Cancel) Kind() Kind { return KindCancel }

// Kind implements Header.
func (Spawn) Kind() Kind { return KindSpawn }

// Kind implements Header.
func (Data) Kind() Kind { return KindData }

// Kind implements Header.
func (EOF) Kind() Kind { return KindEOF }

// Kind implements Header.
func (Exit) Kind() Kind { return KindExit }

// Kind implements Header.
func (Credit) Kind() Kind { return KindCredit }

// Kind implements Header.
func (Blob) Kind() Kind { return KindBlob }

// Kind implements Header.
func (Splice) Kind() Kind { return KindSplice }

// Kind implements Header.
func (Log) Kind() Kind { return KindLog }

// Kind implements Header.
func (Ping) Kind() Kind { return KindPing }

// Kind implements Header.
func (Bye) Kind() Kind { return KindBye }

// Kind implements Header.
func (Packed) Kind() Kind { return KindPacked }

// Kind implements Header.
func (Byway) Kind() Kind { return KindByway }

// Kind implements Header.
func (Part) Kind() Kind { return KindPart }
