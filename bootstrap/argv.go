package bootstrap

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// firstStage is Python without quotes, line ends or anything else that a shell might touch: it is one double-quoted
// word of the script. Its arguments are the marker, LC_CTYPE as it is before Python may change it, and the title. It
// waits in select, as its stdin may not block; fewer bytes than announced mean that the other side has gone. What it read
// stays in d, of which the agent makes its digest.
const firstStage = `import sys,os;sys.path[:]=filter(None,sys.path);import select,zlib;` +
	`os.write(1,(sys.argv[1]+chr(10)).encode());d=bytearray();` +
	`list(iter(lambda:select.select([0],[],[])and(lambda b:d.extend(b)or len(b)and %[1]d-len(d))(os.read(0,%[1]d-len(d))),0));` +
	`len(d)-%[1]d and sys.exit(1);exec(zlib.decompress(bytes(d)))`

// probe fails in every Python that the agent does not run in.
const probe = `import sys,zlib;1/(sys.version_info[:2]in[(2,7)]or sys.version_info[:2]>(3,4))`

// Argv returns the command that boots an agent, for any spawner to run.
func Argv(o Options) []string {
	var s strings.Builder
	fmt.Fprintf(&s, `s="%s";`, fmt.Sprintf(firstStage, PackedSize()))
	stage := fmt.Sprintf(` -c "$s" "SPINDLE1 %s" "$LC_CTYPE" %s;`, title(o.Nonce), title(o.Title))
	for _, c := range o.Candidates {
		setup, argv := candidate(c)
		if len(argv) == 0 {
			continue
		}
		command := strings.Join(argv, " ")
		test := "command -v " + argv[0] + " >/dev/null 2>&1&&"
		// A lone candidate that is there is good enough. Where there is a choice, or the name says little, it is tried.
		if len(o.Candidates) > 1 || len(argv) > 1 || setup != "" {
			test += command + ` -Sc "` + probe + `" </dev/null >/dev/null 2>&1&&`
		}
		if setup != "" {
			// What the setup changes is not for the next candidate, so it is done in a subshell first.
			setup += " >/dev/null 2>&1&&"
			test = "(" + setup + strings.TrimSuffix(test, "&&") + ")&&" + setup
		}
		s.WriteString(test + "exec " + command + stage)
	}
	// It stays until it was heard: of a program that ends at once, podman may pass on nothing.
	fmt.Fprintf(&s, `echo "SPINDLE0 %s no-python";cat >/dev/null 2>&1;exit 127`, title(o.Nonce))
	return []string{"/bin/sh", "-c", s.String()}
}

var (
	plain      = regexp.MustCompile(`^[A-Za-z0-9@%+:,./_-]+$`)
	assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
	untitled   = regexp.MustCompile(`[^A-Za-z0-9@+:.,_-]`)
	// A home directory in front, which the target's shell knows: ~/venv/bin/python, ~app/python, $HOME/python.
	homely = regexp.MustCompile(`^(?:~[A-Za-z0-9._-]*|\$HOME|\$\{HOME\})/[A-Za-z0-9@%+:,./_-]*$`)
)

// title makes a word of s that needs no quoting anywhere.
func title(s string) string {
	if s = untitled.ReplaceAllString(s, "_"); s == "" {
		return "spindle"
	}
	return s
}

// candidate turns an interpreter setting into shell text: commands that come first, and the interpreter's words.
func candidate(text string) (setup string, argv []string) {
	argv = words(text)
	last := len(argv) - 1
	for last >= 0 && argv[last] != "&&" {
		last--
	}
	assigns := last+1 < len(argv) && assignment.MatchString(argv[last+1])
	for i, w := range argv {
		if w != "&&" {
			argv[i] = quote(w)
		}
	}
	if last >= 0 {
		setup = strings.Join(argv[:last], " ")
		if rest, ok := strings.CutPrefix(setup, "source "); ok {
			setup = ". " + rest // what POSIX calls it
		}
		argv = argv[last+1:]
	}
	if assigns {
		argv = append([]string{"env"}, argv...)
	}
	return setup, argv
}

// WithoutSetup adds, behind the candidates, those of them that read a script first ("source venv/bin/activate && python") without it: an account
// that others change over to may not be allowed to read what belongs to them.
func WithoutSetup(candidates []string) []string {
	out := slices.Clone(candidates)
	for _, c := range candidates {
		if setup, argv := candidate(c); strings.HasPrefix(setup, ". ") && len(argv) > 0 {
			out = append(out, strings.Join(argv, " "))
		}
	}
	return out
}

// quote returns a word of the shell that stands for w.
func quote(w string) string {
	if plain.MatchString(w) || homely.MatchString(w) {
		return w
	}
	if name := assignment.FindString(w); name != "" && plain.MatchString(w[len(name):]) {
		return w
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(w) + `"`
}

// words splits text as a shell would: at blanks, but for those in quotes or behind a backslash.
func words(text string) []string {
	var (
		out   []string
		word  []byte
		begun bool
		mark  byte // the quote that is open
	)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case mark == 0 && strings.IndexByte(" \t\r\n", c) >= 0:
			if begun {
				out = append(out, string(word))
			}
			word, begun = nil, false
			continue
		case c == '\\' && mark != '\'' && i+1 < len(text):
			if next := text[i+1]; mark == 0 || strings.IndexByte("\\\"$`", next) >= 0 {
				i++
				c = next
			}
			word = append(word, c)
		case mark == c:
			mark = 0
		case mark == 0 && (c == '\'' || c == '"'):
			mark = c
		default:
			word = append(word, c)
		}
		begun = true
	}
	if begun {
		out = append(out, string(word))
	}
	return out
}
