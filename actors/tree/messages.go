package tree

import (
	"encoding/json"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/transports"
	"spindle/transports/wire"
)

// Hop is everything that is needed to set up one hop. It is immutable.
type Hop struct {
	// Key identifies the hop among all: two requests with the same key share one connection. It is a keyed digest, so it
	// tells nothing of the settings.
	Key string
	// Dialer reaches the account.
	Dialer transports.Dialer
	// Boot says how the agent is started there.
	Boot Boot
	// Become is true for hops that change the account on the same machine.
	Become bool
	// Heartbeat is that of this hop and of those below it; zero for that of the hop above.
	Heartbeat Heartbeat
}

// Boot is the part of a hop's settings that the far end's start-up needs.
type Boot struct {
	// Candidates are interpreters to try, in order: shell words such as /usr/bin/python3.
	Candidates []string
	// TmpCandidates are directories to try for temporary files, in order.
	TmpCandidates []string
	// Title shows in the far end's process list.
	Title string
	// Silence is how long the agent lives without hearing anything. It is set by the hop, to three times what the hop
	// itself waits.
	Silence time.Duration
	// Watch is what the agent looks at before it does a call that asks for a fresh login.
	Watch Watch
}

// Watch says what makes an agent's login stale.
type Watch int

// What an agent can look at.
const (
	// WatchNothing is for agents that no login has led to.
	WatchNothing Watch = iota
	// WatchAccount is the account's own record and its groups.
	WatchAccount
	// WatchAll is what sudo, su, PAM and login shells read, too.
	WatchAll
)

// OpenHop asks a tree or an interpreter to start a hop below itself.
// Replies to Report, later: *HopReady, or *HopFailed. The hop is watched by Report.
type OpenHop struct {
	Hop    *Hop
	Report *actor.PID
	// Bare asks for a way to the account without an agent.
	Bare bool
}

// HopReady says that a hop's agent has answered.
type HopReady struct {
	Key string
	// Hop and Interpreter are the actors that now stand for it. A bare hop has a shell in an interpreter's place.
	Hop, Interpreter *actor.PID
	// Facts is the body of the agent's HELLO: JSON, opaque; {"bare":true,"hostname":…} if there is none.
	Facts json.RawMessage
	// Host is the machine's name as the agent gave it; it is used in error texts of hops below.
	Host string
	// How and Why say which transport was used: native, binary, local.
	How, Why string
	// Said are lines that the user wants to see of how it came up.
	Said []string
}

// HopFailed says that a hop could not be set up. The hop actor is gone or going.
type HopFailed struct {
	Key string
	Err error
}

// Invoke asks an interpreter for one call. Replies: *Output and *InputCredit as they come, then exactly one *Done.
type Invoke struct {
	// Key is the requester's own number for the call; replies carry it.
	Key uint32
	// Call is the head as it came over the bridge; Context and Closure mean nothing to the agent and are not sent.
	Call wire.Call
	// Body is meta and input. The receiver owns it.
	Body []byte
}

// Input is more input of a call that was announced with FlagMore. EOF ends it.
type Input struct {
	Key  uint32
	Data []byte
	EOF  bool
}

// InputCredit returns credit for input that has left the process.
type InputCredit struct {
	Key   uint32
	Bytes int
}

// Output is output of a call that is too large to ride in its result.
type Output struct {
	Key     uint32
	Channel int
	Data    []byte
}

// OutputCredit says that the requester has passed on so many bytes of output.
type OutputCredit struct {
	Key     uint32
	Channel int
	Bytes   int
}

// Abort asks for the end of a call. It is answered, like any call, by one *Done.
type Abort struct {
	Key    uint32
	Reason string
}

// Done is the one terminal answer to *Invoke, *Put and *Get.
type Done struct {
	Key    uint32
	Result wire.Result
	// Body is output and errors, as Result says. The receiver owns it.
	Body []byte
}

// Put asks an interpreter to copy a local file to its account. Reply: one *Done.
type Put struct {
	Key       uint32
	Src, Dest string
	// Mode is the permission bits to set; nil takes the source's.
	Mode *uint32
	// Times keeps the source's access and modification times.
	Times   bool
	Timeout time.Duration
}

