package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	gossh "golang.org/x/crypto/ssh"

	"spindle/transports"
)

// The texts that users read. Tests of playbooks look for them.
const (
	textPasswordWrong  = "SSH password is incorrect"
	textPasswordNeeded = "SSH password was requested, but none specified"
	textRefused        = "SSH authentication is incorrect"
	textHostKey        = "Host key checking is enabled, and SSH reported an unrecognized or mismatching host key."
	textAskedAnyway    = "SSH requested permission to accept unknown host key, but check_host_keys=ignore. " +
		"Something between Spindle and ssh changes the options: look at ssh_args and ssh_config."
)

// fallback is an error of the native client for which the ssh binary is worth a try. It comes out only if that is not
// done, as for a further session.
type fallback struct {
	why string
	err error
}

func (f *fallback) Error() string { return f.err.Error() }
func (f *fallback) Unwrap() error { return f.err }

func unreachable(text string, err error) *transports.ConnectError {
	return &transports.ConnectError{Class: transports.Unreachable, Text: text, Err: err}
}

func timedOut(err error) *transports.ConnectError {
	return unreachable(transports.TextTimeout, err)
}

// expired is the error for a context that is done.
func expired(ctx context.Context, err error) *transports.ConnectError {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return unreachable("Connection cancelled.", err)
	}
	return timedOut(err)
}

// dialError tells why a server could not be connected to, in the words of OpenSSH. via is what it was tried through.
func dialError(t *target, via *Client, err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && !dns.IsTimeout {
		text := fmt.Sprintf("ssh: Could not resolve hostname %s: %s", t.hostname, dnsText(dns))
		// The system's resolver knows more sources of names than Go's own.
		return &fallback{"name " + t.hostname + " is unknown to the native client", unreachable(text, err)}
	}
	if _, ok := errors.AsType[*net.AddrError](err); ok { // as [fe80::1], which is a name to ssh, too
		text := fmt.Sprintf("ssh: Could not resolve hostname %s: Name or service not known", t.hostname)
		return &fallback{t.hostname + " is neither a name nor an address to the native client", unreachable(text, err)}
	}
	if isTimeout(err) {
		return timedOut(err)
	}
	text := fmt.Sprintf("ssh: connect to host %s port %s: ", t.hostname, t.port)
	if via == nil {
		return unreachable(text+systemText(err), err)
	}
	if open, ok := errors.AsType[*gossh.OpenChannelError](err); ok && open.Reason == gossh.Prohibited {
		return unreachable(text+"administratively prohibited: the SSH server of "+via.target.hostname+
			" forwards no such connection (look at AllowTcpForwarding and PermitOpen in its sshd_config)", err)
	}
	return unreachable(text+systemText(err)+" (from "+via.target.hostname+")", err)
}

func dnsText(e *net.DNSError) string {
	switch {
	case e.IsNotFound:
		return "Name or service not known"
	case e.IsTemporary:
		return "Temporary failure in name resolution"
	}
	return e.Err
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) {
		return true
	}
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

// systemText is the system's own word for err, written as the C library does.
func systemText(err error) string {
	text := err.Error()
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		text = errno.Error()
	}
	if open, ok := errors.AsType[*gossh.OpenChannelError](err); ok {
		text = open.Message
	}
	if text == "" {
		return "connect failed"
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// handshakeError tells why a server that was connected to did not let us in.
func handshakeError(t *target, conn *lossyConn, check *hostKeyCheck, l *login, err error) error {
	if check.err != nil {
		return unreachable(textHostKey, fmt.Errorf("%s: %w", t.knownAs, check.err))
	}
	// The library has closed the connection by now; any other cause came before.
	lost := conn.lost()
	if errors.Is(lost, net.ErrClosed) {
		lost = nil
	}
	if l.err != nil && lost == nil {
		auth, _ := errors.AsType[*authError](l.err)
		if auth != nil && auth.binary != "" && !l.sent {
			return &fallback{auth.binary, unreachable(auth.text, err)}
		}
		return unreachable(l.err.Error(), err)
	}
	if none, ok := errors.AsType[*gossh.AlgorithmNegotiationError](err); ok {
		text := fmt.Sprintf("ssh: connect to host %s port %s: no common %s", t.hostname, t.port, none.What)
		return &fallback{"the server and the native client have no " + none.What + " in common", unreachable(text, err)}
	}
	if strings.Contains(err.Error(), "Too many authentication failures") {
		return unreachable(textRefused+": Too many authentication failures", err)
	}
	cause := err
	if lost != nil {
		cause = lost
	}
	if isTimeout(cause) {
		return timedOut(err)
	}
	text := strings.TrimPrefix(err.Error(), "ssh: handshake failed: ")
	if errors.Is(cause, io.EOF) || errors.Is(cause, syscall.ECONNRESET) || errors.Is(cause, syscall.EPIPE) {
		text = "Connection closed by remote host"
	}
	text = fmt.Sprintf("ssh: connect to host %s port %s: %s", t.hostname, t.port, text)
	if heard := conn.heard(); heard != "" {
		text += "\n" + heard
	}
	return unreachable(text, err)
}
