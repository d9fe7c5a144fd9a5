// Package becometest has what the tests of become methods need: accounts that go with the test ([Account], [Sudoers]), a
// spawner that starts programs as one of them and remembers what is typed ([As]), a far end that says who it is
// ([Reach]), a check of errors ([Refused]), tables of command lines ([Golden]), and a watch on every process of the machine
// for a password that shows ([Canary]).
//
// Accounts are real: they need root, and are in /etc/passwd while the test runs. An account that still has processes
// when its test ends cannot be removed, so nothing is left running unnoticed. [Elsewhere] has accounts in the roots of
// other Debians instead, which the end-to-end tests build; the machine's own files are not touched then.
//
// Where a test cannot run it is skipped loudly, or fails if SPINDLE_TEST_REQUIRE is set ([Need], [Unavailable]). Every dial
// has a deadline, and what is sent then has one too. This package is for tests alone.
package becometest
