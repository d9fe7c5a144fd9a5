package sudo

import (
	"fmt"
	"strings"
)

// settings are what sudo is to be told.
type settings struct {
	exe               []string
	user              string
	preserveEnv       bool
	setHome           bool
	login             bool
	role, selinuxType string
	more              []string // options that are passed on as they are
}

// argv is the whole command line; users' sudoers and playbooks know its order.
func (s *settings) argv(program []string) []string {
	argv := append(s.exe[:len(s.exe):len(s.exe)], "-p", prompt, "-u", s.user)
	if s.preserveEnv {
		argv = append(argv, "-E")
	}
	if s.setHome {
		argv = append(argv, "-H")
	}
	if s.login {
		argv = append(argv, "-i")
		program = loginSafe(program)
	}
	if s.role != "" {
		argv = append(argv, "-r", s.role)
	}
	if s.selinuxType != "" {
		argv = append(argv, "-t", s.selinuxType)
	}
	argv = append(argv, s.more...)
	argv = append(argv, "--")
	return append(argv, program...)
}

// loginSafe rewrites {sh, -c, script, …} such that it survives -i. There sudo joins the words for the target's login
// shell and puts a backslash before each character but letters, digits, _, - and $. So the login shell expands
// what begins with $, and drops each newline together with its backslash. The script is therefore spelled in
// octal, and comes to itself in the shell that is meant to run it.
func loginSafe(program []string) []string {
	if len(program) < 3 || program[1] != "-c" || !strings.ContainsAny(program[2], "$\n") {
		return program
	}
	var b strings.Builder
	b.WriteString("eval \"`printf %b '")
	for _, c := range []byte(program[2]) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == ' ', c == '_', c == '-', c == '.', c == '/':
			b.WriteByte(c)
		default: // digits too: one behind an octal number would become part of it
			fmt.Fprintf(&b, `\0%03o`, c)
		}
	}
	b.WriteString("'`\"")
	safe := append([]string(nil), program...)
	safe[2] = b.String()
	return safe
}
