package ssh

import (
	"crypto/ed25519"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	offers, binary, _ := (&target{identities: []string{path}}).offers(nil)
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

// A key with a passphrase is named to whoever wonders why there is none to log in with.
func TestKeysWithPassphrasesAreNamed(t *testing.T) {
	dir := t.TempDir()
	private := newPrivate()
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	newer, err := gossh.MarshalPrivateKeyWithPassphrase(private, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	older := &pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("x")}
	var paths []string
	for name, block := range map[string]*pem.Block{"newer": newer, "older": older} {
		path := filepath.Join(dir, name)
		paths = append(paths, path)
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(paths)
	target := &target{identities: paths}
	if _, _, locked := target.offers(nil); !slices.Equal(locked, paths) {
		t.Errorf("%v, want %v", locked, paths)
	}
	if _, _, locked := target.offers([]identity{{signer.PublicKey(), signer, "agent"}}); !slices.Equal(locked, paths[1:]) {
		t.Errorf("with one in the agent: %v, want %v", locked, paths[1:])
	}
	l := &login{target: target, locked: paths}
	if got := l.failure(&gossh.ClientAuthContext{AllowedMethods: []string{"publickey"}}); !strings.Contains(got, textRefused+": the key "+paths[0]+" has a passphrase") {
		t.Error(got)
	}
}
