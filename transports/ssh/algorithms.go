package ssh

import (
	"strings"

	gossh "golang.org/x/crypto/ssh"
)

// isCertAlgorithm says whether an algorithm name stands for certificates.
func isCertAlgorithm(name string) bool { return strings.HasSuffix(name, "-cert-v01@openssh.com") }

// certAlgorithm is the name under which a signature algorithm is used with certificates.
func certAlgorithm(name string) string {
	if base, ok := strings.CutSuffix(name, "@openssh.com"); ok {
		return base + "-cert-v01@openssh.com"
	}
	return name + "-cert-v01@openssh.com"
}

// plainKey is the key itself, taken out of its certificate if there is one.
func plainKey(key gossh.PublicKey) gossh.PublicKey {
	if cert, ok := key.(*gossh.Certificate); ok {
		return cert.Key
	}
	return key
}
