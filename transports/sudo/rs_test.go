package sudo

import (
	"testing"
	"time"

	"spindle/transports/become/becometest"
)

// sudoRs is sudo-rs in the Debian roots that have it, each in its own version.
func sudoRs(t *testing.T, sudoers string) map[string]*becometest.As {
	t.Helper()
	found := map[string]*becometest.As{}
	for _, name := range []string{"trixie", "sid"} {
		if root := becometest.Root(name, "/usr/bin/sudo-rs"); root != "" {
			found[name] = becometest.Elsewhere(t, root, "rusty", secret, map[string]string{"sudoers-rs": sudoers, "sudoers": sudoers})
		}
	}
	if len(found) == 0 {
		t.Skip("NOT TESTED with the real sudo-rs: no Debian root has it. TestSudoRsStub prints what it prints.")
	}
	return found
}

func TestSudoRs(t *testing.T) {
	becometest.Canary(t)
	for name, via := range sudoRs(t, "Defaults timestamp_timeout=0\nDefaults passwd_tries=2\nroot ALL=(ALL:ALL) ALL\nrusty ALL=(ALL:ALL) ALL\n") {
		t.Run(name, func(t *testing.T) {
			kwargs := func(more ...any) map[string]any {
				m := map[string]any{"sudo_path": "sudo-rs", "sudo_args": []string{"-H", "-S", "-n"}}
				for i := 0; i < len(more); i += 2 {
					m[more[i].(string)] = more[i+1]
				}
				return m
			}
			t.Run("right", func(t *testing.T) {
				via := via.Again()
				if got, err := becometest.Reach(t, via, Factory, kwargs("password", secret)); err != nil || got != "root" {
					t.Errorf("became %q, %v", got, err)
				}
				if typed := via.Typed(); len(typed) != 1 {
					t.Errorf("typed %q, want the password once", typed)
				}
			})
			for _, tt := range []struct {
				name  string
				more  []any
				typed int
				want  string
			}{
				{"wrong", []any{"password", secret + "!"}, 1, textIncorrect},
				{"missing", nil, 0, textRequired},
				{"unknown user", []any{"username", "no-such-user", "password", secret}, 0, "user 'no-such-user' not found"},
			} {
				t.Run(tt.name, func(t *testing.T) {
					via, start := via.Again(), time.Now()
					_, err := becometest.Reach(t, via, Factory, kwargs(tt.more...))
					becometest.Refused(t, err, start, tt.want)
					if typed := via.Typed(); len(typed) != tt.typed {
						t.Errorf("typed %q, want %d", typed, tt.typed)
					}
				})
			}
		})
	}
}

func TestSudoRs_NoPassword(t *testing.T) {
	for name, via := range sudoRs(t, "Defaults use_pty\nrusty ALL=(ALL:ALL) NOPASSWD: ALL\n") {
		if got, err := becometest.Reach(t, via, Factory, map[string]any{"sudo_path": "sudo-rs"}); err != nil || got != "root" {
			t.Errorf("%s: became %q, %v", name, got, err)
		}
	}
	for name, via := range sudoRs(t, "root ALL=(ALL:ALL) ALL\n") {
		start := time.Now()
		_, err := becometest.Reach(t, via, Factory, map[string]any{"sudo_path": "sudo-rs", "password": secret})
		becometest.Refused(t, err, start, "sorry rusty. I'm afraid I can't do that")
		t.Log(name)
	}
}

// What sudo-rs prints, for machines where it is not to be had: its frame around the prompt, with words of PAM's behind
// it, in languages and with the feedback that it may have.
func TestSudoRsStub(t *testing.T) {
	becometest.Need(t, "setpriv", "stty")
	const head = "#!/bin/sh\nstty -echo </dev/tty\n" +
		"ask() { printf '[sudo: mitogen-sudo-prompt:] %s' \"$1\" >/dev/tty; read answer </dev/tty; printf '%s\\n' \"$2\" >/dev/tty; }\n" +
		"right() { [ \"$answer\" = '" + secret + "' ]; }\nrun() { while [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\"; }\n"
	for _, tt := range []struct{ name, script, password, want string }{
		{"right", `ask 'Password: '; right && run "$@"`, secret, ""},
		{"right, with feedback", `ask 'Password: ' '*************'; right && run "$@"`, secret, ""},
		{"right, French", `ask 'Mot de passe : '; right && run "$@"`, secret, ""},
		{"right, Japanese", `ask 'パスワード：'; right && run "$@"`, secret, ""},
		{"wrong, asked again", `while ask 'Password: ' '*****'; do right && run "$@"; echo "sudo: Authentication failed, try again." >&2; done`, "wrong", textIncorrect},
		{"wrong, in another language", `while ask 'Passwort: '; do right && run "$@"; echo "sudo: Falsch." >&2; done`, "wrong", textIncorrect},
		{"wrong, the last try", `ask 'Password: '; echo "sudo: Maximum 1 incorrect authentication attempts" >&2; exit 1`, "wrong", textIncorrect},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := becometest.Executable(t, head+tt.script+"\n")
			via, start := &becometest.As{User: "root"}, time.Now()
			got, err := becometest.Reach(t, via, Factory, map[string]any{"sudo_path": path, "password": tt.password})
			if tt.want != "" {
				becometest.Refused(t, err, start, tt.want)
			} else if err != nil || got != "root" {
				t.Errorf("became %q, %v", got, err)
			}
			if typed := via.Typed(); len(typed) != 1 {
				t.Errorf("typed %q, want the password once", typed)
			}
		})
	}
}
