package connections

import (
	"encoding/json"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors/tree"
)

// HopRequest is one hop as a worker describes it (docs/protocol.md §8).
type HopRequest struct {
	Method        string          `json:"method"`
	Kwargs        json.RawMessage `json:"kwargs"`
	Python        []string        `json:"python"`
	RemoteTmp     string          `json:"remote_tmp"`
	SystemTmpdirs []string        `json:"system_tmpdirs"`
	Title         string          `json:"title"`
	Heartbeat     Heartbeat       `json:"heartbeat,omitzero"`
	// Become is true for a hop that changes the account on the host of the hop before it.
	Become bool `json:"become,omitempty"`
}

// Heartbeat is how often a hop's agent, and those behind it, are asked for a sign of life. Zeros are for the default.
type Heartbeat struct {
	Seconds int `json:"seconds,omitempty"`
	Count   int `json:"count,omitempty"`
}

func (h Heartbeat) spec() tree.Heartbeat {
	const most = 24 * 60 * 60 // more is as good as never, and does not overflow
	return tree.Heartbeat{Interval: time.Duration(min(max(h.Seconds, 0), most)) * time.Second, Misses: min(max(h.Count, 0), most)}
}

// Acquire asks for the interpreter at the end of a stack. Reply: *Acquired or *Refused, exactly one.
type Acquire struct {
	Key  uint32
	Hops []HopRequest
	// Ticket names the hops instead, if it is set.
	Ticket string
	// Bare says that the last host will do without an agent, if none stands there.
	Bare bool
	// Boot says that an agent is to be tried first all the same.
	Boot bool
	// Holder is the requester's number for whoever uses the way. What is found is in use until the requester asks for the
	// same holder again, or is gone.
	Holder uint32
}

// Context is an account that has been reached.
type Context struct {
	// Name is the opaque name that workers use.
	Name string
	// Interpreter takes calls; in a bare context it is a shell.
	Interpreter *actor.PID
	Facts       json.RawMessage
	How, Why    string
}

// Acquired answers Acquire. Login is the account before the trailing become hops; it is the target itself without become.
type Acquired struct {
	Key           uint32
	Target, Login Context
	// Said are lines about how the hops came up that nobody has been told yet.
	Said []string
}

// Refused answers Acquire when a hop could not be set up.
type Refused struct {
	Key uint32
	Err error
}

// Forget drops what a requester still waits for.
type Forget struct{ Requester *actor.PID }

// Reset stops a context's login hop and all below it, with agents and without. The context is named, or described by its hops, or both: what
// somebody else has opened to a first hop that is described is used no more (transports.Sharer). What others than the requester
// hold takes nothing new, and goes when they are done with it. Reply: *ResetDone, when what is not held so is gone, or *Refused for hops that cannot be read.
type Reset struct {
	Key     uint32
	Context string
	Hops    []HopRequest
}

// Retire gives accounts up that are not in use: a context as the requester knows it, which goes when all who hold it are done with it, or
// those behind a login: a user's, or without a name all but root's. New requests dial anew at once. Reply: *ResetDone, for a
// context at once, for others when they are gone or retireGrace is over; *Refused for hops that cannot be read.
type Retire struct {
	Key         uint32
	Context     string
	Interpreter *actor.PID
	Hops        []HopRequest
	User        string
}

// ResetDone answers Reset and Retire; what does not exist is no error.
type ResetDone struct{ Key uint32 }
