package su

import (
	"fmt"
	"testing"
	"time"

	"spindle/transports"
	"spindle/transports/become/becometest"
)

const (
	textRequired  = "su password is required"
	textIncorrect = "su password is incorrect"
)

// accounts are one that calls su, and one that it goes to.
func accounts(t *testing.T, name string) (from, to string) {
	t.Helper()
	becometest.Need(t, "su")
	return becometest.Account(t, name+"f", ""), becometest.Account(t, name+"t", becometest.Secret)
}

func typedOnce(t *testing.T, via *becometest.As, want string) {
	t.Helper()
	if typed := via.Typed(); len(typed) != 1 || typed[0] != want+"\n" {
		t.Errorf("typed %q, want the password once", typed)
	}
}

func TestPassword(t *testing.T) {
	becometest.Canary(t)
	from, to := accounts(t, "r")
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"plain", nil},
		{"login shell", []string{"-"}},
		{"shell and environment", []string{"-m", "-s", "/bin/bash"}},
		{"a terminal of su's own", []string{"--pty"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			via := &becometest.As{User: from}
			got, err := becometest.Reach(t, via, Factory, map[string]any{"username": to, "password": becometest.Secret, "su_args": tt.args})
			if err != nil || got != to {
				t.Errorf("became %q, %v; want %q", got, err, to)
			}
			typedOnce(t, via, becometest.Secret)
		})
	}
	t.Run("without an agent", func(t *testing.T) {
		via := &becometest.As{User: from}
		got, err := becometest.Bare(t, via, Factory, map[string]any{"username": to, "password": becometest.Secret})
		if err != nil || got != to {
			t.Errorf("became %q, %v; want %q", got, err, to)
		}
	})
	t.Run("root needs none", func(t *testing.T) {
		via := &becometest.As{User: "root"}
		got, err := becometest.Reach(t, via, Factory, map[string]any{"username": to, "password": becometest.Secret})
		if err != nil || got != to || via.Typed() != nil {
			t.Errorf("became %q, %v, typed %q", got, err, via.Typed())
		}
	})
}

// su in other languages: those of Debian's message catalogues that are installed. C.UTF-8 is a locale that is always there.
func TestLanguages(t *testing.T) {
	becometest.Canary(t)
	from, to := accounts(t, "l")
	for _, language := range []string{"de", "fr", "ja", "zh_CN", "hu"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel() // PAM takes its time
			locale := []string{"LC_ALL=C.UTF-8", "LANGUAGE=" + language}
			via := &becometest.As{User: from, Env: locale}
			got, err := becometest.Reach(t, via, Factory, map[string]any{"username": to, "password": becometest.Secret})
			if err != nil || got != to {
				t.Errorf("became %q, %v; want %q", got, err, to)
			}
			typedOnce(t, via, becometest.Secret)

			via, start := &becometest.As{User: from, Env: locale}, time.Now()
			_, err = becometest.Reach(t, via, Factory, map[string]any{"username": to, "password": becometest.Secret + "!"})
			becometest.Refused(t, err, start, textIncorrect)
			typedOnce(t, via, becometest.Secret+"!")

			via, start = &becometest.As{User: from, Env: locale}, time.Now()
			_, err = becometest.Reach(t, via, Factory, map[string]any{"username": to})
			becometest.Refused(t, err, start, textRequired)
		})
	}
}

func TestRefusals(t *testing.T) {
	from, to := accounts(t, "e")
	locked := becometest.Account(t, "el", "")
	for _, tt := range []struct {
		name   string
		via    *becometest.As
		kwargs map[string]any
		want   string
	}{
		{"no password given", &becometest.As{User: from}, map[string]any{"username": to}, textRequired},
		{"wrong password", &becometest.As{User: from}, map[string]any{"username": to, "password": becometest.Secret + "!"}, textIncorrect},
		{"an account without password", &becometest.As{User: from}, map[string]any{"username": locked, "password": becometest.Secret}, textIncorrect},
		{"empty password", &becometest.As{User: from}, map[string]any{"username": to, "password": ""}, textIncorrect},
		{
			"a shell that lets nobody in, without a word", &becometest.As{User: from},
			map[string]any{"username": to, "password": becometest.Secret, "su_args": []string{"-s", "/bin/false"}},
			"su password is incorrect, or the account's shell ended without a word",
		},
		{"unknown user", &becometest.As{User: from}, map[string]any{"username": "no-such-user"}, "su: user no-such-user does not exist"},
		{"no such su", &becometest.As{User: from}, map[string]any{"su_path": "/nonexistent/su"}, "No such file or directory"},
		{"no such shell", &becometest.As{User: "root"}, map[string]any{"username": to, "su_args": []string{"-s", "/nonexistent/sh"}}, "su: failed to execute /nonexistent/sh"},
		{"not available", &becometest.As{User: "root"}, map[string]any{"username": to, "su_args": []string{"-s", "/usr/sbin/nologin"}}, "This account is currently not available."},
		{"what su does not know", &becometest.As{User: "root"}, map[string]any{"su_args": []string{"--derps"}}, "unrecognized option '--derps'"},
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

// A su that asks something else is left at the deadline, and the question is in the error.
func TestDeadline(t *testing.T) {
	becometest.Need(t, "setpriv")
	path := becometest.Executable(t, "#!/bin/sh\necho 'Welcome to the host.'; printf 'Passcode from your token %d> ' $$ >/dev/tty; exec sleep 60\n")
	via, start := &becometest.As{User: "root"}, time.Now()
	_, err := becometest.Reach(t, via, Factory, map[string]any{"su_path": path, "password": becometest.Secret, "connect_timeout": 1})
	becometest.Refused(t, err, start, transports.TextTimeout+" Last lines received from su:\nWelcome to the host.\nPasscode from your token ")
	if typed := via.Typed(); typed != nil {
		t.Errorf("typed %q", typed)
	}

	// One's own word for it is known only if it was given.
	path = becometest.Executable(t, fmt.Sprintf("#!/bin/sh\nprintf 'Zauberwort: '; read word; [ \"$word\" = '%s!' ] && shift && exec \"/bin/sh\" \"$@\"; echo su: Sorry; exit 1\n", becometest.Secret))
	got, err := becometest.Reach(t, via, Factory, map[string]any{"su_path": path, "password": becometest.Secret + "!", "prompts": []string{"Zauberwort"}})
	if err != nil || got != "root" {
		t.Errorf("became %q, %v", got, err)
	}
}
