package setns

import (
	_ "embed"
	"slices"
	"strings"
)

//go:embed enter.py
var source string

// pythons are tried in this order. What is needed of one is that it can join a namespace.
const script = `for p in python3 /usr/libexec/platform-python python python2;do ` +
	`command -v $p >/dev/null 2>&1&&$p -ESsc "import os;hasattr(os,\"setns\")or __import__(\"ctypes\")" </dev/null >/dev/null 2>&1&&` +
	`exec $p -ESsc "$@";done;` +
	`echo "setns: no Python was found here to enter the container with (tried python3, /usr/libexec/platform-python, python, python2)." >&2;exit 127`

// enter is the command line that starts program as user in the container of process pid.
func enter(pid, user string, program []string) []string {
	if user == "" {
		user = "root"
	}
	return slices.Concat([]string{"/bin/sh", "-c", script, "setns", line, pid, user}, program)
}

// line is enter.py as one line of Python without single quotes and exclamation marks: it is a word that every login shell
// passes on.
var line = oneLine(source)

func oneLine(python string) string {
	var b strings.Builder
	for l := range strings.Lines(python) {
		if s := strings.TrimSpace(l); s == "" || strings.HasPrefix(s, "#") {
			continue
		}
		l = strings.TrimRight(l, "\n")
		code := strings.TrimLeft(l, " ")
		b.WriteString(strings.Repeat(" ", (len(l)-len(code))/4) + code + "\n") // a quarter of the indentation is enough
	}
	return `exec("` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, `'`, `\x27`, `!`, `\x21`).Replace(b.String()) + `")`
}
