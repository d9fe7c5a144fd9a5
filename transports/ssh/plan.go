package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Ways of reaching a host.
const (
	// Native is the client inside this process.
	Native = "native"
	// Binary is an ssh process.
	Binary = "binary"
)

// Plan says which way a host will be reached, for users who want to know.
type Plan struct {
	// How is Native or Binary.
	How string
	// Why says what decided.
	Why string
	// Argv is the command line of the binary, the far command left out. Only Explain tells it.
	Argv []string
	// Path are the servers on the way, the host itself last, as user@host:port. It is empty if ssh -G could not tell.
	Path []string
}

const whyNative = "no option needs the ssh binary"

// maxJumps ends configurations that lead in a circle.
const maxJumps = 16

// reason is an error that makes the plan binary.
type reason string

func (r reason) Error() string { return string(r) }

// plan decides. The target is nil if How is Binary. An error means that time ran out.
func (d *Dialer) plan(ctx context.Context) (Plan, *target, error) {
	if path := d.master(ctx); path != "" {
		return Plan{How: Binary, Why: fmt.Sprintf("there is a connection of ssh's at %s", path)}, nil, nil
	}
	return d.ownPlan(ctx)
}

// ownPlan is the plan for a connection that nobody has opened yet.
func (d *Dialer) ownPlan(ctx context.Context) (Plan, *target, error) {
	p := Plan{How: Binary}
	if d.settings.prefer == preferBinary {
		p.Why = "spindle_ssh is binary"
		return p, nil, nil
	}
	t, err := d.target(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return p, nil, ctx.Err()
		}
		p.Why = err.Error()
		return p, nil, nil
	}
	p.How, p.Why = Native, whyNative
	for hop := t; hop != nil; hop = hop.via {
		p.Path = append([]string{hop.user + "@" + hop.address()}, p.Path...)
	}
	return p, t, nil
}

func (d *Dialer) target(ctx context.Context) (*target, error) {
	s := d.settings
	if s.debugLevel > 0 {
		return nil, reason("ssh_debug_level asks for the ssh binary's log")
	}
	if os.Getenv("LD_PRELOAD") != "" {
		return nil, reason("LD_PRELOAD is set, which only programs go by that the system's linker starts")
	}
	flags, err := parseArgs(s.sshArgs)
	if err != nil {
		return nil, err
	}
	var file []string
	for _, f := range flags {
		switch f.letter {
		case 'E', 'W', 'O', 'Q', 'S', 'V', 'y', 'G', 'v':
			return nil, reason(fmt.Sprintf("option -%c in ssh_args is left to the ssh binary", f.letter))
		case 'F':
			file = []string{"-F", f.value}
		}
	}
	if err := checkExecutable(s.sshPath); err != nil {
		return nil, err
	}
	t, err := d.chain(ctx, s.options(), file, s.hostname, 0)
	if err != nil {
		return nil, err
	}
	t.password = s.password
	for hop := t.via; hop != nil && s.passwordForAll; hop = hop.via {
		hop.password = s.password
	}
	t.firstIdentity = s.identityFile
	if s.expandsIdentity() && len(t.identities) > 0 {
		t.firstIdentity = t.identities[0] // the command line's go first
	}
	return t, nil
}

// chain resolves a host and those in front of it. As with ssh itself, a jump host gets nothing of the command line but
// the configuration file, and its own user and port.
func (d *Dialer) chain(ctx context.Context, options, file []string, host string, depth int) (*target, error) {
	if depth > maxJumps {
		return nil, reason("proxyjump leads in a circle")
	}
	exe := d.settings.sshPath
	var base, c *config
	var both errgroup.Group // each takes as long as ssh takes to start
	both.Go(func() (err error) { base, err = d.resolver.baseline(ctx, exe); return err })
	both.Go(func() (err error) { c, err = d.resolver.resolve(ctx, exe, options, host); return err })
	if err := both.Wait(); err != nil {
		return nil, err
	}
	prefix := ""
	if depth > 0 {
		prefix = "jump host " + host + ": "
	}
	if why := judge(c, base); why != "" {
		return nil, reason(prefix + why)
	}
	t, err := newTarget(host, c, base)
	if err != nil {
		return nil, reason(prefix + err.Error())
	}
	if depth == 0 {
		t.connectTimeout = d.settings.attempt(c)
	} else if t.attempts > 1 && t.connectTimeout == 0 {
		t.connectTimeout = d.settings.connectTimeout // nobody tells a jump host's, but one that says nothing is tried again, too
	}
	if !c.set("proxyjump") {
		return t, nil
	}
	tok := newTokens(host, t.hostname, t.port, t.user, true, "").only("hnpr")
	jumps, err := tok.percent(c.one("proxyjump"))
	if err != nil {
		return nil, reason(prefix + err.Error())
	}
	rest, last := cutLast(jumps, ",")
	user, jump, port, err := parseJump(last)
	if err != nil {
		return nil, reason(prefix + err.Error())
	}
	options = append([]string{}, file...)
	if user != "" {
		options = append(options, "-l", user)
	}
	if port != "" {
		options = append(options, "-p", port)
	}
	if rest != "" {
		options = append(options, "-J", rest)
	}
	t.via, err = d.chain(ctx, options, file, jump, depth+1)
	return t, err
}

func cutLast(text, sep string) (before, last string) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):]
	}
	return "", text
}

// parseJump reads [user@]host[:port], with or without ssh:// in front.
func parseJump(text string) (user, host, port string, err error) {
	rest, isURI := strings.CutPrefix(text, "ssh://")
	if isURI {
		rest = strings.TrimSuffix(rest, "/")
	}
	user, host = cutLast(rest, "@")
	switch {
	case strings.HasPrefix(host, "["):
		if strings.HasSuffix(host, "]") {
			host = strings.Trim(host, "[]")
			break
		}
		if host, port, err = net.SplitHostPort(host); err != nil {
			return "", "", "", fmt.Errorf("proxyjump %q: %w", text, err)
		}
	case strings.Count(host, ":") == 1:
		host, port, _ = strings.Cut(host, ":")
	}
	if host == "" || strings.HasPrefix(host, "-") {
		return "", "", "", errors.New("proxyjump names no host: " + text)
	}
	return user, host, port, nil
}
