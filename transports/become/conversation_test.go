package become

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"spindle/transports"
	"spindle/transports/become/becometest"
)

func TestFromPython(t *testing.T) {
	for _, tt := range []struct {
		python string
		match  []string
		not    []string
	}{
		{`Kerberos password for .*@.*:`, []string{"Kerberos password for a@B: ", "Kerberos password for a@B:"}, []string{"Kerberos password for", "password:"}},
		{`\[sudo\ via\ ansible,\ key=abc\]\ password:`, []string{"[sudo via ansible, key=abc] password:"}, []string{"[sudo via ansible, key=abd] password:"}},
		{`doas \(`, []string{"doas (deploy@web1) password: "}, []string{"doas: no"}},
		{`(?i)(?P<who>\w+)'s password\s*\Z`, []string{"bob's PASSWORD "}, []string{"bob's password: "}},
		{`(?iu)PASSWORT`, []string{"Passwort:"}, []string{"Password:"}},
		{`(?u)Parola`, []string{"Parola: "}, []string{"parola: "}},
		{`[[(]sudo[])]`, []string{"[sudo]", "(sudo) pw: "}, []string{"sudo"}},
		{`[^]a]\/x`, []string{"b/x"}, []string{"]/x", "a/x"}},
		{`^Enter UPM user password:`, []string{"Enter UPM user password:", "Enter UPM user password: "}, []string{"Please Enter UPM user password:"}},
		{`Mot de passe\ :`, []string{"Mot de passe :"}, []string{"Mot de passe:"}},
		{"Passwort f\u00fcr\\\u00fc", []string{"Passwort f\u00fcr\u00fc"}, nil},
	} {
		p, err := promptPattern(tt.python)
		if err != nil {
			t.Errorf("%s: %v", tt.python, err)
			continue
		}
		for _, s := range tt.match {
			if !p.MatchString(s) {
				t.Errorf("%s (%s) does not match %q", tt.python, p, s)
			}
		}
		for _, s := range tt.not {
			if p.MatchString(s) {
				t.Errorf("%s (%s) matches %q", tt.python, p, s)
			}
		}
	}
}

func TestFactory_Errors(t *testing.T) {
	for _, tt := range []struct{ kwargs, want string }{
		{`{"plugin": "community.general.pbrun", "command": "pbrun id"}`, "become plugin pbrun: its command has no place for the program"},
		{`{"plugin": "x", "command": "x SPINDLEPROGRAM", "prompts": ["(?!no)password"]}`, "become plugin x: its prompt is no regular expression that can be used here: "},
		{`{"plugin": "x", "command": "x SPINDLEPROGRAM", "prompts": ["pass(word"]}`, "become plugin x: its prompt is no regular expression that can be used here: "},
		{`{"plugin": "x", "command": 3}`, `setting "command" must not be a number`},
		{`{"plugin": "x", "command": "x SPINDLEPROGRAM", "password": ["` + becometest.Secret + `"]}`, "settings: a password must be a string"},
	} {
		_, err := Factory(json.RawMessage(tt.kwargs))
		var ce *transports.ConnectError
		if !errors.As(err, &ce) || ce.Class != transports.BecomeFailed || !strings.HasPrefix(ce.Text, tt.want) || strings.Contains(ce.Text, becometest.Secret) {
			t.Errorf("%s: %v, want %q", tt.kwargs, err, tt.want)
		}
	}
}

func TestName(t *testing.T) {
	for kwargs, want := range map[string]string{
		`{"plugin": "community.general.pbrun", "username": "bob", "command": "SPINDLEPROGRAM"}`: "pbrun:bob",
		`{"plugin": "pfexec", "command": "SPINDLEPROGRAM"}`:                                     "pfexec",
		`{"command": "SPINDLEPROGRAM", "username": null, "tty": null, "prompts": null}`:         "become",
	} {
		d, err := Factory(json.RawMessage(kwargs))
		if err != nil || d.Name() != want || d.Timeout() != transports.DefaultTimeout {
			t.Errorf("%s: %v, %v", kwargs, d, err)
		}
	}
}

// fake is a plugin's program that costs money: it does what the script says before it runs its arguments. answers says how
// many answers it has got.
func fake(t *testing.T, script string) (path string, answers func() int) {
	path = becometest.Executable(t, "#!/bin/sh\n"+script+"\nexec \"$@\"\n")
	t.Cleanup(func() { _ = os.Remove(path + ".asked") })
	return path, func() int {
		b, _ := os.ReadFile(path + ".asked")
		return strings.Count(string(b), "\n")
	}
}

// asking asks for a password as getpass does, and counts the answers in a file.
const asking = `ask() { stty -echo </dev/tty; printf '%s' "$1" >/dev/tty; read answer </dev/tty || exit 9; echo >/dev/tty; echo asked >>"$0.asked"; }
`

