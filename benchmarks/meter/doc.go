// Package meter counts what crosses a TCP connection.
//
// A Meter listens on a loopback port and passes every connection on to one fixed address, unchanged. Meanwhile it counts, over all
// connections together:
//
//   - connections: how many were accepted;
//   - bytes up (from the client) and down (from the server);
//   - round trips: how often a connection's traffic turned around, that is, how many times bytes came down behind bytes that had gone up.
//     Requests that leave together, without waiting for each other's answer, are one round trip, as they are on a long line.
//
// With a Delay, every byte arrives that much later in each direction, in order and without limiting the bandwidth, so the round-trip
// time grows by twice the delay. The count of round trips is sharpest then, because answers cannot slip in between two writes of
// one request.
//
// A Meter owns its connections: Close ends them all and returns when the last goroutine is gone. Errors of a connection end that
// connection only, as a cut cable would. All methods may be called from any goroutine.
package meter
