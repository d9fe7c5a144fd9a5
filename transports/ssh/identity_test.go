package ssh

import (
	"crypto/ed25519"
	"encoding/pem"
	"os"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

// skFile is a key whose private half is in hardware, as ssh-keygen writes it.
func skFile() []byte {
	public := gossh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{gossh.KeyAlgoSKED25519, []byte(newPrivate().Public().(ed25519.PublicKey)), "ssh:"})
	body := append([]byte("openssh-key-v1\x00"), gossh.Marshal(struct {
		Cipher, KDF, Options string
		Keys                 uint32
		Public, Private      []byte
	}{"none", "none", "", 1, public, []byte("12345678")})...)
	return pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: body})
}

func TestSecurityKeyIsForTheBinary(t *testing.T) {
	path := t.TempDir() + "/id"
	if err := os.WriteFile(path, skFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	k := readKeyFile(path)
	if k.public == nil || k.public.Type() != gossh.KeyAlgoSKED25519 || k.signer != nil || !k.binary {
		t.Errorf("got %+v", k)
	}
	offers, binary := (&target{identities: []string{path}}).offers(nil)
	if len(offers) != 0 || len(binary) != 1 {
		t.Errorf("offers %v, for the binary %v", offers, binary)
	}
}

func TestKeyFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/rubbish", []byte("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dir, dir + "/none", dir + "/rubbish", "/dev/zero"} {
		if k := readKeyFile(name); k.public != nil || k.signer != nil || k.binary {
			t.Errorf("%s gave %+v", name, k)
		}
	}
}
