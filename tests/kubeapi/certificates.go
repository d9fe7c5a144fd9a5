package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// clientName is the account that the client's certificate is for.
const clientName = "certified"

// certify makes an authority that nobody has reason to trust, the server's certificate, and one for a client, which goes to dir with the authority's.
func certify(addr net.Addr, dir string) *tls.Config {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		log.Fatal(err)
	}
	authority := issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "tests"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}, nil)
	server := issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "kubeapi"}, IPAddresses: []net.IP{net.ParseIP(host)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, authority)
	client := issue(&x509.Certificate{Subject: pkix.Name{CommonName: clientName}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, authority)
	if dir != "" {
		key, err := x509.MarshalPKCS8PrivateKey(client.PrivateKey)
		if err != nil {
			log.Fatal(err)
		}
		write(filepath.Join(dir, "ca.pem"), "CERTIFICATE", authority.Certificate[0])
		write(filepath.Join(dir, "client.pem"), "CERTIFICATE", client.Certificate[0])
		write(filepath.Join(dir, "client.key"), "PRIVATE KEY", key)
	}
	pool := x509.NewCertPool()
	pool.AddCert(authority.Leaf)
	return &tls.Config{Certificates: []tls.Certificate{*server}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
}

// issue makes a certificate, signed by the authority, or by itself if there is none.
func issue(template *x509.Certificate, by *tls.Certificate) *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
	parent, signer := template, any(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		log.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		log.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func write(path, kind string, der []byte) {
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		log.Fatal(err)
	}
}
