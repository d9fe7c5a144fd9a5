// Package services is the parent of the actors that contexts share: connections, blobs and transfers, each in a package of its own
// below this one.
//
// Purpose: one supervisor for what may be restarted. Hops and calls never are: they stand for something on a target that a
// restart would lose. A service stands for bookkeeping, and can begin anew: blobs and transfers empty, connections by letting every hop
// go that it no longer knows (see there).
//
// Ordering: services are started in the order of Specs. Failure: a service that fails is restarted after a pause that
// grows; one that keeps failing takes the whole process down, because nothing works without it.
//
// Testing: the services themselves are tested in their packages; this one is bookkeeping about who is whose child.
package services
