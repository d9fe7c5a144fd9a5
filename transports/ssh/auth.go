package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	gossh "golang.org/x/crypto/ssh"
)

// login proves who we are to one server. The library asks it for one method after the other; it remembers what has
// been tried, so that no key and above all no password goes out twice.
type login struct {
	ctx    context.Context
	target *target
	check  *hostKeyCheck

	loaded   bool
	agent    *agentClient
	offers   []identity
	locked   []string // key files that have a passphrase
	asked    bool     // keyboard-interactive has been tried
	sent     bool     // the password has been sent
	question string

	// binary says what ssh might do better than we can, if all else fails.
	binary string
	// err is why it failed, once it has.
	err error
}

// authError is a refused login. Its text is the user's.
type authError struct {
	text string
	// binary, if not empty, is why the ssh binary might get further.
	binary string
}

func (e *authError) Error() string { return e.text }

func (l *login) close() { l.agent.close() }

// next is the library's AuthCallback.
func (l *login) next(c *gossh.ClientAuthContext) (gossh.AuthMethod, error) {
	if l.ctx.Err() != nil {
		return nil, l.ctx.Err()
	}
	for _, method := range l.target.methods {
		if !slices.Contains(c.AllowedMethods, method) {
			continue
		}
		switch method {
		case "publickey":
			if m := l.nextKey(); m != nil {
				return m, nil
			}
		case "keyboard-interactive":
			if l.mayType() && !l.asked {
				l.asked = true
				return gossh.KeyboardInteractive(l.answer), nil
			}
		case "password":
			if l.mayType() {
				l.sent = true
				return gossh.Password(l.target.password.Reveal()), nil
			}
		}
	}
	l.err = &authError{l.failure(c), l.binary}
	return nil, l.err
}

// mayType says whether there is a password that has not been tried yet. A server whose key has changed gets none.
func (l *login) mayType() bool {
	return l.target.password.IsSet() && !l.sent && !l.check.changed
}

func (l *login) nextKey() gossh.AuthMethod {
	if !l.loaded {
		l.loaded = true
		l.agent = openAgent(l.ctx, l.target.agent)
		var files []string
		l.offers, files, l.locked = l.target.offers(l.agent.keys)
		if len(files) > 0 {
			l.binary = "identity file " + files[0] + " needs its security key"
		}
	}
	if len(l.offers) == 0 {
		return nil
	}
	id := l.offers[0]
	l.offers = l.offers[1:]
	return gossh.PublicKeys(&watchedSigner{id.signer, func(err error) {
		l.binary = fmt.Sprintf("key %s of %s: %v", gossh.FingerprintSHA256(id.public), id.source, err)
	}})
}

// otherQuestion finds questions that are surely not for the password.
var otherQuestion = regexp.MustCompile(`(?i)\b(code|token|otp|one[- ]time|verification|passcode|factor|pin)\b`)

// answer is the library's KeyboardInteractiveChallenge. It gives the password to one hidden question that looks like
// the one for it, and to none after that.
func (l *login) answer(_, _ string, questions []string, echos []bool) ([]string, error) {
	if len(questions) == 0 {
		return nil, nil
	}
	q := strings.TrimSpace(questions[0])
	fits := strings.Contains(strings.ToLower(q), "password") || !otherQuestion.MatchString(q)
	if len(questions) != 1 || echos[0] || !fits || !l.mayType() {
		if !l.sent {
			l.question = q
		}
		return nil, errors.New("no answer to that question")
	}
	l.sent = true
	return []string{l.target.password.Reveal()}, nil
}

// failure is the text for a login that has run out of methods.
func (l *login) failure(c *gossh.ClientAuthContext) string {
	partly := slices.Contains(c.PartialSuccessMethods, "password") ||
		slices.Contains(c.PartialSuccessMethods, "keyboard-interactive")
	switch {
	case l.sent && !partly:
		return textPasswordWrong
	case !l.target.password.IsSet() && slices.Contains(c.AllowedMethods, "password"):
		return textPasswordNeeded + l.keysMissing()
	case l.question != "":
		return fmt.Sprintf("%s: the server asks %q", textRefused, l.question)
	}
	return textRefused + l.keysMissing()
}

// keysMissing is to follow the text of a failure: the keys that were missing may have been with an agent that could not be asked, or in a file
// that nobody is asked the passphrase of.
func (l *login) keysMissing() (text string) {
	if l.agent != nil && l.agent.err != nil {
		text = fmt.Sprintf(": no keys from the SSH agent at %s: %s", l.target.agent, systemText(l.agent.err))
	}
	if len(l.locked) > 0 {
		text += fmt.Sprintf(": the key %s has a passphrase, for which nobody is asked: hand it to an SSH agent (ssh-add)", l.locked[0])
	}
	return text
}

// watchedSigner tells of signatures that could not be made: an agent may know a key and still refuse its use.
type watchedSigner struct {
	gossh.Signer
	failed func(error)
}

// Algorithms are those of the signer within, or what its key can do.
func (s *watchedSigner) Algorithms() []string {
	if m, ok := s.Signer.(gossh.MultiAlgorithmSigner); ok {
		return m.Algorithms()
	}
	return signatureAlgorithms(plainKey(s.PublicKey()).Type())
}

// Sign signs with the key's own algorithm.
func (s *watchedSigner) Sign(rand io.Reader, data []byte) (*gossh.Signature, error) {
	return s.SignWithAlgorithm(rand, data, "")
}

// SignWithAlgorithm signs, and tells if that fails.
func (s *watchedSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*gossh.Signature, error) {
	var sig *gossh.Signature
	var err error
	if a, ok := s.Signer.(gossh.AlgorithmSigner); ok {
		sig, err = a.SignWithAlgorithm(rand, data, algorithm)
	} else {
		sig, err = s.Signer.Sign(rand, data)
	}
	if err != nil {
		s.failed(err)
	}
	return sig, err
}
