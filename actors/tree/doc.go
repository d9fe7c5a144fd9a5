// Package tree holds the actors whose supervision tree is the delegation tree: tree, hop, interpreter, call and transfer.
//
//	tree                         parent of all first hops
//	└─ ssh:deploy@web1           hop: one way to an account; dials, then owns the interpreter
//	   └─ python3                interpreter: the conversation with one agent
//	      ├─ call:17             one request: sent, running, one terminal answer
//	      ├─ put:18, get:19      transfer: one file, with credit and digest
//	      ├─ sudo:root           hop, started by this interpreter's agent
//	      └─ docker:app1         hop, bare: there is no Python
//	         └─ sh               shell: stands for an interpreter; runs commands, copies files, starts hops
//
// Purpose: everything below a hop belongs to that hop's account, so losing a hop stops its subtree and nothing beside it.
//
// Ordering: calls of one requester to one interpreter reach the agent in the order in which they were sent (G1);
// control frames overtake bulk (G2); a hop is reported gone after all below it are gone (G5).
//
// Failure: every *Invoke, *Put and *Get is answered by exactly one *Done, also when the agent dies, the link is lost or
// an actor panics (G3). No actor here is ever restarted: a restart would lose what the far end is doing. The
// connections service decides on a fresh dial at the next use.
//
// What hops behind an agent need (agents, module code) goes to that agent once, and from there by SPLICE.
//
// Flow: bulk moves against credit only (G4); chunks are passed by reference and belong to the receiver.
//
// Testing: New… functions take what they need as Config, a Dialer is an interface, and a far end is any
// transports.Link, so tests drive a whole branch over net.Pipe.
package tree
