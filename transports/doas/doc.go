// Package doas is the method "doas": another account on a host that has been reached already.
//
// doas runs with pipes for stdin and stdout, which stay clean, and a controlling terminal: it asks there and nowhere
// else. Its own prompt names account and host; behind PAM it may ask in any language. Where its configuration says
// nopass or persist, it does not ask.
//
// # Guarantees
//
// The password is typed once at most. Every failure has the class BecomeFailed. What doas says when it refuses ("doas:
// Operation not permitted") is the error's text.
//
// # Testing
//
// Command lines are compared with testdata/argv.txt (run with -update to write it). The tests against the real doas make
// accounts of their own, and show them a configuration of their own, in a mount namespace.
package doas
