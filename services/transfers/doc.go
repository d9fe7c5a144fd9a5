// Package transfers shares the memory that all file transfers of the process may use.
//
// Purpose: each transfer may have a window of bytes under way on its link; the sum over all is bounded by Budget, whatever the
// number of hosts. A transfer asks with *tree.Reserve and gets *tree.Reserved when there is room, in the order of asking.
//
// Accepts: *tree.Reserve, and actor.Terminated of a holder, which releases what it held: a transfer's life is its lease.
//
// Ordering: first come, first served; a large reservation is not overtaken by small ones. Failure: restarted with an empty
// ledger; transfers that held something go on, so the bound may be exceeded once by what was under way.
//
// Testing: driven with probes; no time is involved.
package transfers
