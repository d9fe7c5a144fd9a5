package become

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"al.essio.dev/pkg/shellescape"
)

// What may stand in a script, each character that means something to some shell, and what the bootstrap has.
var scripts = map[string]string{
	"like the bootstrap": `s="import os;os.write(1,b'x'+chr(10).encode())";test "$s" && printf "%s|" "$s" "SPINDLE1 n" "$0" $#`,
	"everything":         "printf '%s|' \"$HOME\" \\$x `echo back` $(echo \"two  words\") 'it'\\''s' \"!!\" a{b,c} ~ %1 ^x [z]* \\\\ \"\\\\\" '\\'",
	"lines":              "for i in 1 2; do\n\tprintf '%s\\n' \"$i\" 'a  b'\ndone; # not seen",
	"empty":              "",
}

// shells are those that are here; an account's login shell may be any.
func shells(t *testing.T) (found []string) {
	for _, s := range []string{"sh", "dash", "bash", "ksh93", "mksh", "zsh", "tcsh", "fish"} {
		if path, err := exec.LookPath(s); err == nil {
			found = append(found, path)
		}
	}
	t.Logf("with %q", found)
	return found
}

func output(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Errorf("%.60q: %v: %s", argv, err, out)
	}
	return string(out)
}

func TestCommandLine(t *testing.T) {
	for _, shell := range shells(t) {
		for name, script := range scripts {
			if strings.Contains(script, "\n") && strings.HasSuffix(shell, "csh") {
				continue // no word of the C shell has a line's end in it
			}
			program := []string{"/bin/sh", "-c", script}
			want := output(t, program...)
			if got := output(t, shell, "-c", CommandLine(program)); got != want {
				t.Errorf("%s, %s: got %q, want %q", shell, name, got, want)
			}
		}
	}
	if got, want := CommandLine([]string{"/bin/sh", "", `a "$b"`, "c"}), `/bin/sh "" "a "\"\$"b"\" c`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := CommandLine([]string{"/bin/sh", "-c", scripts["like the bootstrap"]}); strings.Count(got, "'") != 2 {
		t.Errorf("quotes of its own: %s", got)
	}
}

// The shapes in which Ansible's plugins quote, and some that others may have. Their programs run what they get, as the
// real ones do.
func TestPlace(t *testing.T) {
	shells := shells(t)
	for _, tt := range []struct{ name, command string }{
		{"no quotes", "env A=1 " + Placeholder},
		{"no quotes, and the shell stands there", "env A=1 /bin/sh -c " + Placeholder},
		{"one level", "env /bin/sh -c 'echo BECOME-SUCCESS-x ; " + Placeholder + "'"},
		{"one level, and the shell stands there", "env /bin/sh -c 'echo BECOME-SUCCESS-x ; /bin/sh -c " + Placeholder + "'"},
		{"one level, nothing else", "/bin/sh -c '" + Placeholder + "'"},
		{"in an option", `tool() { eval "${1#--command=}"; }; tool --command=` + Placeholder},
		{"in an option, quoted", `tool() { eval "${1#--command=}"; }; tool "--command=` + Placeholder + `"`},
		{"in an option, quoted otherwise", `tool() { eval "${1#--command=}"; }; tool --command='` + Placeholder + `'`},
		{"in an option, with more", `tool() { eval "${1#--command=}"; }; tool --command='echo BECOME-SUCCESS-x ; ` + Placeholder + `'`},
		{"double quotes", `/bin/sh -c "` + Placeholder + `"`},
		{"double quotes, text around", `/bin/sh -c "echo \"BECOME-SUCCESS-x\" ; ` + Placeholder + `; :"`},
		{"single in double", `/bin/sh -c "/bin/sh -c 'echo BECOME-SUCCESS-x ; ` + Placeholder + `'"`},
		{"double in single", `/bin/sh -c '/bin/sh -c "echo BECOME-SUCCESS-x ; ` + Placeholder + `"'`},
		{"double in double", `/bin/sh -c "/bin/sh -c \"echo BECOME-SUCCESS-x ; ` + Placeholder + `\""`},
		{"behind another command", "true && " + Placeholder + "; :"},
		{"in a subshell", "(exec " + Placeholder + ")"},
	} {
		for name, script := range scripts {
			program := []string{"/bin/sh", "-c", script}
			text, err := place(tt.command, program)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			want := output(t, program...)
			for _, shell := range shells {
				if !strings.HasSuffix(shell, "sh") || strings.HasSuffix(shell, "csh") || strings.HasSuffix(shell, "fish") {
					continue // the outermost is always /bin/sh
				}
				got := strings.TrimPrefix(output(t, shell, "-c", text), "BECOME-SUCCESS-x\n")
				if got != want {
					t.Errorf("%s, %s with %s: got %q, want %q; text:\n%s", tt.name, name, shell, got, want, text)
				}
			}
		}
	}
}

// shlex.quote inside shlex.quote, as deep as any plugin goes and deeper.
func TestPlace_Levels(t *testing.T) {
	for _, innermost := range []string{Placeholder, "/bin/sh -c " + Placeholder} {
		command := innermost
		for depth := range 6 {
			for name, script := range scripts {
				program := []string{"/bin/sh", "-c", script}
				text, err := place(command, program)
				if err != nil {
					t.Fatalf("%d levels: %v", depth, err)
				}
				want := output(t, program...)
				for _, shell := range []string{"dash", "bash"} {
					if got := output(t, shell, "-c", text); strings.TrimPrefix(got, "BECOME-SUCCESS-x\n") != want {
						t.Errorf("%d levels, %s, %s: got %q, want %q", depth, name, shell, got, want)
					}
				}
			}
			if depth == 0 {
				command = "echo BECOME-SUCCESS-x ; " + command
			}
			command = "/bin/sh -c " + shellescape.Quote(command)
		}
	}
}

func TestPlace_Errors(t *testing.T) {
	deep := Placeholder + " "
	for range levels {
		deep = "sh -c " + shellescape.Quote(deep)
	}
	for _, tt := range []struct {
		command string
		want    error
	}{
		{"", errNoPlace},
		{"pbrun id", errNoPlace},
		{Placeholder + " || " + Placeholder, errTwice},
		{deep, errTooDeep},
	} {
		if _, err := place(tt.command, []string{"sh", "-c", "x"}); !errors.Is(err, tt.want) {
			t.Errorf("%.30q: %v, want %v", tt.command, err, tt.want)
		}
	}
}
