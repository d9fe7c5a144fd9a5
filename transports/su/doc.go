// Package su is the method "su": another account on a host that has been reached already, by that account's password.
//
// su reads the password from its standard input, and many insist that this is a terminal. So all three streams are one,
// and the agent is sent when the program's marker has come: what is typed ahead would be taken for the password. The
// program passes through the login shell of the account; see [spindle/transports/become.CommandLine].
//
// su asks in the language of the calling account. Linux-PAM's translations are known, and others can be given
// (prompts). What is not recognised is shown in the error at the deadline.
//
// sudo-rs's su puts a terminal of its own in between, and (up to 0.2.15) stops for good when both directions are full. Agents'
// streams have credit, but much data both ways at once can hit it; sudo of the same house has no such weakness here, where it
// has pipes.
//
// # Guarantees
//
// The password is typed once at most. Every failure has the class BecomeFailed. A wrong password is recognised by what
// su says in English, by a second question, or by the end of su behind the question, with its last line in the text.
//
// # Testing
//
// Command lines are compared with testdata/argv.txt (run with -update to write it). The tests against the real su make
// accounts of their own, and take them away. They run in German too, where Debian's translations are installed.
package su
