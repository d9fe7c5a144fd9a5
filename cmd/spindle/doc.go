// Command spindle is the Spindle program: the multiplexer that ansible-playbook starts, and the tools to set it up and to look at it.
//
//	spindle plugins      unpack the Ansible plugins and print the directory to name in ansible.cfg
//	spindle tree         show the live supervision tree of every running multiplexer of this user
//	spindle version      show what this is
//	spindle completion   print a completion script for a shell
//	spindle serve        the multiplexer itself, started by the plugins
//
// Results go to stdout and everything else to stderr, so each command can stand in a script. The exit status is 0, or 1 with one line of text that
// names the file or variable to look at. Nothing waits for a multiplexer longer than --timeout says.
//
// This package is the only place that wires concrete parts together; it holds no logic of the multiplexer's own. Commands that look at
// running multiplexers find their sockets in this user's run directory and speak the bridge protocol (docs/protocol.md §8).
//
// Testing: testdata/script holds one script for each thing that a user does, run against the real program and stand-ins for multiplexers.
package main
