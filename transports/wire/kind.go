package wire

import "strconv"

// Proto is the version of the protocol that this package speaks. It is the first
// element of HELLO and READY.
const Proto = 1

// Limits of the protocol, in bytes.
const (
	// MaxFrame bounds the length field of a frame, which counts everything behind itself.
	MaxFrame = 1<<20 + 64<<10
	// MaxHeader bounds the msgpack encoding of a header.
	MaxHeader = 64 << 10
	// MaxBlob bounds the encoded content of one BLOB frame.
	MaxBlob = 1 << 20
	// ChunkMax bounds the body of a DATA or PART frame.
	ChunkMax = 128 << 10
	// WindowInitial is the credit that each direction of each channel starts with.
	WindowInitial = 256 << 10
	// WindowBulk is the credit that a bulk receiver keeps open. It grants a quarter at a time, and what is open then is
	// still more than the 2 MiB that an SSH channel lets through: on a long line that is the limit, and not we.
	WindowBulk = 3 << 20
	// MaxByways is how many byways an agent opens for one input, and keeps WindowBulk open for each.
	MaxByways = 4
	// InlineMax bounds output and errors together inside a RESULT; what is larger goes ahead as DATA.
	InlineMax = 256 << 10
	// MaxPacked bounds what a PACKED frame inflates to.
	MaxPacked = 512 << 10
	// PastMax is how far a piece of a PACKED stream may refer back beyond its own beginning.
	PastMax = 8 << 10
)

// Kind is the type of a frame. It decides which elements the header has and
// whether a body may follow.
type Kind uint8

// The kinds of frames, numbered as on the wire.
const (
	KindHello Kind = iota + 1
	KindReady
	KindCall
	KindResult
	KindCancel
	KindSpawn
	KindData
	KindEOF
	KindExit
	KindCredit
	KindBlob
	KindSplice
	KindLog
	KindPing
	KindBye
	KindPacked
	KindByway
	KindPart
)

var kindNames = [...]string{
	KindHello:  "HELLO",
	KindReady:  "READY",
	KindCall:   "CALL",
	KindResult: "RESULT",
	KindCancel: "CANCEL",
	KindSpawn:  "SPAWN",
	KindData:   "DATA",
	KindEOF:    "EOF",
	KindExit:   "EXIT",
	KindCredit: "CREDIT",
	KindBlob:   "BLOB",
	KindSplice: "SPLICE",
	KindLog:    "LOG",
	KindPing:   "PING",
	KindBye:    "BYE",
	KindPacked: "PACKED",
	KindByway:  "BYWAY",
	KindPart:   "PART",
}

// Valid reports whether the protocol knows the kind.
func (k Kind) Valid() bool { return k >= KindHello && k <= KindPart }

// String returns the kind's name as docs/protocol.md spells it.
func (k Kind) String() string {
	if k.Valid() {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// The channels of a call or a spawned program.
const (
	// ChannelIn is the input (stdin).
	ChannelIn = 0
	// ChannelOut is the output (stdout).
	ChannelOut = 1
	// ChannelErr is stderr, or, both ways, the controlling terminal of a program spawned with mode 1.
	ChannelErr = 2
)

// Encodings of a BLOB's content.
const (
	// EncodingRaw means that the body is the content.
	EncodingRaw = 0
	// EncodingZlib means that the body is the content as a zlib stream.
	EncodingZlib = 1
	// EncodingBundle means that the body is a zlib stream of several contents, each behind its length (4 bytes, the highest
	// first), and that the digest is [BundleName] of theirs: alike files are far smaller together.
	EncodingBundle = 2
)

// Forms in which SPLICE writes a blob into a channel.
const (
	// FormContent writes the decoded content alone.
	FormContent = 0
	// FormFrame writes a whole BLOB frame, for an agent at the other end of the channel.
	FormFrame = 1
)
