package ssh

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"spindle/transports"
)

// dialBinary starts the ssh program by way of via and talks to it.
func (d *Dialer) dialBinary(ctx context.Context, via transports.Spawner, p transports.Program, why string) (*transports.Booted, error) {
	b, err := d.binaryPlan(ctx, via, p.Argv, why).Dial(ctx, via, p)
	if err != nil {
		return nil, err
	}
	b.Plain = true // its own option says whether it compresses
	return b, nil
}

// binaryPlan is how the ssh program starts another one on the host.
func (d *Dialer) binaryPlan(ctx context.Context, via transports.Spawner, program []string, why string) transports.Plan {
	var names []string
	if d.settings.password.IsSet() && isLocal(via) {
		names = d.names(ctx)
	}
	return transports.Plan{
		Command: transports.Command{Argv: d.settings.argv(program, d.manner(ctx, isLocal(via))), Mode: d.settings.mode()},
		Script:  d.settings.script(names, d.Timeout()),
		How:     Binary,
		Why:     why,
	}
}

// manner is what the command line is to have because of what is configured. That is not known for the ssh of another machine and for scripts, of
// which ssh_args alone tell. Where ssh is known not to ask for a terminal, and to refuse unknown host keys, the command line is the one that users
// know.
func (d *Dialer) manner(ctx context.Context, here bool) manner {
	m := manner{strict: !d.settings.saysStrict(), noTTY: true}
	if !here {
		return m
	}
	m.shared = d.master(ctx) != ""
	if c := d.configured(ctx); c != nil {
		m.limit = d.settings.attempt(c)
		m.strict = m.strict && strictnessOf(c) == strictYes
		m.noTTY = d.settings.wantsTTY() || slices.Contains([]string{"force", "true", "yes"}, c.one("requesttty"))
	}
	return m
}

// configured is what ssh on this machine is told of the host; nil if that cannot be known.
func (d *Dialer) configured(ctx context.Context) *config {
	if checkExecutable(d.settings.sshPath) != nil {
		return nil
	}
	c, err := d.resolver.resolve(ctx, d.settings.sshPath, d.settings.options(), d.settings.hostname)
	if err != nil {
		return nil
	}
	return c
}

// names are those by which ssh may call the host when it asks for a password; nil if that cannot be known.
func (d *Dialer) names(ctx context.Context) []string {
	c := d.configured(ctx)
	if c == nil {
		return nil
	}
	names := []string{d.settings.hostname, c.one("hostname")}
	if c.set("hostkeyalias") {
		names = append(names, c.one("hostkeyalias")) // ssh prompts with it
	}
	return names
}

// asksFor matches questions for the password of a host with these names.
func asksFor(names []string) *regexp.Regexp {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = regexp.QuoteMeta(name)
	}
	whose := "@(?:" + strings.Join(quoted, "|") + ")"
	return regexp.MustCompile(`(?i)^\s*\([^)]*` + whose + `\) .*password|^[^()]*` + whose + `'s password: ?$`)
}

// mode: terminals are few, so ssh gets one only if it has a password to ask for.
func (s *settings) mode() transports.Mode {
	if s.password.IsSet() {
		return transports.ControlTTY
	}
	return transports.Pipes
}

// Names of prompts.
const (
	promptPassword   = "password"
	promptPassphrase = "passphrase"
	// promptOwnPassword is the host's own where jump hosts may ask, too.
	promptOwnPassword = "own password"
)

var (
	askPassword = regexp.MustCompile(`(?i)password`)
	askWhose    = regexp.MustCompile(`@([^@\s]+)'s password: ?$`)
	// The server's own question, and whose it is in front of it (OpenSSH 8.5 and later). Users may have an @ in their names. What follows is
	// written by the server, and may name another.
	askWhoseOwn   = regexp.MustCompile(`(?i)^\s*\([^)]*@([^@)\s]+)\) .*password`)
	askPassphrase = regexp.MustCompile(`(?i)enter passphrase for .*: ?$`)
	askHostKey    = regexp.MustCompile(`(?i)are you sure you want to continue connecting \(yes/no(/\[fingerprint\])?\)\?`)

	sayHostKey = regexp.MustCompile(`(?i)^\s*host key verification failed\.`)
	// Anchored: a shell's "cd: Permission denied" is not meant.
	sayDenied  = regexp.MustCompile(`^(?:[^@\s]+@[^\s:]+: )?Permission denied`)
	sayTooMany = regexp.MustCompile(`Too many authentication failures`)
	sayTimeout = regexp.MustCompile(`^(?:ssh_dispatch_run_fatal: )?Connection (?:to .* )?timed out`)
	sayConnect = regexp.MustCompile(`^ssh: (connect to host .* port \d+: .*|Could not resolve hostname .*)$`)
)

// script is what ssh may ask and complain about. The password is for the host with these names, and not for a jump host
// whose ssh asks on the same terminal; no names, no difference.
func (s *settings) script(names []string, limit time.Duration) transports.Script {
	denied := func(line string, answered func(string) bool) string {
		switch {
		case answered(promptPassword), answered(promptOwnPassword):
			return textPasswordWrong
		case !s.password.IsSet() && strings.Contains(strings.ToLower(line), "password"):
			return textPasswordNeeded
		}
		return textRefused
	}
	connect := func(line string, _ func(string) bool) string {
		if strings.HasSuffix(line, ": Connection timed out") {
			return transports.TextTimeout
		}
		return line
	}
	whose := func(line string, _ func(string) bool) string {
		m := askWhoseOwn.FindStringSubmatch(line)
		if m == nil {
			m = askWhose.FindStringSubmatch(line)
		}
		if names == nil || slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, m[1]) }) {
			return ""
		}
		return textPasswordNeeded
	}
	prompts := []transports.Prompt{
		// An empty answer makes ssh go on to the next key.
		{
			Name: promptPassphrase, Pattern: askPassphrase, Answer: transports.NewSecret(""), Public: true,
			Again: textRefused,
		},
		{
			Name: promptPassword, Pattern: askPassword, Answer: s.password,
			Required: textPasswordNeeded, Again: textPasswordWrong,
		},
	}
	var failures []transports.Failure
	if s.passwordForAll && s.password.IsSet() && names != nil {
		// Each is asked for it once: the jump host in any way, and before that question is looked at, the host by its names.
		own := prompts[1]
		own.Name, own.Pattern = promptOwnPassword, asksFor(names)
		prompts = slices.Insert(prompts, 1, own)
	} else {
		failures = append(
			failures,
			transports.Failure{Pattern: askWhoseOwn, Partial: true, Explain: whose},
			transports.Failure{Pattern: askWhose, Partial: true, Explain: whose},
		)
	}
	failures = append(failures, []transports.Failure{
		{Pattern: sayHostKey, Text: textHostKey},
		{Pattern: sayTooMany, Text: textRefused + ": Too many authentication failures"},
		{Pattern: sayDenied, Explain: denied},
		{Pattern: sayTimeout, Text: transports.TextTimeout},
		{Pattern: sayConnect, Explain: connect},
	}...)
	if s.checkHostKeys == ignoreHostKeys {
		failures = append(failures, transports.Failure{Pattern: askHostKey, Partial: true, Text: textAskedAnyway})
	} else {
		// Nobody is there to say yes.
		failures = append(failures, transports.Failure{Pattern: askHostKey, Partial: true, Text: textHostKey})
	}
	return transports.Script{
		Prompts:  prompts,
		Failures: failures,
		Class:    transports.Unreachable,
		Timeout:  limit,
		Tell:     s.debugLevel > 0,
	}
}
