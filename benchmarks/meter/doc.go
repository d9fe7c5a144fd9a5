// Package meter says what a run cost: CPU time, page faults, forks and peak memory of every process that it started, by kind of process.
//
// The kernel itself reports each task that ends (taskstats), with the exact figures of its whole life, to whoever listens. So
// nothing is sampled, nothing is slowed down, a process that lived for a millisecond counts as well as a daemon, and the same is counted for
// every contender, whatever it starts and however it cleans up. A task belongs to a run if the chain of its parents leads to one of the
// run's roots: the command, whoever adopts its orphans, or process 1 of the target.
//
// The kernel gives numbers of processes again, within minutes where much is started. So a parent must have lived when its child ended; what else
// the machine does meanwhile is not counted.
//
// What a target's daemons had done before a run is taken off what they have done at its end (Living).
//
// It needs root, and the first network and process namespaces of the machine. Elsewhere Listen says so, and a run has no such figures.
package meter
