package sudo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"spindle/transports"
	"spindle/transports/become/becometest"
	"spindle/transports/local"
)

// sudoer makes an account with these lines in sudoers.
func sudoer(t *testing.T, name, password string, sudoers ...string) string {
	t.Helper()
	becometest.Need(t, "sudo")
	user := becometest.Account(t, name, password)
	if sudoers != nil {
		becometest.Sudoers(t, user, sudoers...)
	}
	return user
}

const (
	secret        = becometest.Secret
	textRequired  = "sudo password is required"
	textIncorrect = "sudo password is incorrect"
)

func TestNoPassword(t *testing.T) {
	user := sudoer(t, "np", "", "%s ALL=(ALL:ALL) NOPASSWD: ALL")
	target := sudoer(t, "to", "")
	for _, tt := range []struct {
		name   string
		kwargs map[string]any
		want   string
	}{
		{"root", map[string]any{"sudo_args": []string{"-H", "-S", "-n"}}, "root"},
		{"another account", map[string]any{"username": target}, target},
		{"login shell", map[string]any{"sudo_args": []string{"-i"}}, "root"},
		{"a password that is not asked for", map[string]any{"password": secret}, "root"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			via := &becometest.As{User: user}
			start := time.Now()
			got, err := becometest.Reach(t, via, Factory, tt.kwargs)
			if err != nil || got != tt.want {
				t.Errorf("became %q, %v; want %q", got, err, tt.want)
			}
			t.Logf("%v", time.Since(start).Round(time.Millisecond))
			if typed := via.Typed(); typed != nil {
				t.Errorf("typed %q", typed)
			}
		})
	}
}

func TestPassword(t *testing.T) {
	for _, tt := range []struct{ name, defaults string }{
		{"plain", "Defaults:%s timestamp_timeout=0"},
		{"pwfeedback", "Defaults:%s timestamp_timeout=0, pwfeedback"},
		{"no own pty", "Defaults:%s timestamp_timeout=0, !use_pty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			user := sudoer(t, "pw", secret, "%s ALL=(ALL:ALL) ALL", tt.defaults)
			via := &becometest.As{User: user}
			got, err := becometest.Reach(t, via, Factory, map[string]any{"password": secret})
			if err != nil || got != "root" {
				t.Errorf("became %q, %v", got, err)
			}
			if typed := via.Typed(); len(typed) != 1 || typed[0] != secret+"\n" {
				t.Errorf("typed %q, want the password once", typed)
			}
			if got, err := becometest.Bare(t, via.Again(), Factory, map[string]any{"password": secret}); err != nil || got != "root" {
				t.Errorf("became %q without an agent, %v", got, err)
			}
		})
	}
}

