package doas

import "testing"

func TestLines(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"doas: authentication failed", "wrong"},
		{"doas: Authentication failed", "wrong"},
		{"doas: Authorization failed", "wrong"},
		{"doas: Authorization required", "missing"},
		{"doas: Authentication required", "missing"},
		{"doas: Operation not permitted", "refused"},
		{"doas: a tty is required", "refused"},
		{"doas: unknown user", "refused"},
		{"doas: no passwd entry for target", "refused"},
		{"doas: doas is not enabled, /etc/doas.conf: No such file or directory", "refused"},
		{"doas: doas is not enabled", "refused"},
		{"doas: not installed setuid", "refused"},
		{"doas: /etc/doas.conf is writable by group or other", "refused"},
		{"doas: /etc/doas.conf is not owned by root", "refused"},
		{"doas: syntax error at line 3", "refused"},
		{"doas: /bin/sh: command not found", "refused"},
		{"doas: pam_acct_mgmt(?, \"bob\"): Permission denied", "refused"},
		{"doas: failed to set user context for target", "refused"},
		{"usage: doas [-Lns] [-C config] [-u user] command [args]", "refused"},
		{"doas (bob@web1) password: ", ""},
		{"motd: doas is not enabled here", ""},
		{"", ""},
	} {
		got := ""
		switch {
		case missing().MatchString(tt.line):
			got = "missing"
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

func TestSilent(t *testing.T) {
	for line, want := range map[string]bool{"": true, "doas: Fehler bei Authentifizierung": true, "sh: broken": false} {
		var said []string
		if line != "" {
			said = []string{line}
		}
		if got := silent(said); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
