// Package bootstrap is what runs on a target, and what it takes to start it there.
//
// The agent is Python (2.7, and 3.5 up, from one source) in the directory agent/. It is joined behind the frame codec
// of transports/wire, stripped of comments, docstrings and indentation, and compressed, once per process. Nothing of it
// is ever written to a disk of the target.
//
// [Argv] is a POSIX shell's command line. Its script tries candidates for the interpreter, in order and on the same
// connection, and execs the first that works with the first stage: a line of Python that prints
//
//	SPINDLE1 <nonce>
//
// reads exactly [PackedSize] bytes from its stdin, and runs what they hold. If there is no interpreter, the script
// prints `SPINDLE0 <nonce> no-python`, waits for the end of its stdin, and exits with 127. [Flight] is what to write to
// that stdin, at once and without waiting for anything: the packed agent, and behind it READY, which the agent answers
// with HELLO. From then on the agent speaks docs/protocol.md.
//
// On the target there are two processes per account. The one that was started becomes the warden: it has no part in
// the link, knows every process group and every temporary file of the agent, and cleans up when the agent ends, however
// that happens. Its child, the agent, is an event loop that runs nothing itself: every call is a fork, in a session
// and process group of its own. The agent imports Ansible's module_utils when it first sees them, so those forks start
// warm.
//
// The words of a command line are plain: the script has one line and neither exclamation marks nor single quotes, so
// any login shell can be made to pass it on unchanged by quoting.
//
// The tests run the real agent, with every Python that they find, over pipes. See agent_test.go for how to talk to it.
package bootstrap
