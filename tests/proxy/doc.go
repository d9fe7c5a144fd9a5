// Package proxy is a TCP proxy that stands between a controller and a target and makes the network bad, or measures it.
//
// It delays each direction by a one-way latency, the opening of a connection by the round trip that TCP's handshake would cost,
// paces each direction to a bandwidth, and can, while connections are open, cut them, go silent, garble bytes or end the
// stream in the middle.
//
// It counts what passes: connections, bytes in each direction, and flights. A flight is what a client sends without an answer to
// any of it: each flight behind the first had to wait for an answer to the one before it, and so is one round trip. An answer that comes in two
// pieces, with the client moving at each, is still one answer, and what the server says by itself is none. The count is
// taken where the client is, so it does not depend on the delay: what the client did in one flight at 50 ms, it did in one flight at
// 0 ms, unless it was too slow to send before the answer to the first half came.
//
// Guarantees, each with a test: bytes keep their order and value (unless garbling is on); a byte never arrives earlier than the delay after
// it was sent; a queue holds a bounded number of chunks, so a fast sender is slowed down and memory stays flat; Close ends every
// connection and leaves no goroutine behind.
//
// The sockets come from two functions, so a proxy can stand in any network namespace, and in a synctest bubble.
package proxy