// Get asks an interpreter for a copy of a remote file at a local path. Reply: one *Done.
type Get struct {
	Key       uint32
	Src, Dest string
	Timeout   time.Duration
}

// Drain asks for an orderly end: first of everything below, then of the receiver itself. The receiver is gone when its
// watchers get actor.Terminated.
type Drain struct{ Reason string }

// Retire asks a hop to end as soon as nothing uses it or what is below it; a bare one, when it has been idle for a while. Calls that come
// later are answered with StatusStale.
type Retire struct{}

// DropHops asks the tree to drain every hop it has, and to stay.
type DropHops struct{}

// Expect tells the tree which closure new agents will be asked for first, as far as one can tell: first hops that are being dialed, and those to come
// until it is told otherwise, send what it consists of without being asked. Hops behind an agent get it by way of that one's bundle.
type Expect struct{ Closure wire.Digest }

// Fetch asks the blobs service what a closure consists of. Reply: *Fetched, or *Unknown.
type Fetch struct{ Closure wire.Digest }

// Fetched says what a closure consists of. The slice is shared and must not be changed.
type Fetched struct {
	Closure wire.Digest
	Blobs   []BlobSize
}

// BlobSize is a blob's name and the size of its content.
type BlobSize struct {
	Digest wire.Digest
	Size   int
	// Python2 is true for what is of no use to any other Python.
	Python2 bool
}

// Load asks the blobs service for content on behalf of a closure: Bundled as one bundle, if there are any, and Single each by itself.
// Reply: *Loaded, or *Unknown.
type Load struct {
	Closure         wire.Digest
	Bundled, Single []wire.Digest
}

// Loaded is the answer to Load: the bundle first, if one was asked for. The blobs are shared and must not be changed.
type Loaded struct {
	Closure wire.Digest
	Blobs   []*Blob
}

// Unknown says that a closure is not registered, or that content is missing.
type Unknown struct{ Closure wire.Digest }

// Blob is content with a name, as it is sent. It is immutable.
type Blob struct {
	Digest   wire.Digest
	Size     int
	Encoding int
	Content  []byte
}

// Reserve asks the transfers service for the right to have so many bytes under way. Reply: *Reserved, when there is room.
type Reserve struct{ Bytes int64 }

// Reserved is the answer to Reserve. It is held until the holder stops.
type Reserved struct{ Bytes int64 }

// agentFrame hands a frame of one id to the child that owns the id.
type agentFrame struct {
	frame wire.Frame
}

// sendFrame asks the interpreter to write a frame.
type sendFrame struct {
	frame wire.Frame
}

// frameSent tells a child that a DATA frame of its id has left the process.
type frameSent struct {
	id      uint32
	channel int
	bytes   int
}

// linkLost tells a hop that its interpreter's link has ended.
type linkLost struct {
	cause error
	clean bool
}

// openStream asks the interpreter to start a program on the far end and to connect it to relay. Reply: *streamOpened or *streamRefused.
type openStream struct {
	relay   *relay
	command transports.Command
}

type streamOpened struct {
	id uint32
}

type streamRefused struct{}

// streamWrite carries bytes of a relay to the far end; credit has been taken for them.
type streamWrite struct {
	id      uint32
	channel int
	data    []byte
	eof     bool
}

// seek asks, on behalf of an agent that lacks parts of a closure, the interpreter of the agent in front whether a bundle of them
// is the cheaper way, which they cross all links to here by. Reply: *sought, of that interpreter or of one further in front.
type seek struct {
	closure wire.Digest
	bundle  wire.Digest
	parts   []wire.Digest
}

// sought is the answer to seek.
type sought struct {
	closure wire.Digest
	bundle  bool
}

// streamSplice gives a relay's program a blob, by way of the agent's store.
type streamSplice struct {
	id      uint32
	blob    wire.Blob
	content []byte
	form    int
}

// streamGrant returns credit for bytes that the relay's reader has taken.
type streamGrant struct {
	id      uint32
	channel int
	bytes   int
}

// streamClose kills the program behind a relay.
type streamClose struct{ id uint32 }
