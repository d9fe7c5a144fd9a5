package ssh

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"spindle/transports"
)

var _ transports.Resolver = (*Dialer)(nil)

// Resolve says where the settings lead and how, by what ssh -G makes of them: an alias of ssh_config and the name that it stands for, or a
// user named here and one named there, are the same. It is empty where ssh may not be asked, or where the words themselves matter. The
// answer of ssh -G is remembered, and is what the dial goes by.
func (d *Dialer) Resolve(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Timeout())
	defer cancel()
	plan, t, err := d.plan(ctx)
	if err != nil {
		return "", err
	}
	s := d.settings
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %t %t\n", plan.How, s.password.Reveal(), s.compression, s.tunnel)
	if t == nil {
		return d.resolveBinary(ctx, &b)
	}
	for hop := t; hop != nil; hop = hop.via {
		same := *hop
		same.alias, same.via, same.password, same.connectTimeout = "", nil, transports.Secret{}, 0
		fmt.Fprintf(&b, "%#v\n", same)
	}
	return b.String(), nil
}

func (d *Dialer) resolveBinary(ctx context.Context, b *strings.Builder) (string, error) {
	s := d.settings
	if checkExecutable(s.sshPath) != nil {
		return "", nil
	}
	c, err := d.resolver.resolve(ctx, s.sshPath, s.options(), s.hostname)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(b, "%q %q %d %q\n", s.sshPath, s.sshArgs, s.debugLevel, d.master(ctx))
	for _, key := range c.keys {
		// The name that was asked for stands behind these.
		if slices.ContainsFunc(c.all(key), func(v string) bool { return strings.Contains(v, "%n") || strings.Contains(v, "%k") }) {
			return "", nil
		}
		if key != "host" && key != "connecttimeout" {
			fmt.Fprintf(b, "%s %q\n", key, c.all(key))
		}
	}
	return b.String(), nil
}
