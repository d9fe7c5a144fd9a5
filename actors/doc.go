// Package actors is the seam over protoactor-go: the one place that knows its library types well enough to mend them.
// Everything above (the tree's actors, the services, the bridge) spawns, sends and waits through this package.
//
// # What it owns
//
//   - [System] is one process's actors, its census and its log. [System.SpawnRoot] and [Spawn] make actors from a
//     [Spec]; the PID's id is the actor's path in the tree, and the tree of supervision is the tree of delegation.
//   - [Strategy] decides what becomes of a child that failed: [StopOnFailure] (the default) or [RestartWithBackoff].
//   - [Go] runs a goroutine as a child of its actor, a pump. [After] sends an actor a message later.
//   - [Keep] holds a request open for an answer that comes later. [Fault] is the one deliberate panic value, and
//     [Failed] what a requester gets when nobody will answer any more.
//   - [Quit] ends an actor for a reason, and [Cause] tells a Stopping handler the reason, from wherever above it came.
//   - [System.Request] asks an actor from outside (command line, bridge socket, tests) and waits for the answer.
//   - [Credit], [Allowance] and [Lanes] are flow control as plain data, for links and transfers.
//   - [Describe] publishes what an actor says of itself to the census (package census).
//
// # Life of an actor
//
// Started, then messages, then either Stopping and Stopped, or Restarting, after which a new value made by Spec.New
// gets Started. Each value sees exactly one of Stopping and Restarting, and nothing but Terminated and Stopped behind it.
// A panic in Stopping, Stopped or Restarting is recorded and the ending goes on. Children and pumps end between
// Stopping and Stopped, or between Restarting and the next Started.
//
// # Guarantees
//
//   - G1. Messages from one sender to one receiver keep their order; a pump's own sends come before its [PumpDone].
//   - G2. [Lanes] gives control frames out before bulk, and keeps the order of each id.
//   - G3. A request gets exactly one answer from the seam or the actor: [Failed] if the handler panics before it
//     answered, if the request was still queued when the actor stopped, if it was kept (see [Keep]) when the actor
//     ended, or if nobody lives at that PID. Where an actor stores a Sender by hand instead, the seam cannot know.
//   - G4. [Credit] and [Allowance] never let a byte more pass than was granted.
//   - G5. A subtree is gone, its pumps included, before its top is. A pump that does not return within the grace period
//     is given up loudly and stays in the census until it does.
//   - G6. No message content gets into the log or the census: message types and paths only. A panic that is no [Fault]
//     is told by its type and place, since its text might hold anything.
//   - G7. [System.Request] refuses a context without a deadline.
//
// # What actors must not do
//
// The context that an actor is given panics with a misuse [Fault] on what protoactor offers but does badly: Stash,
// SetReceiveTimeout, ReenterAfter, RequestFuture, StopFuture, PoisonFuture and its own Spawn methods. Sending nil or
// a message batch panics in the sender. A context is for use inside Receive only; pumps get what they need as values.
//
// # Testing
//
// Package actorstest has a probe that records what it is sent, and runs a system in a synctest bubble: time is virtual
// and Settle is a true barrier. Each guarantee has a test named for it, and so has each defect of protoactor that is
// mended here (P1, P2, …): should a newer version mend it, the test shows what may go.
package actors
