// Command demo runs one playbook under stock Ansible and under Spindle, against a target that it makes and throws away, and shows what
// either cost and what Spindle's supervision tree looked like meanwhile.
//
// "make demo" installs what is missing, builds, and calls it. It needs no root, and touches no key, setting, service or file of the
// user's: the target is the machine's own sshd with private settings, or a built-in SSH server where there is none, and all files
// are in one temporary directory, which is removed at the end, also on Ctrl-C.
//
// What it prints: both wall times and their ratio, the round trips and bytes each way as a counting proxy in front of the target saw
// them, and the tree as `spindle tree` printed it while the playbook ran. One run on a busy machine is no measurement: that is
// what "make bench-quick" is for.
//
//	demo [--spindle bin/spindle] [--delay 5ms] [--embedded]
//
// The line to the target is made a little longer (--delay), as lines to real machines are; --delay 0 leaves it out. It ends with 1 if
// either run fails or the two recaps differ, never because of a time.
package main
