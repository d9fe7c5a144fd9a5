// Package connections finds the interpreter for a stack of hops, and sets up what is missing.
//
// Purpose: one connection per account, however many workers ask at once and in whatever words. A stack is looked up hop by
// hop from the controller outwards; what stands is reused, an attempt in progress is joined, the rest is started, each hop below the
// interpreter that it starts from. Any number of hops are set up at the same time.
//
// What counts is what settings mean: a first hop's are resolved, where its Dialer can do that, before they are compared. Those of hops further
// out are not, since only the machine before them could, at the price of a round trip. What is not understood in time stands for itself.
//
// A hop can stand twice: with an agent, and bare, without one. Bare are the hops to the last host if that is what was asked
// for and no agent stands there, hosts on the way whose settings say so (spindle_via), and hosts on the way that turn out to
// have no Python. A bare hop to a last host is let go when an agent has come up in its place.
//
// Behind one login, a limited number of accounts is kept (MITOGEN_MAX_INTERPRETERS): before one more is entered, the one
// goes that was not used for the longest time. What a requester has acquired is in use, and stays, until it acquires something else or is gone.
// So is, until the attempt has ended, what somebody waits for and all that this starts from. If that has been given up meanwhile, whoever
// waited begins anew with what follows: as often as something is given up, and each attempt with its own time limit.
//
// Accepts: *Acquire (reply *Acquired or *Refused), *Forget (a requester is gone), *Reset and *Retire (reply *ResetDone), *Ticket (reply *TicketMade),
// *tree.HopReady, *tree.HopFailed, actor.Terminated of hops.
//
// Ordering: nothing is promised between different stacks. Failure: a failed attempt is told to everyone who waits for it and is
// not remembered, so the next request tries again. A lost hop is forgotten together with all below it when its actor is gone.
// A restarted service knows of no hop, so it lets all of them go: their calls end as with a lost link, and the next request dials anew. Whoever still
// waits for an answer of a service that ends, or begins anew, gets one: *Refused as for an interrupted attempt, or *ResetDone.
// The service is never asked to hold a password: settings stay inside Dialers, keys are keyed digests.
//
// Testing: with a Dialer of the test's own and a far end over net.Pipe.
package connections
