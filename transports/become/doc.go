// Package become is the method "become": another account by whatever become plugin of Ansible, which says itself what it
// runs, what it asks and how it complains. It also has what this method shares with su and doas: how the program is
// written for a shell that nobody knows, how passwords are asked for in many languages, and the [Conversation].
//
// # The plugin's command
//
// A plugin makes one string for a shell. Where the program is to stand, it has the word [Placeholder], and that may be
// anywhere: a plain argument, or inside quotes inside quotes, since most plugins quote the whole for a second shell, and
// some for a third. The string is therefore read as a shell reads it, level by level, and at each level the program
// is written such that exactly this level takes the writing off again. If "/bin/sh -c" stands before the placeholder,
// it stands for that shell's script alone; in place of the bare word comes the shell too.
//
// The innermost writing (see [CommandLine]) has double quotes and backslashes only, and nothing in it means anything
// else to the C shell or to fish: the login shell of an account may be any.
//
// # The terminal
//
// The program has a terminal for all three streams, because plugins use either way to ask: on the terminal, or on the
// standard input (sudo -S, sesu). So nothing is sent ahead that could be taken for an answer. Programs that put one more
// terminal in between (run0, machinectl) leave that in a state for people, so the far end makes its terminal
// raw before anything else. With tty false there are pipes, and no question can be answered.
//
// # Guarantees
//
// A password is typed once at most. Every error has the class BecomeFailed; none shows a password. A question that is
// not recognised, and the last lines before the deadline, are in the error's text.
//
// # Testing
//
// The levels of quotes are tested with the shells themselves. The conversation runs against the real sudo and su, by the
// command lines that Ansible's plugins make, and against stubs of the programs that cost money. Package becometest has the
// accounts for such tests.
package become
