package ssh

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// hostKeyError says why a server's key was refused. The text that users see is the contract's, for all of them alike.
type hostKeyError struct{ why string }

func (e *hostKeyError) Error() string { return "host key " + e.why }

// hostKeyCheck decides about the key of one server.
type hostKeyCheck struct {
	target *target
	known  *knownHosts
	// changed is set when a changed key was let pass: such a server gets neither password nor agent.
	changed bool
	// accepted is the key that was let pass last, on this connection.
	accepted []byte
	// err is what refused the key; the library does not hand errors through as they are.
	err error
}

// trusted are the keys that known_hosts has for one server.
type trusted struct {
	plain, authorities, revoked []gossh.PublicKey
}

// lookup collects what the files have under name.
func (h *hostKeyCheck) lookup(name string) trusted {
	var t trusted
	for _, file := range h.target.knownFiles {
		lines := h.known.file(file).lines
		for i := range lines {
			l := &lines[i]
			if !l.matches(name) {
				continue
			}
			key := l.key()
			switch {
			case key == nil:
			case l.marker == markerRevoked:
				t.revoked = append(t.revoked, key)
			case l.marker == markerAuthority:
				t.authorities = append(t.authorities, key)
			default:
				t.plain = append(t.plain, key)
			}
		}
	}
	return t
}

// algorithms orders what the server is asked for: those first of which a key is known, so that it shows the key
// that can be checked. A list which the user wrote stays as it is.
func (h *hostKeyCheck) algorithms() []string {
	all := h.target.hostKeys
	if h.target.hostKeysChosen {
		return all
	}
	t := h.lookup(h.target.knownAs)
	if len(t.plain)+len(t.authorities) == 0 && h.target.knownPlain != "" {
		t = h.lookup(h.target.knownPlain)
	}
	var first []string
	if len(t.authorities) > 0 {
		for _, a := range all {
			if isCertAlgorithm(a) {
				first = append(first, a)
			}
		}
	}
	for _, key := range t.plain {
		for _, a := range signatureAlgorithms(key.Type()) {
			if slices.Contains(all, a) {
				first = append(first, a)
			}
		}
	}
	return common(append(first, all...), all)
}

// callback is the library's HostKeyCallback. It is called again whenever keys are exchanged anew. What was accepted once on a connection stays so, as
// with ssh: a certificate may have expired meanwhile, or known_hosts may have been changed.
func (h *hostKeyCheck) callback(_ string, _ net.Addr, key gossh.PublicKey) error {
	blob := key.Marshal()
	if h.accepted != nil && bytes.Equal(h.accepted, blob) {
		return nil
	}
	if h.err = h.check(key); h.err == nil {
		h.accepted = blob
	}
	return h.err
}

func (h *hostKeyCheck) check(key gossh.PublicKey) error {
	t := h.target
	plain := key
	cert, _ := key.(*gossh.Certificate)
	if cert != nil {
		plain = cert.Key
	}
	if bits := rsaBits(plain); bits > 0 && bits < t.minRSABits {
		return &hostKeyError{fmt.Sprintf("has %d bits, %d are required", bits, t.minRSABits)}
	}
	known := h.lookup(t.knownAs)
	err := h.trusts(known, plain, cert)
	if err == nil || err == errRevoked {
		return err
	}
	if t.knownPlain != "" {
		// Known without its port: ssh takes that too, whether it is a key or an authority. Where other keys are known with the port, the key has changed.
		bare := h.lookup(t.knownPlain)
		if len(known.plain) > 0 {
			bare.plain = nil
		}
		if without := h.trusts(bare, plain, cert); without == nil || without == errRevoked {
			return without
		} else if len(known.authorities) == 0 {
			err = without // this one says more of the certificate
		}
	}
	if len(known.plain) > 0 {
		if t.strict == strictNo {
			h.changed = true
			return nil
		}
		return &hostKeyError{"has changed"}
	}
	if t.strict == strictYes {
		return err
	}
	// A file that cannot be written is no reason to refuse what the user has allowed: ssh goes on as well.
	_ = h.known.learn(t.learnFile, t.knownAs, plain, t.hashLearned)
	return nil
}