func TestStubs(t *testing.T) {
	becometest.Need(t, "setpriv", "stty", "id")
	right := `[ "$answer" = "` + becometest.Secret + `" ]`
	for _, tt := range []struct {
		name, script string
		kwargs       map[string]any
		password     any
		want         string // the error, if any
		asked        int
	}{
		{"right", `ask 'Password:'; ` + right + ` || exit 1`, map[string]any{"prompts": []string{"Password:"}}, becometest.Secret, "", 1},
		{"right, by the default prompts", `ask 'Mot de passe : '; ` + right + ` || exit 1`, nil, becometest.Secret, "", 1},
		{"right, a blank later", `ask 'Password:'; printf ' ' >/dev/tty; ` + right + ` || exit 1`, map[string]any{"prompts": []string{"Password:"}}, becometest.Secret, "", 1},
		{
			"right, from the standard input", `stty -echo; printf 'Please enter your password:' >&2; read answer || exit 9; echo asked >>"$0.asked"; ` + right + ` || exit 1`,
			map[string]any{"prompts": []string{"Please enter your password:"}},
			becometest.Secret, "", 1,
		},
		{"not asked", `:`, map[string]any{"prompts": []string{"Password:"}}, becometest.Secret, "", 0},
		{"missing", `ask 'Password:'`, map[string]any{"prompts": []string{"Password:"}}, nil, "tool password is required", 0},
		{"missing, said so", `echo 'Sorry, a password is required to run tool'; exit 1`, map[string]any{"missing": []string{"Sorry, a password is required to run tool"}}, nil, "tool password is required", 0},
		{"wrong, asked again", `while :; do ask 'Password:'; ` + right + ` && break; done`, map[string]any{"prompts": []string{"Password:"}}, "wrong", "tool password is incorrect", 1},
		{
			"wrong, said so", `ask 'Password:'; ` + right + ` || { echo 'Sorry, try again.'; sleep 60; }`,
			map[string]any{"prompts": []string{"Password:"}, "failures": []string{"Sorry, try again."}},
			"wrong", "tool password is incorrect", 1,
		},
		{
			"wrong, said so, and the same words are for a missing one", `ask 'Password:'; ` + right + ` || { echo 'Sorry, try again with sesu.'; sleep 60; }`,
			map[string]any{"prompts": []string{"Password:"}, "failures": []string{"Sorry, try again with sesu."}, "missing": []string{"Sorry, try again with sesu."}},
			"wrong", "tool password is incorrect", 1,
		},
		{
			"wrong, and it ends", `ask 'Password:'; ` + right + ` || { echo 'pbrun8.0: 3089 nope'; exit 1; }`,
			map[string]any{"prompts": []string{"Password:"}},
			"wrong", "tool password is incorrect (pbrun8.0: 3089 nope)", 1,
		},
		{
			"wrong, and it ends without a word", `ask 'Password:'; ` + right + ` || exit 1`,
			map[string]any{"prompts": []string{"Password:"}},
			"wrong", "tool password is incorrect, or the account's shell ended without a word", 1,
		},
		{
			"right, and what comes then fails", `ask 'Password:'; shift 2; exec /bin/sh -c "${1%%;*}; echo broken; exit 1"`,
			map[string]any{"prompts": []string{"Password:"}},
			becometest.Secret, transports.TextEOF, 1,
		},
		{
			"failure without a password", `echo '==== AUTHENTICATION FAILED ===='; sleep 60`,
			map[string]any{"failures": []string{"==== AUTHENTICATION FAILED ===="}},
			nil, "==== AUTHENTICATION FAILED ====", 0,
		},
		{"refused", `echo 'tool: bob may not'; exit 1`, nil, nil, transports.TextEOF + "tool: bob may not", 0},
		{
			"no terminal for the answer", `printf 'Password:' >&2; read answer`,
			map[string]any{"prompts": []string{"Password:"}, "tty": false},
			becometest.Secret, "The answer to a prompt for a password cannot be typed: there is no terminal.", 0,
		},
		{
			"another question", `echo 'Welcome'; ask 'Verification code: '`,
			map[string]any{"prompts": []string{"Password:"}, "connect_timeout": 1},
			becometest.Secret, transports.TextTimeout + " Last lines received from tool:\nWelcome\nVerification code:", 0,
		},
		{
			"another question behind the password", `ask 'Password: '; ask 'Verification code: '`,
			map[string]any{"prompts": []string{"Password:"}, "connect_timeout": 1},
			becometest.Secret, transports.TextTimeout + " Last lines received from tool:\nPassword: \nVerification code:", 1,
		},
		{
			"it echoes what is typed", `ask 'Password: '; printf 'you said %s. Code: ' "$answer"; sleep 60`,
			map[string]any{"prompts": []string{"Password:"}, "connect_timeout": 1},
			becometest.Secret, "\nyou said ***. Code:", 1,
		},
		{"silence", `sleep 60`, map[string]any{"connect_timeout": 1}, becometest.Secret, transports.TextTimeout, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			becometest.Canary(t)
			program, answers := fake(t, asking+tt.script)
			kwargs := map[string]any{
				"plugin": "community.example.tool", "password": tt.password,
				"command": program + "  /bin/sh -c 'echo BECOME-SUCCESS ; /bin/sh -c " + Placeholder + "'",
			}
			for k, v := range tt.kwargs {
				kwargs[k] = v
			}
			via, start := &becometest.As{User: "root"}, time.Now()
			got, err := becometest.Reach(t, via, Factory, kwargs)
			if tt.want == "" {
				if err != nil || got != "root" {
					t.Errorf("became %q, %v", got, err)
				}
			} else {
				becometest.Refused(t, err, start, tt.want)
			}
			if typed := via.Typed(); len(typed) != tt.asked {
				t.Errorf("typed %q, want %d", typed, tt.asked)
			}
			if n := answers(); n != tt.asked {
				t.Errorf("it got %d answers, want %d", n, tt.asked)
			}
		})
	}
}
