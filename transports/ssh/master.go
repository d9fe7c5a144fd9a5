package ssh

import (
	"context"
	"net"
)

// master is the socket of a connection that somebody has opened already, where the setting control_path names it; empty if there is none. None is
// ever made: a connection of ours stays for as long as the run, which is what Ansible has ControlPersist for.
func (d *Dialer) master(ctx context.Context) string {
	if d.settings.controlPath == "" {
		return ""
	}
	tok, known := d.tokens(ctx)
	if !known {
		return ""
	}
	path, err := tok.path(d.settings.controlPath)
	if err != nil {
		return ""
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path) // the socket may be older than whoever made it
	if err != nil {
		return ""
	}
	_ = conn.Close()
	return path
}

// tokens are those for the host itself. Where ssh cannot be asked about it, there are only those that have nothing to do with hosts.
func (d *Dialer) tokens(ctx context.Context) (tok tokens, known bool) {
	c := d.configured(ctx)
	if c == nil {
		_, home, known := account()
		return tokens{'%': "%", 'd': home}, known
	}
	base, err := d.resolver.baseline(ctx, d.settings.sshPath)
	if err != nil {
		return nil, false
	}
	tok = newTokens(d.settings.hostname, c.one("hostname"), c.one("port"), c.one("user"), c.one("proxyjump"), c.one("hostkeyalias"))
	return tok, tok.setAccount(base) == nil
}
