package su

import (
	"regexp"
	"strings"
	"sync"
)

var (
	// wrong are lines that follow a wrong password: those of util-linux, shadow, BusyBox, the BSDs, AIX and sudo-rs.
	wrong = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)su: (sorry|authentication failure|authentication failed|incorrect password)|authentication is denied|` +
			`^su(-rs)?: (authentication failed|maximum \d+ incorrect authentication attempts|PAM error: authentication failure)`)
	})

	// refused are lines that su ends with. Others that begin with "su: " may be warnings, such as the one about a
	// directory that it cannot change to.
	refused = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)^su(-rs)?: (` +
			`user .{1,64} (does not exist|is not available)|unknown (user|login|id)\b|user '[^']*' not found|invalid user|` +
			`permission denied|must be run from a terminal|standard in must be a tty|` +
			`must be suid|not running setuid|must be owned by uid 0|cannot set (groups|user id|group id)|can't set|` +
			`(user )?account (has )?(expired|is locked)|authentication token is no longer valid|password (has )?expired|` +
			`you are not in the correct group|module is unknown|system error|critical error|authentication service cannot|` +
			`have exhausted maximum number of retries|failed to execute|` +
			`(unrecognized|invalid) option|option requires an argument)|` +
			`^No passwd entry for user|^Unknown (login|id): |^standard in must be a tty|^This account is currently not available\.|` +
			`^Your account has expired|^Cannot su to `)
	})

	name = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^su(-rs)?\s?[:：]`)
	})
)

// silent says whether su ended because of the password: it said nothing, which may also be the account's shell that lets nobody in, or it
// said it itself, in another language. What does not begin with its name is of the program that it has started already.
func silent(said []string) bool {
	return len(said) == 0 || name().MatchString(strings.ReplaceAll(said[len(said)-1], "\u00a0", " "))
}
