// Package sudo is the method "sudo": another account on a host that has been reached already.
//
// sudo runs with pipes for stdin and stdout, which stay clean, and a controlling terminal, on which it asks: it takes no
// password from elsewhere, sudoers' requiretty is satisfied, and nothing has to be known about use_pty. The prompt is set
// to a word that nothing else prints. sudo-rs puts a frame of its own around that, and another prompt behind it, in any
// language; with pwfeedback, asterisks follow what is typed. All these are recognised.
//
// # Guarantees
//
// The password is typed once at most, and only behind that prompt. Every failure has the class BecomeFailed, which
// fails the task and keeps the host. What sudo says when it refuses ("alice is not in the sudoers file", "unknown user",
// "you must have a tty") is the error's text as soon as it is there; a refusal in another language is found at sudo's
// exit, among the last lines.
//
// # Testing
//
// Options and argv are compared with testdata/argv.txt (run with -update to write it). The tests against the real sudo
// make accounts of their own and a file in /etc/sudoers.d, and take both away; without root or sudo they are skipped.
package sudo
