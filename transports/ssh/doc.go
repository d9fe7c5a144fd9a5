// Package ssh reaches hosts by SSH, natively or with the ssh program: the method "ssh".
//
// What users have written into ssh_config holds in any case, because ssh itself is asked: ssh -G evaluates the
// configuration (Match and Include too) with the very options that the program would get. A table says of every option
// whether the native client honours it, whether it is without effect here, or whether it is a matter for the program; an
// option that nobody has thought of goes to the program, unless it has its default value. Booted.Why names
// the option that decided, and [Dialer.Explain] tells it without connecting. What ssh has said is remembered until its
// files change.
//
//   - Natively, one connection per hop is opened by golang.org/x/crypto/ssh inside this process: 2 ms of CPU in place of
//     80, and no process to keep. Jump hosts are connections in connections, each with its own configuration, host key
//     check and login.
//   - The program is started by way of any Spawner, so it may as well run on an intermediary; on any but this
//     machine it always does.
//
// The native client passes on to the program, within the same deadline, if a name cannot be resolved, if it has no
// algorithm in common with the server, or if an agent or a security key will not sign for it; never after a password
// has been sent.
//
// # Guarantees
//
// A password is sent once in a dial, to the host itself and to no jump host, and never to a server whose key has
// changed. Unknown and changed host keys are refused as StrictHostKeyChecking says; nobody is there to be asked, so
// "ask" refuses. connect_timeout bounds everything from ssh -G to the agent's HELLO, unless the user's own ConnectTimeout
// and ConnectionAttempts are more. A link that falls silent is asked for a sign of life every keepalive_interval, and given up when that has passed without an answer keepalive_count times in a row. Closing a
// link ends its connection, and those that it runs through. The texts of errors are the same on both ways, and their class is always
// Unreachable.
//
// # What differs from ssh
//
// Connections are not shared between processes (ControlMaster without a ControlPath means nothing), nothing is
// compressed below our own framing, keys are not added to agents, host keys are not rotated (UpdateHostKeys), and the key
// that the settings name is offered first.
//
// # Testing
//
// The tests start servers of their own on loopback addresses, and accounts to log in to; they need root and sshd, and say
// so when they are skipped.
package ssh
