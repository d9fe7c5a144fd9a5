// Package proxy is a TCP proxy that stands between a controller and a target and makes the network bad, or measures it.
//
// It delays each direction by a one-way latency, the opening of a connection by the round trip that TCP's handshake would cost,
// paces each direction to a bandwidth, and can, while connections are open, cut them, go silent, garble bytes or end the
// stream in the middle.
//
// It counts what passes: connections, bytes in each direction, and flights. A flight is client data that was sent after
// data of the server had reached the client: one request that had to wait for an answer, and so one round trip. What
// the client sends without having received anything since is part of the same flight. The count is taken where the client is, so
// it does not depend on the delay: what the client did in one flight at 50 ms, it did in one flight at 0 ms, unless it
// was too slow to send before the answer to the first half came.
//
// Guarantees, each with a test: bytes keep their order and value (unless garbling is on); a byte never arrives earlier than the delay after
// it was sent; a queue holds a bounded number of chunks, so a fast sender is slowed down and memory stays flat; Close ends every
// connection and leaves no goroutine behind.
//
// The sockets come from two functions, so a proxy can stand in any network namespace, and in a synctest bubble.
package proxy
