// Command bench compares stock Ansible, Mitogen and Spindle, side by side in one run.
//
// It starts a throw-away sshd on loopback (package target), and for each case runs every engine in turn, round after round, so that what
// else the machine does hits all of them alike. It prints medians of wall time and of the controller's CPU time as a Markdown table,
// with ratios to Spindle, and then, from one more round through a counting proxy, bytes and round trips. With --json all
// single results are kept.
//
// It never judges times. It exits with 1 when a run does not do what its playbook asks for, and with 2 on wrong usage.
//
//	bench [--spindle bin/spindle] [--rounds 5] [--only loop,ping] [--engines stock,spindle] [--json FILE]
package main
