package ssh

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"

	gossh "golang.org/x/crypto/ssh"
)

// identity is one key that may be offered.
type identity struct {
	public gossh.PublicKey // may be a certificate
	signer gossh.Signer    // nil: known, but not usable here
	source string          // file or agent, for messages
}

// keyMax bounds what is read as a key file.
const keyMax = 1 << 20

// keyFile is an identity file as far as it can be read without asking anybody.
type keyFile struct {
	public gossh.PublicKey
	signer gossh.Signer // nil if it is encrypted, absent, or of a kind that lives in hardware
	// binary says that ssh could use the private part and we cannot.
	binary bool
	// locked says that the private part needs a passphrase.
	locked bool
}

// readKeyFile reads path, and its .pub beside it. Nothing usable gives an empty keyFile.
func readKeyFile(path string) keyFile {
	var k keyFile
	text, err := readSmall(path)
	if err == nil {
		k = parseKeyFile(text)
	}
	if k.signer != nil && !privateMode(path) {
		// ssh does not use keys that others could have read.
		k.signer = nil
	}
	if k.public == nil {
		if pub, err := readSmall(path + ".pub"); err == nil {
			k.public = parsePublic(pub)
		}
	}
	if k.signer == nil && k.public != nil && err == nil && strings.HasPrefix(k.public.Type(), "sk-") {
		k.binary = bytes.Contains(text, []byte("PRIVATE KEY"))
	}
	return k
}

func parseKeyFile(text []byte) keyFile {
	signer, err := gossh.ParsePrivateKey(text)
	if err == nil {
		return keyFile{public: signer.PublicKey(), signer: signer}
	}
	if missing, ok := errors.AsType[*gossh.PassphraseMissingError](err); ok {
		return keyFile{public: missing.PublicKey, locked: true}
	}
	if pub := parsePublic(text); pub != nil {
		return keyFile{public: pub}
	}
	return keyFile{public: containerPublic(text)}
}

func parsePublic(text []byte) gossh.PublicKey {
	pub, _, _, _, err := gossh.ParseAuthorizedKey(text)
	if err != nil {
		return nil
	}
	return pub
}

// containerPublic takes the public key out of OpenSSH's own file format, where it stands in the clear: the library does
// not parse keys that live in hardware.
func containerPublic(text []byte) gossh.PublicKey {
	const magic = "openssh-key-v1\x00"
	block, _ := pem.Decode(text)
	if block == nil || !bytes.HasPrefix(block.Bytes, []byte(magic)) {
		return nil
	}
	rest := block.Bytes[len(magic):]
	next := func() []byte {
		if len(rest) < 4 {
			return nil
		}
		n := binary.BigEndian.Uint32(rest)
		if uint64(n) > uint64(len(rest)-4) {
			rest = nil
			return nil
		}
		field := rest[4 : 4+n]
		rest = rest[4+n:]
		return field
	}
	for range 3 { // cipher, key derivation, its options
		next()
	}
	if len(rest) < 4 || binary.BigEndian.Uint32(rest) != 1 {
		return nil
	}
	rest = rest[4:]
	pub, err := gossh.ParsePublicKey(next())
	if err != nil {
		return nil
	}
	return pub
}

func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > keyMax {
		return nil, os.ErrInvalid
	}
	return os.ReadFile(path)
}

// privateMode says whether nobody but the owner can read path. Somebody else's file is that one's business.
func privateMode(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Getuid() {
		return true
	}
	return info.Mode().Perm()&0o077 == 0
}

// offers lists what to offer, the most promising first: every refused key costs a round trip and one of the few
// attempts that a server allows. binary names files that only the ssh binary can use, and locked those that nobody has the passphrase of.
func (t *target) offers(agentKeys []identity) (offers []identity, binary, locked []string) {
	var certs []*gossh.Certificate
	for _, file := range t.certificates {
		if text, err := readSmall(file); err == nil {
			if cert, ok := parsePublic(text).(*gossh.Certificate); ok {
				certs = append(certs, cert)
			}
		}
	}
	taken := map[string]bool{}
	add := func(id identity) {
		key := string(id.public.Marshal())
		if taken[key] || id.signer == nil {
			return
		}
		if id.signer = t.restrict(id.public, id.signer); id.signer == nil {
			return
		}
		taken[key] = true
		offers = append(offers, id)
	}
	fromAgent := func(key gossh.PublicKey) gossh.Signer {
		i := slices.IndexFunc(agentKeys, func(a identity) bool { return bytes.Equal(a.public.Marshal(), key.Marshal()) })
		if i < 0 {
			return nil
		}
		return agentKeys[i].signer
	}
	var later []identity
	addFile := func(path string) {
		k := readKeyFile(path)
		if k.public == nil {
			if k.locked {
				locked = append(locked, path)
			}
			return
		}
		// A key that is in both is taken from the file: that asks nobody.
		signer, held := k.signer, fromAgent(plainKey(k.public))
		inAgent := held != nil
		if signer == nil {
			signer = held
		}
		if signer == nil && k.binary {
			binary = append(binary, path)
		}
		if signer == nil && k.locked {
			locked = append(locked, path)
		}
		mine := certs
		if text, err := readSmall(path + "-cert.pub"); err == nil {
			if cert, ok := parsePublic(text).(*gossh.Certificate); ok {
				mine = append(slices.Clone(certs), cert)
			}
		}
		var ids []identity
		for _, cert := range mine {
			if signer == nil || !bytes.Equal(cert.Key.Marshal(), plainKey(k.public).Marshal()) {
				continue
			}
			if s, err := gossh.NewCertSigner(cert, signer); err == nil {
				ids = append(ids, identity{cert, s, path})
			}
		}
		if signer != nil {
			ids = append(ids, identity{plainKey(k.public), signer, path})
		}
		for _, id := range ids {
			if inAgent || path == t.firstIdentity {
				add(id)
			} else {
				later = append(later, id)
			}
		}
	}
	// What the user named for this very host, then what both the agent and the configuration have, then the rest of
	// the agent, then the other files.
	if t.firstIdentity != "" {
		addFile(t.firstIdentity)
	}
	for _, path := range t.identities {
		if path != t.firstIdentity {
			addFile(path)
		}
	}
	if !t.identitiesOnly {
		for _, cert := range certs { // their keys may be in the agent alone
			if signer := fromAgent(cert.Key); signer != nil {
				if s, err := gossh.NewCertSigner(cert, signer); err == nil {
					add(identity{cert, s, "agent"})
				}
			}
		}
		for _, id := range agentKeys {
			add(id)
		}
	}
	for _, id := range later {
		add(id)
	}
	return offers, binary, locked
}

// restrict limits a signer to the algorithms that the configuration allows. Nil means that none is left.
func (t *target) restrict(key gossh.PublicKey, signer gossh.Signer) gossh.Signer {
	if bits := rsaBits(plainKey(key)); bits > 0 && bits < t.minRSABits {
		return nil
	}
	_, isCert := key.(*gossh.Certificate)
	var allowed []string
	for _, a := range signatureAlgorithms(plainKey(key).Type()) {
		name := a
		if isCert {
			name = certAlgorithm(a)
		}
		if len(t.pubkeys) == 0 || slices.Contains(t.pubkeys, name) {
			allowed = append(allowed, a)
		}
	}
	if len(allowed) == 0 {
		return nil
	}
	able, ok := signer.(gossh.AlgorithmSigner)
	if !ok {
		return signer
	}
	limited, err := gossh.NewSignerWithAlgorithms(able, allowed)
	if err != nil {
		return nil
	}
	return limited
}
