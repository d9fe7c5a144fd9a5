// Package transports says how a context is reached: which program to start, where, on what kind of terminal, which
// prompts to answer on the way, and how to tell that the agent at the far end has come up. It is plain blocking Go with
// context.Context: no actors, no policy, no retries.
//
// Three ideas carry every connection type, become method and delegation:
//
//   - A [Spawner] starts a program somewhere (on this machine, in a session of an SSH client, under the agent of another
//     context) and gives a [Link] to it.
//   - A [Dialer] is a hop's settings made ready: a method (ssh, sudo, local, …) has a [Factory] which reads the settings,
//     refuses wrong ones, and does nothing else. Most dialers are a [Plan]: what to start and the [Script] of what the
//     program may ask or complain about.
//   - [Converse] drives a Script: it sends the agent, answers each prompt once, puts up with login noise, and returns
//     when the agent has said HELLO, or with a [ConnectError] whose text is meant for the user.
//
// Where there is no Python, the same plans lead to a [Shell] in an agent's place: [OpenBare]. A method whose dials are
// plans says so by the one method of [Planned], and is done. Links whose far side can hold content are a [Splicer].
//
// # Guarantees
//
// An answer to a prompt is typed once at most in a conversation: being asked again means that it was wrong. Secrets are
// in no error, no kept line, no argv and no environment. What the far end sends before it has proved to be an agent
// costs a bounded amount of memory and ends at the deadline at the latest. The [wire.Reader] that a conversation hands
// over starts at the first byte behind HELLO, whatever the chunks were in which bytes arrived. When a dial fails,
// its link is closed, its program is gone, and no goroutine of it is left.
//
// # Testing
//
// Package transporttest holds the suite that every Spawner passes. A Script is tested without any far end by giving
// Converse a link made of in-memory pipes, as this package's own tests do.
package transports
