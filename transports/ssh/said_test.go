package ssh

import (
	"os"
	"slices"
	"strings"
	"testing"

	"spindle/transports"
	"spindle/transports/local"
)

// saying writes a program that goes by the name of ssh: it says what the test wants, and then runs the far command, as ssh and the far shell
// would. It writes down each answer that it is given.
func saying(t *testing.T, says string) (path, answers string) {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir()}
	answers = d.path("answers")
	path = d.write("ssh", "#!/bin/sh\nask() { printf %s \"$1\" >&2; read -r x </dev/tty; echo \"$x\" >>"+answers+"; }\n"+
		"say() { echo \"$1\" >&2; }\nwhile [ \"$1\" != web1 ]; do shift; done\nshift\n"+says+"\neval \"$*\"\n")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path, answers
}

// What ssh asks and says, and what comes of it: contract §1.9 and §1.10.
func TestWhatSSHSays(t *testing.T) {
	const ask = `deploy@web1's password: `
	for _, tt := range []struct {
		name, says, password, check, want, answers string // no want: it comes up
	}{
		{"nothing", "", "", "", "", ""},
		{"a password", `ask "` + ask + `"`, "sesame", "", "", "sesame"},
		{"in capitals", `ask "PASSWORD:"`, "sesame", "", "", "sesame"},
		{"keyboard-interactive", `ask "(deploy@web1) Password: "`, "sesame", "", "", "sesame"},
		{"a password that nobody has", `printf %s "` + ask + `" >&2; exec sleep 100`, "", "", textPasswordNeeded, ""},
		{"a wrong password", `ask "` + ask + `"; say "Permission denied, please try again."; ask "` + ask + `"`, "sesame", "", textPasswordWrong, "sesame"},
		{"a second question", `ask "` + ask + `"; ask "` + ask + `"`, "sesame", "", textPasswordWrong, "sesame"},
		{"a wrong password, by the last word", `ask "` + ask + `"; say "deploy@web1: Permission denied (publickey,password)."; exit 255`, "sesame", "", textPasswordWrong, "sesame"},
		{"no password, and one would do", `say "deploy@web1: Permission denied (publickey,password)."; exit 255`, "", "", textPasswordNeeded, ""},
		{"no password, the old way", `say "Permission denied (publickey,password)."; exit 255`, "", "", textPasswordNeeded, ""},
		{"no key", `say "deploy@web1: Permission denied (publickey)."; exit 255`, "", "", textRefused, ""},
		{"a password that is not asked for", `say "deploy@web1: Permission denied (publickey)."; exit 255`, "sesame", "", textRefused, ""},
		{"too many keys", `say "Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures"; exit 255`, "", "", textRefused + ": Too many authentication failures", ""},
		{"what a shell complains of", `say "bash: line 1: cd: /root: Permission denied"`, "", "", "", ""},
		{"a banner with that word", `say "Never tell your password: not even us."`, "sesame", "", "", ""},
		{"a log with that word", `say "debug1: Next authentication method: password"; say "debug3: send packet: type 50"`, "sesame", "", "", ""},
		{"a passphrase", `ask "Enter passphrase for key '/home/me/.ssh/id_rsa': "; ask "` + ask + `"`, "sesame", "", "", "\nsesame"},
		{"the host key is another", `say "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @"; say "Host key verification failed."; exit 255`, "", "", textHostKey, ""},
		{"the host key, in other words", `printf 'HOST KEY VERIFICATION FAILED.\r\n' >&2; exit 255`, "", "", textHostKey, ""},
		{"may it go on", `ask "Are you sure you want to continue connecting (yes/no)? "`, "sesame", "", textHostKey, ""},
		{"may it go on, or a fingerprint", `ask "Are you sure you want to continue connecting (yes/no/[fingerprint])? "`, "sesame", "", textHostKey, ""},
		{"may it go on, though nobody cares", `ask "Are you sure you want to continue connecting (yes/no/[fingerprint])? "`, "sesame", "ignore", textAskedAnyway, ""},
		{"nobody there", `say "ssh: connect to host web1 port 22: Connection refused"; exit 255`, "", "", "ssh: connect to host web1 port 22: Connection refused", ""},
		{"no such name", `say "ssh: Could not resolve hostname web1: Name or service not known"; exit 255`, "", "", "ssh: Could not resolve hostname web1: Name or service not known", ""},
		{"no answer", `say "ssh: connect to host web1 port 22: Connection timed out"; exit 255`, "", "", transports.TextTimeout, ""},
		{"no answer any more", `say "Connection to 192.0.2.1 port 22 timed out"; exit 255`, "", "", transports.TextTimeout, ""},
		{"something else", `say "kex_exchange_identification: Connection closed by remote host"; exit 255`, "", "", transports.TextEOF + "kex_exchange_identification: Connection closed by remote host", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path, answers := saying(t, tt.says)
			d := &desk{t: t, dir: t.TempDir(), make: NewFactory()}
			k := kw{"hostname": "web1", "ssh_path": path, "check_host_keys": tt.check, "connect_timeout": 20}
			if tt.password != "" {
				k["password"] = tt.password
			}
			b, err := d.dialer(k).Dial(t.Context(), &local.Spawner{}, echoProgram())
			if err == nil {
				exchange(t, b)
				_ = b.Link.Close()
			}
			switch {
			case tt.want != "":
				wantText(t, err, tt.want)
			case err != nil:
				t.Error(err)
			}
			given, _ := os.ReadFile(answers)
			if got := strings.TrimSuffix(string(given), "\n"); got != tt.answers {
				t.Errorf("it was answered %q, want %q", got, tt.answers)
			}
		})
	}
}

// A terminal in between would garble what the agent says, so none is asked for, whatever the configuration says; and nothing is said of it where
// that says nothing.
func TestNoTerminal(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	runCases(t, s, []dialCase{
		{name: "forced", setup: func(d *desk, _ *server) kw {
			d.config("RequestTTY force")
			return kw{"identity_file": d.identity()}
		}},
		{name: "wanted", setup: func(d *desk, _ *server) kw {
			d.config("RequestTTY yes")
			return kw{"identity_file": d.identity()}
		}},
		{name: "by-argument", setup: func(d *desk, _ *server) kw {
			return kw{"identity_file": d.identity(), "ssh_args": []string{"-F", d.path("ssh_config"), "-tt", "-o", "RequestTTY=force"}}
		}},
	})
	for config, want := range map[string]bool{"RequestTTY force": true, "RequestTTY no": false, "": false} {
		d := newDesk(t, l)
		d.knows(s.known())
		d.config(config)
		dl := d.dialer(d.kwargs(s, kw{"identity_file": d.identity()}))
		if got := dl.manner(t.Context(), true).noTTY; got != want {
			t.Errorf("%q: it may get a terminal: %v", config, got)
		}
		there := &recorder{Spawner: &local.Spawner{}}
		b, err := dl.Dial(t.Context(), there, echoProgram())
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, b)
		_ = b.Link.Close()
		if !slices.Contains(there.commands[0].Argv, "-T") {
			t.Errorf("what is configured there is not known here, and it may get a terminal: %q", there.commands[0].Argv)
		}
	}
}
