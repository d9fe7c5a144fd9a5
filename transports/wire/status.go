package wire

import "strconv"

// Status says how a call ended.
type Status uint8

// The ways in which a call ends.
const (
	// StatusOK means that the work ran; RC is its exit status (negative: killed by that signal).
	StatusOK Status = iota
	// StatusError means that the server could not do it; Errno (0 if none) and Text say why.
	StatusError
	// StatusUnreachable means that there was no connection or that it was lost; Text is meant for the user.
	StatusUnreachable
	// StatusFailed means that a become hop failed: the task fails and the host stays reachable.
	StatusFailed
	// StatusCancelled means that CANCEL ended the call.
	StatusCancelled
	// StatusTimeout means that the call's own limit passed and its process group was killed.
	StatusTimeout
	// StatusUnknownClosure asks the requester to register the closure and to call again.
	StatusUnknownClosure
	// StatusFault is a defect or a protocol error of the server; Text says where.
	StatusFault
	// StatusStale means that nothing was done, because the context is not what it was: its account's login would be
	// another one now, or it has ended to make room. Connect again, and call again.
	StatusStale
)

var statusNames = [...]string{
	StatusOK:             "OK",
	StatusError:          "ERROR",
	StatusUnreachable:    "UNREACHABLE",
	StatusFailed:         "FAILED",
	StatusCancelled:      "CANCELLED",
	StatusTimeout:        "TIMEOUT",
	StatusUnknownClosure: "UNKNOWN_CLOSURE",
	StatusFault:          "FAULT",
	StatusStale:          "STALE",
}

// String returns the status's name as docs/protocol.md spells it.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "status " + strconv.Itoa(int(s))
}

// Flags modify a CALL. Bits that this version does not know are kept and mean nothing.
type Flags uint32

// The flags of a CALL.
const (
	// FlagMore announces input as DATA on channel 0 behind the CALL, ended by EOF.
	FlagMore Flags = 1 << iota
	// FlagNoReply means that nobody waits: no RESULT is sent, and the call survives its requester.
	FlagNoReply
	// FlagStream asks for output as it comes.
	FlagStream
)

// Has reports whether all bits of g are set.
func (f Flags) Has(g Flags) bool { return f&g == g }
