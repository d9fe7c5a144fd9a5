// Package treetest plays the far end of a hop for tests: a Dialer whose agent is a function of the test.
//
// The far end runs in a goroutine of its own over net.Pipe, so a test can send any frame at all, at any time, and end the
// link when it likes. What it reads and writes are real frames (transports/wire).
//
//	d := &treetest.Dialer{T: t, Label: "ssh:web1", Joined: &wg, Play: func(f *treetest.FarEnd) {
//		call := f.Next()
//		f.Send(call.ID, wire.Result{RC: 3}, nil)
//		treetest.UntilGone(f)
//	}}
//
// Wait for Joined at the end of the test, after the actors have been stopped, so that no far end outlives it.
package treetest
