// Package setns is the method "setns": it enters a container's namespaces from outside, by the kernel and not by the
// container's tool. So it reaches containers whose tool is broken, slow or has no way in, and it needs root where it starts.
//
// Two programs are started, one behind the other, in the same place. The first is the container's tool (docker, podman,
// lxc-info, lxc, incus or machinectl), which is asked for the container's first process. The second is enter.py, run by
// any Python from 2.7 up that is there: it joins the namespaces of that process and its root directory, forks, since
// a new PID namespace holds for children only, and starts the program as the user who is wanted. It stays outside as that
// program's parent: signals go through it inwards, the exit status outwards.
//
// Nothing of the container is run, loaded or believed before that: the account is looked up in the container's
// /etc/passwd and /etc/group as text. Only for a user who is not there, the container's getent is asked.
//
// # Guarantees
//
// The program runs with the user's uid, primary group and supplementary groups, all of them; with HOME, SHELL, LOGNAME
// and USER set and, where it can be, in the home directory. A process in the tool's answer that is in no container of its
// own is refused: it would be the host itself. A failure has the class Unreachable, and what enter.py says is its text.
// When the link is closed, or the process that started it dies, the program ends as it would anywhere else.
//
// # Testing
//
// The tests put scripts in the tools' place. As root they build small containers of namespaces, and enter these with
// every Python that is found: this machine's, those of the Debian roots (SPINDLE_TEST_ROOTS), and what
// SPINDLE_TEST_PYTHONS lists. The real tools are met in tests/e2e.
package setns
