package become

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testdata/prompts.txt has what programs really ask with: a language or program, a tab, and the prompt.
func TestPasswordPrompt(t *testing.T) {
	file, err := os.Open("testdata/prompts.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p := PasswordPrompt()
	lines := bufio.NewScanner(file)
	n := 0
	for lines.Scan() {
		who, text, ok := strings.Cut(lines.Text(), "\t")
		if !ok {
			continue
		}
		n++
		if text = strings.ReplaceAll(text, "%s", "deploy"); !p.MatchString(text) {
			t.Errorf("%s: %q is no prompt", who, text)
		}
	}
	if n < 100 {
		t.Errorf("only %d prompts", n)
	}
}

func TestPasswordPrompt_Others(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       bool
	}{
		{"behind a message", "Last login: today. Password: ", true},
		{"carriage return", "\rdoas (deploy@web1) password: ", true},
		{"sudo-rs's su", "[su: authenticate] Password: ", true},
		{"polkit", "Password: ", true},
		{"Kerberos", "Kerberos password for deploy@EXAMPLE.COM: : ", true},
		{"capitals", "PASSWORD:", true},
		{"Latin-1", "Contrase\xf1a: ", true},
		{"Latin-2", "Has\xb3o: ", true},
		{"Latin-1 at the beginning", "L\xf6senord: ", true},
		{"not whole", "Passwor", false},
		{"no colon yet", "Password", false},
		{"another question", "Verification code: ", false},
		{"something behind it", "Password: expired", false},
		{"asterisks", "Password: ****", false},
		{"only a mention, long before", "Your password has been changed by the administrator on the first day of this month, and here is why: ", false},
		{"a shell", "$ ", false},
		{"nothing", "", false},
	} {
		if got := PasswordPrompt().MatchString(tt.line); got != tt.want {
			t.Errorf("%s: %q is a prompt: %v", tt.name, tt.line, got)
		}
	}
	own := PasswordPrompt("Zauberwort", "Losung (geheim):", "", " : ")
	for line, want := range map[string]bool{
		"Zauberwort: ": true, "zauberwort für bob：": true, "Losung (geheim) :": true, "Losung: ": false, "Password:": true, "anything: ": false,
	} {
		if got := own.MatchString(line); got != want {
			t.Errorf("own words: %q is a prompt: %v", line, got)
		}
	}
}

// The table of prompts is not of our making: it has what the programs' translations on this machine say.
func TestPasswordPrompt_Installed(t *testing.T) {
	p := PasswordPrompt()
	n := 0
	for _, domain := range []string{"Linux-PAM", "shadow", "util-linux"} {
		files, err := filepath.Glob("/usr/share/locale/*/LC_MESSAGES/" + domain + ".mo")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			for _, id := range []string{"Password: ", "%s's Password: "} {
				if text := translation(t, f, id); text != "" {
					n++
					if text = strings.ReplaceAll(text, "%s", "deploy"); !p.MatchString(text) {
						t.Errorf("%s: %q is no prompt", f, text)
					}
				}
			}
		}
	}
	if n == 0 {
		t.Skip("no translations are installed here; testdata has those that were seen")
	}
	t.Logf("%d translations", n)
}
