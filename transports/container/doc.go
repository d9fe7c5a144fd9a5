// Package container holds the methods that enter containers by the tool that runs these: docker, podman, buildah, kubectl,
// jail, lxc, lxd and incus. (Package setns enters them without asking the tool to.)
//
// They are all alike: one program is started, with pipes and no terminal, and runs another one inside. None of them asks
// anything. So a method is no more than its command line, made when the settings are read:
//
//	docker   DOCKER [EXTRA…] exec --interactive [ARG…] [--user=USER] CONTAINER …
//	podman   PODMAN [EXTRA…] exec [--user=USER] --interactive [ARG…] -- CONTAINER [sudo -n|su -c] …
//	buildah  BUILDAH [EXTRA…] run [--user=USER] [ARG…] -- CONTAINER …
//	kubectl  KUBECTL [ARG…] exec -it POD -- …
//	jail     JEXEC [-U USER] JAIL …
//	lxc      LXC_ATTACH [EXTRA…] --clear-env --name CONTAINER -- …
//	lxd      LXC [EXTRA…] [--project PROJECT] exec --mode=noninteractive [REMOTE:]CONTAINER -- [SU USER -c] …
//	incus    INCUS [EXTRA…] [--project PROJECT] exec --mode=non-interactive [REMOTE:]CONTAINER -- [SU USER -c] …
//
// Users know these shapes, and have wrappers and sudoers that know them too: without the optional parts they are what
// they have always been with Mitogen.
//
// # Guarantees
//
// A name never turns into an option of the tool: what begins with a dash, and what holds control characters, is refused
// by the name of its key. Settings in env reach the tool's environment and nothing else. A failure has the class
// Unreachable. Its text is what came from the tool up to its end, since the tools have no other way to say what is wrong;
// for those that rarely say it, a hint follows. The values of kubectl's --token and --password stand in its command line,
// where kubectl wants them, but in no error.
//
// # Testing
//
// Command lines are compared with testdata/argv.txt (run with -update to write it). The conversation tests put scripts in
// the tools' place, which check how they are called and then run the program, so that a real agent comes up behind each.
// The real tools are met in tests/e2e. There is no jail on Linux: its script says that it is one.
package container
