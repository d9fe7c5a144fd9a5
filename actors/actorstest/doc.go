// Package actorstest helps to test actors: deterministically, without sleeping, and without looking inside them.
//
//   - [Bubble] runs a test in a synctest bubble with a system of its own. Time is virtual: an hour's timeout passes in
//     no time once everybody waits. At the end the system must stop within a (virtual) minute and leave nothing.
//   - [Settle] returns when every actor and pump in the bubble has nothing left to do: what has not happened by then
//     will not happen until time moves on or a message is sent.
//   - [Probe] is an actor that records what it is sent, with the sender, and can send requests as itself. [Expect] takes
//     the next message out of it and fails the test unless it has the wanted type; [Probe.ExpectNone] fails it if
//     there is any.
//   - [Env.Within] makes the context with a deadline that requests insist on.
//
// Assertions belong in the test's goroutine: t.Fatal inside an actor would leave its mailbox running for ever. Inside a
// bubble use net.Pipe and not sockets: a goroutine that waits for the kernel is never settled.
package actorstest
