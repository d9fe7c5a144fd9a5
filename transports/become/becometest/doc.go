// Package becometest has what the tests of become methods need: accounts that go with the test ([Account]), a spawner that
// starts programs as one of them and remembers what is typed ([As]), a far end that says who it is ([Reach]), and a
// watch on every process of the machine for a secret that shows ([Canary]).
//
// Accounts are real: they need root, and are in /etc/passwd while the test runs. Where that cannot be, the test is
// skipped loudly, or fails if SPINDLE_TEST_REQUIRE is set.
package becometest
