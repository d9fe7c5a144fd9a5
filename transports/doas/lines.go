package doas

import (
	"regexp"
	"strings"
	"sync"
)

var (
	// wrong are lines that follow a wrong password: those of OpenBSD, past and present, and of the ports.
	wrong = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)doas: (authentication failed|authorization failed|password incorrect|incorrect password)`)
	})

	// missing are lines of a doas that may not ask.
	missing = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)^doas: (authorization|authentication|password) (is )?required`)
	})

	// refused are lines that doas ends with.
	refused = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)^doas: (` +
			`operation not permitted|permission denied|a tty is required|unknown (user|uid)|no (passwd|password|shadow) entry|` +
			`doas is not enabled|not installed setuid|must be setuid|could not open config file|` +
			`.{1,512} (is not owned by root|is writable by group or other|syntax error)|syntax error|` +
			`failed to set user context|failed to change user|setresuid|initgroups|user has expired|account (has )?expired|` +
			`pam_\w+|pam: |` +
			`.{1,512}: command not found|.{1,512}: (no such file or directory|permission denied)$|no such file or directory|` +
			`invalid option)|^doas: .{0,8}unrecognized option|^usage: doas `)
	})
)

// silent says whether doas ended because of the password: it said nothing, or it said it itself.
func silent(said []string) bool {
	return len(said) == 0 || strings.HasPrefix(said[len(said)-1], "doas:")
}
