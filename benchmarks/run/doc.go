// Package run starts Ansible under one engine and reports what it cost.
//
// An Engine is a way to run playbooks: stock Ansible, Mitogen from Debian's package, Spindle. A Lab is a directory with an inventory, an
// ansible.cfg for each engine, and private places for everything that Ansible and SSH would otherwise put into the user's home, so
// that nothing of the user's takes part and nothing is left behind. All engines get the same settings: pipelining,
// ControlPersist, the same interpreter, forks and SSH options.
//
// The hosts may also be Containers on one machine, which each engine reaches as its users would.
//
// A run starts cold: no SSH master, no agent and no multiplexer of an earlier run is alive. It ends when everything that it started on the
// controller has ended, daemons included; their CPU time is counted too, because an engine must not look cheap by moving its work
// elsewhere. That is done by adopting orphans (PR_SET_CHILD_SUBREAPER), so a program should measure one run at a time, and
// targets belong into a process of their own (target.Spawn).
//
// A run counts only if it did what was asked: Result.Check compares the recap, and refuses a run of Spindle that fell back to stock connections.
package run
