// Command bench compares stock Ansible, Mitogen and Spindle, side by side in one run.
//
// For each case it runs every contender in turn, round after round, so that what else the machine does hits all of them alike. With --root, as
// root, each run has a machine out of namespaces for its target and a line of its own to it, of any length; otherwise this machine is the target, over a
// throw-away sshd on loopback (package target).
//
// It prints the goals with what was measured, then medians of wall time and of the controller's CPU time with ratios, what crossed the wire, and what the
// processes on both sides used, by kind. With --out it writes these tables, every single result as JSON, and charts; --render makes the
// tables and charts of such a JSON file again. docs/performance.md says how everything is counted.
//
// It never judges times. It exits with 1 when a run did not do what its playbook asks for (the rest is measured all the same), and with 2 on
// wrong usage.
//
//	bench [--profile quick|short|goals|containers|all] [--rounds 5] [--only loop,loop@26ms] [--engines stock,spindle] [--out benchmarks/results/goals]
package main
