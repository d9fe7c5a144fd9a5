package census

import "time"

// Node is a copy of one actor's record. Its JSON names are what "spindle tree --json" prints: only ever add to them.
type Node struct {
	// Path is the way to the actor from the root, and its PID's id.
	Path string `json:"path"`
	// Kind is what sort of actor it is: hop, interpreter, call, …, or pump for a supervised goroutine.
	Kind string `json:"kind"`
	// State is the actor's own word while it runs, else its phase (starting, restarting, stopping, abandoned).
	State string `json:"state"`
	// Queued is the number of messages waiting in front of it.
	Queued int64 `json:"queued"`
	// Handled is the number of messages it was given so far.
	Handled uint64 `json:"handled"`
	// Restarts is how often it was begun anew after a failure.
	Restarts uint64 `json:"restarts"`
	// LastMessage is the type of the message it handles or handled last.
	LastMessage string `json:"last_message,omitempty"`
	// LastError is what went wrong last, if anything ever did.
	LastError string `json:"last_error,omitempty"`
	// Busy is for how long it has been at its current message, in nanoseconds; 0 when idle.
	Busy time.Duration `json:"busy"`
	// BytesIn and BytesOut count what it has moved.
	BytesIn  uint64 `json:"bytes_in"`
	BytesOut uint64 `json:"bytes_out"`
	// Born is when it was spawned. Restarts do not change it.
	Born time.Time `json:"born"`
	// Extra is whatever else the actor tells about itself.
	Extra map[string]string `json:"extra,omitempty"`
}
