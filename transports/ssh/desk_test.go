package ssh

import (
	"crypto/rand"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// loose makes a copy of a key that others can read.
func (d *desk) loose(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		d.t.Fatal(err)
	}
	copied := d.write("loose", string(text))
	if err := os.Chmod(copied, 0o644); err != nil {
		d.t.Fatal(err)
	}
	return copied
}

// certificate makes an agent's entry of a key that the server knows by its certificate only.
func (d *desk) certificate(private any) agent.AddedKey {
	return agent.AddedKey{PrivateKey: private, Certificate: d.sign(signer(private).PublicKey(), d.lab.userCA, gossh.UserCert, d.lab.user)}
}

// certified writes a key and, elsewhere, its certificate. It returns the path of the key.
func (d *desk) certified(key, cert string) string {
	private := newPrivate()
	writePrivate(d.t, d.path(key), private, "")
	d.write(cert, authorized(d.certificate(private).Certificate)+"\n")
	return d.path(key)
}

// sign makes a certificate.
func (d *desk) sign(key gossh.PublicKey, ca gossh.Signer, kind uint32, principals ...string) *gossh.Certificate {
	d.t.Helper()
	c := &gossh.Certificate{
		Key: key, CertType: kind, ValidPrincipals: principals,
		ValidAfter: uint64(time.Now().Add(-time.Hour).Unix()), ValidBefore: uint64(time.Now().Add(time.Hour).Unix()),
	}
	if kind == gossh.UserCert {
		c.Extensions = map[string]string{"permit-pty": "", "permit-agent-forwarding": "", "permit-port-forwarding": ""}
	}
	if err := c.SignCert(rand.Reader, ca); err != nil {
		d.t.Fatal(err)
	}
	return c
}

// agent serves an SSH agent with these keys and returns its socket. A string in place of a key says why it does not sign.
func (d *desk) agent(keys ...any) string {
	d.t.Helper()
	ring := agent.NewKeyring()
	for _, k := range keys {
		add, ok := k.(agent.AddedKey)
		if !ok {
			add = agent.AddedKey{PrivateKey: k}
		}
		if err := ring.Add(add); err != nil {
			d.t.Fatal(err)
		}
	}
	return d.serveAgent(ring)
}

func (d *desk) serveAgent(ring agent.Agent) string {
	d.t.Helper()
	// Names of sockets are short, those of tests are not.
	dir, err := os.MkdirTemp("", "spa")
	if err != nil {
		d.t.Fatal(err)
	}
	ln, err := net.Listen("unix", dir+"/s")
	if err != nil {
		d.t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				_ = agent.ServeAgent(ring, c)
				_ = c.Close()
			})
		}
	})
	d.t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
		_ = os.RemoveAll(dir)
	})
	return ln.Addr().String()
}

// hashed is a known_hosts line with a hashed name.
func hashed(name string, key gossh.PublicKey) string {
	file, err := os.CreateTemp("", "spk")
	if err != nil {
		panic(err)
	}
	defer os.Remove(file.Name())
	_ = file.Close()
	if err := newKnownHosts().learn(file.Name(), name, key, true); err != nil {
		panic(err)
	}
	text, _ := os.ReadFile(file.Name())
	return strings.TrimSpace(string(text))
}
