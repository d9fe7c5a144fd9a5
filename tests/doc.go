// Package tests holds what is true of the whole of Spindle rather than of one package.
//
// Here, at the top, are the rules of the architecture (docs/development.md: which package may lean on which, what an actor
// may not do, what has to be documented). They read the source, take a second, and run with the ordinary tests.
// Each rule is a function over parsed files, with a test of its own that shows a violation being found.
//
//   - env: real machines out of namespaces, with sshd, accounts, and every supported version of Ansible
//   - cgroups: control groups for machines with container engines
//   - proxy: a bad network that counts
//   - parity: the comparison of two runs of a playbook
//   - playbooks: the tour and what belongs to it, and the parity playbooks, a directory for each theme
//   - e2e: real playbooks through the multiplexer (build tag e2e)
//   - e2e/faults: kills, broken networks, full disks, wrong passwords (build tag e2e)
//
// "go test ./..." runs what needs nothing; "go test -tags e2e -p 1 ./tests/..." runs all of it.
package tests
