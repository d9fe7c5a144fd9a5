// Package blobs holds content that can be sent twice, by digest, and which closures it makes up.
//
// Purpose: a module's files enter the multiplexer once per run, from whichever worker is first, and leave it once per
// link. The service knows bytes and closures only; which interpreter already has which blob is known by that interpreter,
// because that knowledge dies with its link.
//
// Accepts: *tree.Fetch (reply *tree.Fetched or *tree.Unknown), *Register (reply *Missing), *Store (no reply).
//
// Ordering: a *Store before a *tree.Fetch of one sender is seen by it. Failure: restarted empty; workers are then told
// UNKNOWN_CLOSURE and register again, so nothing is lost but bytes.
//
// Testing: pure enough to be driven with a probe; no time is involved.
package blobs
