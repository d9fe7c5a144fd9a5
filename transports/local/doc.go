// Package local starts programs on this machine, and holds the method "local". It runs on Linux.
//
// Each program is the leader of a session and a process group of its own: Ctrl-C typed at Ansible's terminal does not
// reach it, and Close reaches everything that it started, short of what left the group by itself.
//
// # Guarantees
//
// Every program is reaped as soon as it ends, asked for or not, and no thread is spent on waiting for it. Close makes
// every Read and Write return, sends the group TERM, and KILL to what is left when the program itself has ended or when
// the grace is over; it returns when the program is reaped. Programs that have a terminal for everything are first given
// a moment to end by the loss of that. What a program that ended by itself has left running is
// not touched: it may be a daemon. A program that changed its uid (sudo) may be out of reach for signals; it loses
// its streams and its terminal then, which ends it unless it is made to survive that.
//
// When this process dies, however it does, the programs see the end of their streams, and the kernel sends TERM to those
// that did not change their uid. That signal is bound to the thread that started them, so one thread starts them all and
// lives as long as any of them does; see [Spawner].
//
// # Testing
//
// The package passes transporttest.Run. What belongs to Linux and to processes alone (descriptors, groups, reaping, the
// death signal) is tested here.
package local
