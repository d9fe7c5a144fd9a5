package su

import "testing"

func TestLines(t *testing.T) {
	for _, tt := range []struct{ who, line, want string }{
		{"util-linux, PAM", "su: Authentication failure", "wrong"},
		{"BSD, Mac OS", "su: Sorry", "wrong"},
		{"BSD", "su: sorry", "wrong"},
		{"BusyBox", "su: incorrect password", "wrong"},
		{"AIX", `3004-500 User "bob" does not exist or authentication is denied.`, "wrong"},
		{"AIX", "su: 3004-501 Cannot su to \"root\" : Authentication is denied.", "wrong"},
		{"sudo-rs", "su: Authentication failed, try again.", "wrong"},
		{"sudo-rs", "su: Maximum 3 incorrect authentication attempts", "wrong"},
		{"util-linux", "su: user nosuch does not exist or the user entry does not contain all the required fields", "refused"},
		{"util-linux, old", "su: user nosuch does not exist", "refused"},
		{"shadow", "No passwd entry for user 'nosuch'", "refused"},
		{"BSD", "su: unknown login: nosuch", "refused"},
		{"BusyBox", "su: unknown user nosuch", "refused"},
		{"Solaris", "su: Unknown id: nosuch", "refused"},
		{"sudo-rs", "su: user 'nosuch' not found", "refused"},
		{"util-linux, pam_wheel", "su: Permission denied", "refused"},
		{"shadow", "su: must be run from a terminal", "refused"},
		{"coreutils of old", "standard in must be a tty", "refused"},
		{"BusyBox", "su: must be suid to work properly", "refused"},
		{"util-linux", "su: cannot set groups: Operation not permitted", "refused"},
		{"util-linux", "su: Account expired", "refused"},
		{"util-linux", "su: User account has expired", "refused"},
		{"util-linux", "su: Authentication token is no longer valid; new one required", "refused"},
		{"util-linux", "su: failed to execute /bin/zsh: No such file or directory", "refused"},
		{"util-linux", "su: unrecognized option '--derps'", "refused"},
		{"BSD", "su: you are not in the correct group (wheel) to su root.", "refused"},
		{"nologin", "This account is currently not available.", "refused"},
		{"warning", "su: warning: cannot change directory to /nonexistent: No such file or directory", ""},
		{"warning", "su: using restricted shell /bin/rbash", ""},
		{"profile", "mesg: ttyname failed: Inappropriate ioctl for device", ""},
		{"motd", "You have a password: keep it.", ""},
		{"nothing", "", ""},
	} {
		got := ""
		switch {
		case wrong().MatchString(tt.line):
			got = "wrong"
		case refused().MatchString(tt.line):
			got = "refused"
		}
		if got != tt.want {
			t.Errorf("%s: %q is %q, want %q", tt.who, tt.line, got, tt.want)
		}
	}
}

func TestSilent(t *testing.T) {
	for _, tt := range []struct {
		said []string
		want bool
	}{
		{nil, true},
		{[]string{"su: Fehler bei Authentifizierung"}, true},
		{[]string{"su\u00a0: Échec de l’authentification"}, true},
		{[]string{"su：验证失败"}, true},
		{[]string{"a banner", "/etc/profile: 3: sudo: not found"}, false},
		{[]string{"su: warning", "sh: broken"}, false},
	} {
		if got := silent(tt.said); got != tt.want {
			t.Errorf("%q: %v", tt.said, got)
		}
	}
}
