// Package benchmarks holds what measures Spindle against stock Ansible and against Mitogen, and the demonstration.
//
// Everything here runs the real programs as a user would run them: ansible-playbook, a real sshd, the spindle binary. It therefore
// imports nothing of Spindle's own packages, and what it reports is what a user would see.
//
//   - sshtarget is a small SSH server for machines without sshd.
//   - target makes a throw-away target of either, with keys and settings of its own, on a loopback port.
//   - run starts Ansible under one engine and collects wall time, CPU time and the recap.
//   - cmd/demo is behind "make demo", cmd/bench behind "make bench-quick".
//   - playbooks holds what they run.
//
// Bytes and round trips are counted by tests/proxy, between the controller and the target.
//
// Results are medians over interleaved rounds and are compared inside one run only: times of two machines, or of two days, say
// nothing about each other. No run passes or fails by its time; it fails when Ansible's recap is not what the playbook must give.
package benchmarks
