// Package census is the live record of every actor in a process: where it stands in the tree, what it is doing, how
// much is queued in front of it, how often it was restarted and what went wrong last.
//
// The record is kept by the seam (package actors) from inside the mailboxes and read by people and their tools:
// "spindle tree", "spindle top", the log, tests. It is written with atomics only and never asks an actor anything, so
// it can be read while an actor is wedged, which is when it matters.
//
//   - [Entry] is one live actor or pump. The seam writes it; nothing else does.
//   - [Node] is a copy of an entry at one moment, with stable JSON names. [Census.Snapshot] makes them, parents before
//     their children, siblings by name.
//   - [Event] is one turn in a life (spawned, failed, restarted, stopped, …). The last [RingSize] of them are kept.
//
// # Guarantees
//
// An entry appears before its actor handles its first message, and goes only when the actor is really gone: its
// Stopped handler has run, and all entries below it went before (G5). Pumps are entries too, so a census that is empty
// proves that no actor and no goroutine of one is left.
//
// No message content is recorded, only the names of message types, and of failures only what a deliberate fault says
// (G6). What an actor publishes about itself with actors.Describe is shown as it is: secrets have no place there.
//
// The census is a window for debugging, not a registry to look actors up in: an entry may be gone by the time it is read.
package census
