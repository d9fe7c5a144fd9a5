// Package faults breaks things while a playbook runs, and looks at what is left.
//
// Kills: at a random moment of a run, one of ansible-playbook, the multiplexer, a worker, the sshd session or the agent is
// killed without warning. Afterwards ansible-playbook has to end within a deadline; on neither side a process, socket or temporary
// file of ours may be left some seconds later; work that was reported as done has been done, exactly once; and a host whose side was
// not touched has all of its work. The moments come from a seed that every failure prints: SPINDLE_TEST_SEED repeats a run,
// SPINDLE_TEST_KILLS sets how many are made.
//
// Errors: wrong passwords, unknown keys, no network, no Python, a full disk, a target that sends garbage. Each has a text that users
// rely on, a deadline, and a second host in the same play that must not notice.
//
// How the checks are tested: the stock strategy under the same kills leaves things behind, and TestTheChecksCanFail
// demands that they are found.
package faults
