// Package cgroups gives a machine out of namespaces control groups of its own, which is what container engines and systemd want of one.
//
// They lie below the group of the process that makes them, in every hierarchy that is mounted, in a directory with a prefix and the number of
// that process for a name. [Groups.Enter] starts a program in them, and [Groups.Mount] is what mounts them on a machine that has a namespace for
// them, which then sees nothing else. So what an engine leaves there is found and removed by name, on a machine of either kind of control groups,
// and of both at once.
//
// The kernel ends the processes of a machine and unmounts what it had, but does not remove its groups. That is up to [Groups.Remove], and, where
// whoever had to call it was killed, to [Sweep].
//
// It needs root. Test it with: go test ./tests/cgroups
package cgroups
