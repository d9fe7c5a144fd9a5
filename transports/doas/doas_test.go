package doas

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spindle/transports"
	"spindle/transports/become/becometest"
)

const (
	textRequired  = "doas password is required"
	textIncorrect = "doas password is incorrect"
)

// account makes an account, and returns a spawner that starts its programs where /etc is a copy that has these rules
// for doas: there is one place only where it looks for them. %s is the account.
func account(t *testing.T, name, rules string) *becometest.As {
	t.Helper()
	becometest.Need(t, "doas", "unshare", "mount", "cp")
	user := becometest.Account(t, name, becometest.Secret)
	etc := filepath.Join(t.TempDir(), "etc")
	// A lock of somebody who makes an account meanwhile may go while it is copied.
	out, err := exec.Command("cp", "-a", "/etc", etc).CombinedOutput()
	for _, needed := range []string{"passwd", "shadow", "group"} {
		if _, missing := os.Stat(filepath.Join(etc, needed)); missing != nil {
			t.Fatalf("%v; cp: %v: %s", missing, err, out)
		}
	}
	conf := filepath.Join(etc, "doas.conf")
	_ = os.Remove(conf)
	if rules != "" {
		if err := os.WriteFile(conf, []byte(strings.ReplaceAll(rules, "%s", user)+"\n"), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	return &becometest.As{User: user, Within: []string{"unshare", "-m", "/bin/sh", "-ec", `mount --bind "$1" /etc; shift; exec "$@"`, "sh", etc}}
}

func TestPassword(t *testing.T) {
	becometest.Canary(t)
	via := account(t, "pw", "permit %s")
	for _, kwargs := range []map[string]any{
		{"password": becometest.Secret},
		{"password": becometest.Secret, "username": "daemon", "doas_args": []string{"-n"}},
	} {
		via := via.Again()
		want := "root"
		if kwargs["username"] != nil {
			want = kwargs["username"].(string)
		}
		if got, err := becometest.Reach(t, via, Factory, kwargs); err != nil || got != want {
			t.Errorf("became %q, %v", got, err)
		}
		if typed := via.Typed(); len(typed) != 1 || typed[0] != becometest.Secret+"\n" {
			t.Errorf("typed %q, want the password once", typed)
		}
		if got, err := becometest.Bare(t, via.Again(), Factory, kwargs); err != nil || got != want {
			t.Errorf("became %q without an agent, %v", got, err)
		}
	}
}

func TestNoPassword(t *testing.T) {
	for name, rules := range map[string]string{"np": "permit nopass %s", "nk": "permit nopass keepenv %s as root"} {
		via := account(t, name, rules)
		for _, kwargs := range []map[string]any{{}, {"password": becometest.Secret}} {
			if got, err := becometest.Reach(t, via, Factory, kwargs); err != nil || got != "root" {
				t.Errorf("%s: became %q, %v", name, got, err)
			}
		}
		if typed := via.Typed(); typed != nil {
			t.Errorf("typed %q", typed)
		}
	}
}

func TestRefusals(t *testing.T) {
	becometest.Canary(t)
	asked := account(t, "rq", "permit %s")
	some := account(t, "rs", "permit nopass %s cmd id")
	none := account(t, "rn", "")
	broken := account(t, "rb", "permit permit permit")
	pipes := asked.Again()
	pipes.Pipes = true
	for _, tt := range []struct {
		name   string
		via    *becometest.As
		kwargs map[string]any
		want   string
	}{
		{"no password given", asked.Again(), map[string]any{}, textRequired},
		{"wrong password", asked.Again(), map[string]any{"password": becometest.Secret + "!"}, textIncorrect},
		{"empty password", asked.Again(), map[string]any{"password": ""}, textIncorrect},
		{"no terminal", pipes, map[string]any{"password": becometest.Secret}, "doas: Authentication failed"},
		{"unknown user", asked.Again(), map[string]any{"username": "no-such-user"}, "doas: unknown user"},
		{"command not allowed", some.Again(), map[string]any{}, "doas: Operation not permitted"},
		{"no configuration", none.Again(), map[string]any{}, "doas: doas is not enabled, /etc/doas.conf: No such file or directory"},
		{"broken configuration", broken.Again(), map[string]any{}, "syntax error at line 1"},
		{"no such doas", asked.Again(), map[string]any{"doas_path": "/nonexistent/doas"}, "No such file or directory"},
		{"what doas does not know", asked.Again(), map[string]any{"doas_args": []string{"-x"}}, "doas: invalid option -- 'x'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := becometest.Reach(t, tt.via, Factory, tt.kwargs)
			becometest.Refused(t, err, start, tt.want)
			if typed := tt.via.Typed(); len(typed) > 1 {
				t.Errorf("typed %q", typed)
			}
		})
	}
}

// A doas that may not ask says so in its own words, which differ.
func TestStubs(t *testing.T) {
	becometest.Need(t, "setpriv")
	for _, tt := range []struct{ name, script, want string }{
		{"no terminal", "echo 'doas: a tty is required' >&2; exit 1", "doas: a tty is required"},
		{"may not ask", "echo 'doas: Authorization required' >&2; exit 1", textRequired},
		{"OpenBSD's", "stty -echo </dev/tty; printf 'doas (root@web1) password: ' >/dev/tty; read x </dev/tty; echo 'doas: Authorization failed' >&2; exit 1", textIncorrect},
		{"another language", "printf 'Passwort: ' >/dev/tty; read x </dev/tty; echo 'doas: Fehler' >&2; exit 1", textIncorrect + " (doas: Fehler)"},
		{"asked again", "while :; do printf 'Password:' >/dev/tty; read x </dev/tty; done", textIncorrect},
		{"another question", "printf 'Passcode> ' >/dev/tty; read x </dev/tty", transports.TextTimeout + " Last lines received from doas:\nPasscode>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := becometest.Executable(t, "#!/bin/sh\n"+tt.script+"\n")
			via, start := &becometest.As{User: "root"}, time.Now()
			kwargs := map[string]any{"doas_path": path, "connect_timeout": 2}
			if tt.name != "may not ask" {
				kwargs["password"] = becometest.Secret
			}
			_, err := becometest.Reach(t, via, Factory, kwargs)
			becometest.Refused(t, err, start, tt.want)
			if typed := via.Typed(); len(typed) > 1 {
				t.Errorf("typed %q", typed)
			}
		})
	}
}
