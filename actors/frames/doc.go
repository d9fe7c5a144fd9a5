// Package frames moves protocol frames between an actor and a byte stream.
//
// An actor that owns a link (an interpreter, a session) never blocks in Read or Write itself. It owns two pumps,
// goroutines supervised through actors.Go:
//
//   - the reader pump (Read) turns bytes into *In messages. At most ReadAhead of them are under way: the pump waits until the
//     actor has called In.Done, so a flooding peer fills a socket buffer and not the mailbox.
//   - the writer pump (Outbox) is the only goroutine that may block in Write. The actor hands it one batch at a time
//     and gets *Wrote back, so what waits does so in two lanes, where control frames overtake bulk of other ids
//     (guarantee G2).
//
// On links that cross a network the writer pump packs what stands between blobs and data (NewPackingOutbox), and the reader pump
// opens what comes packed, if it is given a wire.Unpacker.
//
// Purpose: one place for the rules about who may block where. Ordering: frames of one id leave in the order in
// which they were pushed. Failure: the first error of either pump reaches the owner once, as *Lost, and nothing follows it from that pump.
package frames