func TestWrongPassword(t *testing.T) {
	for _, tt := range []struct{ name, account, defaults, language string }{
		{"three tries", "w3", "Defaults:%s timestamp_timeout=0", "en"},
		{"one try, own words", "w1", "Defaults:%s timestamp_timeout=0, passwd_tries=1, badpass_message=Falsch!", "en"},
		{"one try, German", "wg", "Defaults:%s timestamp_timeout=0, passwd_tries=1", "de"},
		{"three tries, Korean", "wk", "Defaults:%s timestamp_timeout=0", "ko"},
		{"one try, Korean", "wl", "Defaults:%s timestamp_timeout=0, passwd_tries=1", "ko"},
		{"asked again, own words", "wo", "Defaults:%s timestamp_timeout=0, badpass_message=Falsch!", "en"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // PAM takes its time
			user := sudoer(t, tt.account, secret, "%s ALL=(ALL:ALL) ALL", tt.defaults)
			via, start := &becometest.As{User: user, Env: []string{"LC_ALL=C.UTF-8", "LANGUAGE=" + tt.language}}, time.Now()
			_, err := becometest.Reach(t, via, Factory, map[string]any{"password": secret + "!"})
			becometest.Refused(t, err, start, textIncorrect)
			if typed := via.Typed(); len(typed) != 1 {
				t.Errorf("typed %q, want the password once", typed)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	asked := sudoer(t, "rq", secret, "%s ALL=(ALL:ALL) ALL", "Defaults:%s timestamp_timeout=0")
	tty := sudoer(t, "ry", "", "%s ALL=(ALL:ALL) NOPASSWD: ALL", "Defaults:%s requiretty")
	some := sudoer(t, "rs", "", "%s ALL=(ALL:ALL) NOPASSWD: ALL, !/bin/sh")
	nobody := sudoer(t, "rn", secret)
	for _, tt := range []struct {
		name   string
		via    *becometest.As
		kwargs map[string]any
		want   string
	}{
		{"no password given", &becometest.As{User: asked}, map[string]any{"sudo_args": []string{"-n"}}, textRequired},
		{"no terminal to ask on", &becometest.As{User: asked, Pipes: true}, map[string]any{"password": secret}, "sudo: a terminal is required to read the password"},
		{"requiretty without one", &becometest.As{User: tty, Pipes: true}, map[string]any{}, "sudo: sorry, you must have a tty to run sudo"},
		{"unknown user", &becometest.As{User: tty}, map[string]any{"username": "no-such-user"}, "sudo: unknown user no-such-user"},
		{"command not allowed", &becometest.As{User: some}, map[string]any{}, "Sorry, user " + some + " is not allowed to execute"},
		{"not in sudoers", &becometest.As{User: nobody}, map[string]any{"password": secret}, nobody + " is not in the sudoers file"},
		{"no such sudo", &becometest.As{User: tty}, map[string]any{"sudo_path": "/nonexistent/sudo"}, "No such file or directory"},
		{"what sudo does not know", &becometest.As{User: tty}, map[string]any{"sudo_args": []string{"-g", ""}}, "\nusage: sudo "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			_, err := becometest.Reach(t, tt.via, Factory, tt.kwargs)
			becometest.Refused(t, err, start, tt.want)
		})
	}
	t.Run("requiretty with one", func(t *testing.T) {
		if got, err := becometest.Reach(t, &becometest.As{User: tty}, Factory, map[string]any{}); err != nil || got != "root" {
			t.Errorf("became %q, %v", got, err)
		}
	})
}

// A sudo that asks something else is left at the deadline, and is gone then: also if it runs as root and we do not, so
// that it cannot be signalled. It loses its terminal.
func TestDeadline(t *testing.T) {
	user := sudoer(t, "dl", secret, "%s ALL=(ALL:ALL) ALL", "Defaults:%s timestamp_timeout=0")
	question := fmt.Sprintf("another question %d: ", os.Getpid())
	path := becometest.Executable(t, "#!/bin/sh\nexec sudo -p '"+question+"' id\n")
	t.Run("as root", func(t *testing.T) {
		start := time.Now()
		_, err := becometest.Reach(t, &becometest.As{User: user}, Factory, map[string]any{"connect_timeout": 1, "password": secret, "sudo_path": path})
		becometest.Refused(t, err, start, transports.TextTimeout+" Last lines received from sudo:\n"+strings.TrimSpace(question))
	})
	t.Run("as the user", func(t *testing.T) {
		cmd := exec.Command("setpriv", "--reuid", user, "--regid", user, "--init-groups", "--reset-env", "--", "env",
			"SPINDLE_TEST_UNPRIVILEGED="+path, "GORACE=atexit_sleep_ms=0", copyOfMe(t))
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), transports.TextTimeout) || !strings.Contains(string(out), " in time ") {
			t.Errorf("%v: %s", err, out)
		}
		t.Logf("%s", out)
	})
	if left := becometest.Running(t, question); left != nil {
		t.Errorf("left running: %q", left)
	}
}

// unprivileged is TestDeadline in a process of the user.
func unprivileged() {
	d, err := Factory(fmt.Appendf(nil, `{"connect_timeout": 1, "password": "x", "sudo_path": %q}`, os.Getenv("SPINDLE_TEST_UNPRIVILEGED")))
	if err == nil {
		start := time.Now()
		_, err = d.Dial(context.Background(), &local.Spawner{}, transports.Program{Argv: []string{"true"}, Flight: []byte("x"), Nonce: becometest.Nonce})
		if took := time.Since(start); took < 3*time.Second {
			err = fmt.Errorf("%w in time", err)
		}
	}
	fmt.Println(err, "as uid", os.Getuid())
}

// copyOfMe copies the test binary to where every account gets at it.
func copyOfMe(t *testing.T) string {
	t.Helper()
	me, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(me)
	if err != nil {
		t.Fatal(err)
	}
	return becometest.Executable(t, string(b))
}
