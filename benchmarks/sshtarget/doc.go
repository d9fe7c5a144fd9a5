// Package sshtarget is a small SSH server that runs commands as the user who started it.
//
// It stands in for sshd in the demonstration and in benchmarks on machines that have none. It does what Ansible needs of a target and
// nothing else: public key login of one account, exec requests with separate stdout and stderr, exit codes and signals, many
// sessions on one connection. It has no terminals, no shell without a command, no subsystems (so no sftp: Ansible has to be told
// `transfer_method = piped`), no forwarding, no passwords. Host key and the one accepted key are given by the caller; nothing is read
// from, or written to, the user's own SSH files.
//
// A command runs as sshd runs it, `$SHELL -c COMMAND`, in the account's home, in a session of its own. When its connection goes,
// its whole process group is killed, so a server that is closed leaves no process behind. Close ends every connection and returns
// when each command has been reaped.
//
// It listens on loopback only and is no server to put on a network.
package sshtarget
