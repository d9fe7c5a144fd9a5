// Package e2e runs real playbooks through the multiplexer, against real sshd targets, on every supported version of Ansible.
//
//   - parity: the tour and the parity playbooks under a stock strategy and under ours, compared result by result, and the machines file by
//     file; the tool behind make parity does that with any playbook;
//   - round trips: counted by a proxy on the way to the target;
//   - first steps: what a user meets first (plugins, one ping, the tree, a warning when we fall back);
//   - connections: every engine of containers, alone and behind ssh, compared with the collections' own plugins;
//   - topology: a chain of machines of which each sees the next one only, and what happens when it breaks;
//   - stacks: every way to an account, and whether mitogen_get_stack tells the truth;
//   - overlap: two hundred delegated tasks, as many at work as there are forks; accounts: what a login would change, and thousands in one loop;
//   - reboot: a target that goes down and comes back, by the module and under a task; no_log, at the loudest: nowhere to be seen;
//   - bare: a target without Python, on which the play installs it; passwords: nowhere to be seen.
//
// The fault tests are in tests/e2e/faults. All of it is behind the build tag e2e, since it needs root, Ansible, and on a fresh machine a minute
// to build Debian roots:
//
//	go test -tags e2e -p 1 ./tests/...
//
// The machines come from tests/env, the comparison from tests/parity, the bad network from tests/proxy. A test that cannot run
// says so loudly and is skipped; with SPINDLE_TEST_REQUIRE set it fails instead.
// SPINDLE_TEST_ONLY_STOCK runs the stock strategies against themselves: it proves the harness, without the product.
package e2e
