// Command scale measures what many hosts at once cost one multiplexer, against a stand-in for targets, and prints three
// tables: how a crowd connects, what a call takes while hosts become more, and what they take while they are idle.
//
//	make
//	go run ./benchmarks/cmd/scale --binary bin/spindle --hosts 10000 --crowd 1000
//
// With --profiles DIR, Go's heap and goroutine profiles of the multiplexer with all its hosts are kept there; build the
// binary without -s -w to read names in them. Each host takes an open file in either process, so that the limit (ulimit
// -n) has to be above their number.
//
// See the package benchmarks/scale for what is measured and how.
package main
