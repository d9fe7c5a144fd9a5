// Package ansiblebridge is what Ansible sees of the multiplexer: a unix socket, one session actor per connection to it, and the
// Python plugins that talk to it (python/, embedded in the binary).
//
// Purpose: translate between the bridge protocol (docs/protocol.md §8) and the actors below. It knows nothing of SSH or sudo,
// and never reads a module's arguments or result.
//
// Ordering: calls of one worker to one context keep their order. Failure: a session dies with its socket; its open calls are
// cancelled, except those sent with NOREPLY. A broken or hostile client (of the same uid; others are refused) ends its own session.
//
// The socket is created with mode 0600 in a directory of mode 0700, and the peer's uid is checked with SO_PEERCRED.
//
// Testing: the server takes any net.Listener; sessions are driven over a real unix socket in tests.
package ansiblebridge
