// Package env builds the machines that the end-to-end tests run against, out of namespaces of the machine at hand.
//
// A [Lab] is a private Ethernet switch: a network namespace with a bridge, which nothing outside can reach and which
// reaches nothing outside. Machines are plugged into it. A [Host] is a target: its own network, mount, process, host
// name and IPC namespaces, an overlay over a read-only root file system, and a real sshd as process 1. A [Controller] is
// where ansible-playbook runs: the same, with a reaper as process 1 and the network namespace of the switch itself.
//
// The lower layers of an overlay are never written: the root (the machine's own "/", or a Debian root that roots.sh
// built) and a layer with the users and keys of the tests, made once per test binary. So a machine starts in a tenth of
// a second, all machines of one kind are identical, and its upper layer is exactly what was changed on it.
//
// A [Segment] is a further switch; hosts with a leg in two of them are the only way between. An [Engine] is a container engine, started at its usual
// places on a controller or host that has room for it: all of them come from one Debian root, so that nothing is installed on
// the machine at hand, and each runs in the namespaces and control groups of its machine and ends with it. A [Container] is
// looked at from outside as a machine is.
//
// [Machine.Files] and [Machine.Processes] look at a machine from outside. They see everything, whoever owns it, also when nothing
// on the machine works any more; the leftover checks of the fault tests stand on them.
//
// Everything goes with the test: a machine is a process tree that the kernel kills together with the test binary, its
// namespaces and mounts go with its last process, and what is left of the scratch directory of a binary that was
// killed is removed by the next one.
//
// Namespaces need root. [New] skips a test loudly where they cannot be had, and fails it where SPINDLE_TEST_REQUIRE is
// set, as it is in CI. Where there is no root, [Loopback] is a target: an sshd of the calling user on a loopback address.
//
// Test it with: go test -tags e2e ./tests/env
package env