// errRevoked refuses a key, whatever else is known of it.
var errRevoked = &hostKeyError{"is revoked"}

// trusts says whether what is known under one name lets a server in. The key is plain, in a certificate if cert is not nil.
func (h *hostKeyCheck) trusts(known trusted, plain gossh.PublicKey, cert *gossh.Certificate) error {
	for _, k := range []gossh.PublicKey{plain, authority(cert)} {
		if k != nil && containsKey(known.revoked, k) {
			return errRevoked
		}
	}
	why := "is unknown"
	if cert != nil {
		err := h.checkCert(cert, known)
		if err == nil {
			return nil
		}
		why = err.Error()
	}
	if containsKey(known.plain, plain) {
		return nil
	}
	return &hostKeyError{why}
}

// checkCert says whether a host certificate holds for this server.
func (h *hostKeyCheck) checkCert(cert *gossh.Certificate, known trusted) error {
	if !containsKey(known.authorities, cert.SignatureKey) {
		return errors.New("is certified by nobody known")
	}
	if cert.CertType != gossh.HostCert {
		return errors.New("has a certificate that is none for hosts")
	}
	if ca := h.target.caSignatures; len(ca) > 0 && !slices.Contains(ca, cert.Signature.Format) {
		return fmt.Errorf("is certified with %s, which is not allowed", cert.Signature.Format)
	}
	if len(cert.ValidPrincipals) == 0 {
		return errors.New("has a certificate without names")
	}
	name := h.target.hostname
	if h.target.knownPlain == "" {
		name = h.target.knownAs // an alias, or the same
	}
	return new(gossh.CertChecker).CheckCert(name, cert)
}

func authority(cert *gossh.Certificate) gossh.PublicKey {
	if cert == nil {
		return nil
	}
	return cert.SignatureKey
}

func containsKey(keys []gossh.PublicKey, key gossh.PublicKey) bool {
	blob := key.Marshal()
	return slices.ContainsFunc(keys, func(k gossh.PublicKey) bool { return bytes.Equal(k.Marshal(), blob) })
}

func rsaBits(key gossh.PublicKey) int {
	if ck, ok := key.(gossh.CryptoPublicKey); ok {
		if r, ok := ck.CryptoPublicKey().(*rsa.PublicKey); ok {
			return r.N.BitLen()
		}
	}
	return 0
}

// signatureAlgorithms are the ways in which a key of a type signs.
func signatureAlgorithms(keyType string) []string {
	if keyType == gossh.KeyAlgoRSA {
		return []string{gossh.KeyAlgoRSASHA512, gossh.KeyAlgoRSASHA256, gossh.KeyAlgoRSA}
	}
	return []string{keyType}
}

// learn appends a key to a known_hosts file, once: many connections to one new host may end here at the same time.
func (k *knownHosts) learn(file, name string, key gossh.PublicKey, hashed bool) error {
	if file == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	k.learning.Lock()
	defer k.learning.Unlock()
	// Against other processes of ours. Whoever holds it does not matter enough to be waited for: lines are appended
	// whole, and the worst that comes of it is one that is there twice.
	_ = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines := parseKnown(text)
	for i := range lines {
		if l := &lines[i]; l.marker == "" && l.matches(name) {
			if have := l.key(); have != nil && bytes.Equal(have.Marshal(), key.Marshal()) {
				return nil
			}
		}
	}
	if hashed {
		salt := make([]byte, sha1.Size)
		_, _ = rand.Read(salt) // never fails
		b64 := base64.StdEncoding.EncodeToString
		name = "|1|" + b64(salt) + "|" + b64(hashName(name, salt))
	}
	line := name + " " + string(gossh.MarshalAuthorizedKey(key))
	if len(text) > 0 && text[len(text)-1] != '\n' {
		line = "\n" + line
	}
	_, err = f.WriteString(line)
	return err
}
