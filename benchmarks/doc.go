// Package benchmarks holds what measures Spindle against stock Ansible and against Mitogen, and the demonstration.
//
// Everything here runs the real programs as a user would run them: ansible-playbook, a real sshd, the spindle binary. It therefore
// imports nothing of Spindle's own packages, and what it reports is what a user would see.
//
//   - sshtarget is a small SSH server for machines without sshd.
//   - target makes a throw-away target of either, with keys and settings of its own, on a loopback port; as root, a machine out of
//     namespaces and a line to it, with any delay and limit, and with containers on it.
//   - run starts Ansible under one contender and collects wall time, CPU time and the recap.
//   - meter counts what every process used, wire what crossed the line, and chart draws it.
//   - cmd/demo is behind "make demo", cmd/bench behind "make bench" and "make bench-quick".
//   - playbooks holds what they run.
//   - mitogen.sh fetches the Mitogen to compare with; results holds what was measured.
//
// Results are medians over interleaved rounds and are compared inside one run only: times of two machines, or of two days, say
// nothing about each other. No run passes or fails by its time; it fails when Ansible's recap is not what the playbook must give.
package benchmarks
