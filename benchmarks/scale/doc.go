// Package scale measures what many hosts at once cost one multiplexer: memory and goroutines of each idle hop, the time
// until the first and the last of a crowd has its result, and the CPU of a call while hosts become more.
//
// No machine here has ten thousand hosts, so the targets are a stand-in, and it says so: one process that speaks SSH
// (really, on loopback, each host with an address and a connection of its own) and the agent's protocol, with Go in the
// place of Python, and answers every call at once. What is measured is the other end: the program spindle itself, started
// as the plugins start it, and asked over its socket.
//
// CPU and the resident set are what the system says of the multiplexer's process and of what that has started; heap,
// stacks and goroutines are what it says itself (op stats of docs/protocol.md), when garbage has been removed.
//
// The package's test has 500 hosts, and make soak as many as the usual limit of open files allows.
package scale
