package become

import (
	"os/exec"
	"strings"
	"testing"

	"al.essio.dev/pkg/shellescape"
)

// FuzzPlace quotes a script as plugins do, in one of the ways to quote at each level, and has a shell take it all off.
func FuzzPlace(f *testing.F) {
	f.Add("printf %s \"$0\"", uint8(1))
	f.Add("it's `x` \\ \"$HOME\" !\n#", uint8(2+1*3))
	f.Add("\x01\xff é", uint8(2+2*3+1*9))
	f.Fuzz(func(t *testing.T, word string, ways uint8) {
		if strings.ContainsRune(word, 0) {
			t.Skip()
		}
		command := "/bin/sh -c " + Placeholder
		for ; ways > 0; ways /= 3 {
			switch ways % 3 {
			case 0:
				command = "/bin/sh -c " + shellescape.Quote(command)
			case 1:
				command = `/bin/sh -c "` + inDouble.Replace(command) + `"`
			case 2:
				command = "/bin/sh -c " + shellescape.Quote("true ; "+command)
			}
		}
		text, err := place(command, []string{"/bin/sh", "-c", "printf %s " + shellescape.Quote(word)})
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("/bin/sh", "-c", text).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q came out as %q, %v; text:\n%s", word, out, err, text)
		}
	})
}

// FuzzPatterns has no pattern and no command crash anything.
func FuzzPatterns(f *testing.F) {
	f.Add(`(?iu)a\ b[[]\Z(?P<x>.)`)
	f.Add(`\`)
	f.Add(`"` + Placeholder + `\'`)
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = promptPattern(text)
		_, _ = place(text, []string{"sh", "-c", "x"})
		_ = PasswordPrompt(text)
	})
}
