package sudo

import (
	"testing"
)

func TestPrompts(t *testing.T) {
	for _, tt := range []struct {
		name, partial string
		want          bool
	}{
		{"classic", "mitogen-sudo-prompt:", true},
		{"behind other text", "We trust you: mitogen-sudo-prompt:", true},
		{"unfinished", "mitogen-sudo-prompt", false},
		{"asterisks", "mitogen-sudo-prompt:****", false},
		{"sudo-rs", "[sudo: mitogen-sudo-prompt:] Password: ", true},
		{"sudo-rs authenticate", "[sudo: mitogen-sudo-prompt:] authenticate: ", true},
		{"sudo-rs, French with a no-break space", "[sudo: mitogen-sudo-prompt:] Mot de passe\u00a0: ", true},
		{"sudo-rs, Japanese with a wide colon", "[sudo: mitogen-sudo-prompt:] パスワード：", true},
		{"sudo-rs, no colon", "[sudo: mitogen-sudo-prompt:] heslo", true},
		{"sudo-rs, half a frame", "[sudo: mitogen-sudo-prompt:", false},
		{"sudo-rs, only the frame", "[sudo: mitogen-sudo-prompt:] ", false},
		{"sudo-rs, asterisks", "[sudo: mitogen-sudo-prompt:] Password: **", false},
		{"another prompt", "[sudo] password for u: ", false},
	} {
		got := asks().MatchString(tt.partial) && !framed().MatchString(tt.partial)
		if got != tt.want {
			t.Errorf("%s: %q is a prompt: %v", tt.name, tt.partial, got)
		}
	}
}

func TestLines(t *testing.T) {
	for _, tt := range []struct {
		line string
		want string
	}{
		{"Sorry, try again.", "wrong"},
		{"sudo: 1 incorrect password attempt", "wrong"},
		{"sudo: 3 incorrect password attempts", "wrong"},
		{"sudo: Authentication failed, try again.", "wrong"},
		{"sudo: Maximum 3 incorrect authentication attempts", "wrong"},
		{"alice is not in the sudoers file.", "refused"},
		{"alice is not in the sudoers file.  This incident will be reported.", "refused"},
		{"alice is not allowed to run sudo on web1.  This incident will be reported.", "refused"},
		{"Sorry, user alice is not allowed to execute '/bin/sh -c ...' as root on web1.", "refused"},
		{"Sorry, user alice may not run sudo on web1.", "refused"},
		{"sudo: unknown user: nosuch", "refused"},
		{"sudo: unknown user nosuch", "refused"},
		{"sudo: user 'nosuch' not found", "refused"},
		{"sudo: a terminal is required to read the password; either use the -S option to read from standard input or configure an askpass helper", "refused"},
		{"sudo: A terminal is required to authenticate", "refused"},
		{"sudo: a password is required", "refused"},
		{"sudo: sorry, you must have a tty to run sudo", "refused"},
		{"sudo: I'm sorry alice. I'm afraid I can't do that", "refused"},
		{"sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set", "refused"},
		{"sudo: effective uid is not 0, is /usr/bin/sudo on a file system with the 'nosuid' option set?", "refused"},
		{"sudo: no valid sudoers sources found, quitting", "refused"},
		{"sudo: account validation failure, is your account locked?", "refused"},
		{"sudo: PAM account management error: Permission denied", "refused"},
		{"sudo: /bin/sh: command not found", "refused"},
		{"sudo: unable to execute /bin/sh: Permission denied", "refused"},
		{"sudo: unable to resolve host web1: Name or service not known", ""},
		{"sudo: setrlimit(RLIMIT_CORE): Operation not permitted", ""},
		{"We trust you have received the usual lecture from the local System", ""},
		{"/root/.profile: 3: foo: command not found", ""},
		{"motd: alice is not in the sudoers file yet", ""},
		{"", ""},
	} {
		got := ""
		switch {
		case wrong().MatchString(tt.line):
			got = "wrong"
		case refused().MatchString(tt.line):
			got = "refused"
		}
		if got != tt.want {
			t.Errorf("%q is %q, want %q", tt.line, got, tt.want)
		}
	}
}
