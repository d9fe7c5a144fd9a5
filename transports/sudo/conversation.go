package sudo

import (
	"regexp"
	"sync"
)

// prompt is what sudo is told to ask with.
const prompt = "mitogen-sudo-prompt:"

var (
	// asks is the prompt itself, or sudo-rs's frame around it and what that puts behind: a few characters
	// of any language, which may have no colon, or a no-break space before it, but no asterisk: those echo what is typed.
	asks = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?:\[sudo: ` + prompt + `\] [^*\n]{1,50}|` + prompt + `)$`)
	})
	// framed is the beginning of sudo-rs's frame, up to where it looks like the plain prompt.
	framed = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\[sudo: ` + prompt + `$`)
	})

	// wrong are lines that follow a wrong password, also where sudo allows one try only and asks no second time.
	wrong = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^Sorry, try again\.|` +
			`(?i)^sudo(-rs)?: (\d+ incorrect password attempt|authentication failed|incorrect authentication attempt|` +
			`maximum \d+ incorrect authentication attempts)`)
	})

	// refused are lines that sudo ends with. Others that begin with "sudo: " are warnings, such as the one about a host
	// name that cannot be resolved.
	refused = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^\S{1,64} is not (in the sudoers file|allowed to run sudo on)|` +
			`^Sorry, user \S{1,64} (is not allowed to (execute|authenticate as)|may not run sudo)|` +
			`(?i)^sudo(-rs)?: (` +
			`(unknown|invalid) (user|group|uid|gid)|user '[^']*' not found|group '[^']*' not found|` +
			`a terminal is required|a password is required|interactive authentication is required|no tty present|(sorry, )?you must have a tty|` +
			`(sorry, )?you are not (permitted|allowed) to|I'm sorry .{1,64} I'm afraid I can't do that|` +
			`effective uid is not 0|sudo must be owned by|no valid sudoers sources found|` +
			`account (validation failure|expired|or password is expired)|password expired|"?the "no new privileges" flag is set|` +
			`sudoers file not found|SELinux role based access control is not|PAM (account management|authentication) error|` +
			`(unrecognized|invalid|unknown) option|` +
			`unable to execute |\S+: command not found)|` +
			`^sudo(-rs)?: \S+ must be owned by uid 0 and have the setuid bit set`)
	})
)

// silent says whether sudo ended because of the password, and said so in another language. It counts the attempts then, as it
// does in "sudo: 1 incorrect password attempt"; what it says of its surroundings gives a reason behind a second colon.
func silent(said []string) bool {
	return len(said) > 0 && counted().MatchString(said[len(said)-1])
}

var counted = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^sudo(-rs)?: [^:]+$`)
})
