package target

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func TestMain(m *testing.M) {
	ServeIfAsked()
	if wish := os.Getenv(containersVariable); wish != "" {
		waitToBeKilled(wish)
	}
	goleak.VerifyTestMain(m)
}

// login runs one command on the target with nothing but the files that it made.
func login(t *testing.T, one Facts, address, command string) string {
	t.Helper()
	pem, err := os.ReadFile(one.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := gossh.ParsePrivateKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "known_hosts")
	lines := one.KnownHosts([]Address{{address, one.Port}})
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	known, err := knownhosts.New(path)
	if err != nil {
		t.Fatal(err)
	}
	client, err := gossh.Dial("tcp", fmt.Sprintf("%s:%d", address, one.Port), &gossh.ClientConfig{
		User: one.User, Auth: []gossh.AuthMethod{gossh.PublicKeys(key)}, HostKeyCallback: known, Timeout: 20 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	out, err := session.Output(command)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestBothServersLetTheirOwnKeyIn(t *testing.T) {
	for _, embedded := range []bool{false, true} {
		t.Run(fmt.Sprintf("embedded=%v", embedded), func(t *testing.T) {
			if !embedded && findSSHD() == "" {
				t.Skip("no sshd on this machine")
			}
			one, err := Start(Options{Dir: t.TempDir(), Embedded: embedded, Addresses: []string{"127.0.0.1", "127.0.0.2"}})
			if err != nil {
				t.Fatal(err)
			}
			defer one.Close()
			for _, address := range one.Addresses {
				if got := login(t, one.Facts, address, "echo hello"); got != "hello\n" {
					t.Errorf("echo on %s: got %q", address, got)
				}
			}
			if one.SFTP == embedded {
				t.Errorf("SFTP of %s: got %v", one.Server, one.SFTP)
			}
			if err := one.Close(); err != nil {
				t.Error(err)
			}
			if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", one.Port)); err == nil {
				conn.Close()
				t.Error("it still listens")
			}
		})
	}
}

func TestAnSSHDThatCannotStartSaysWhy(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "sshd")
	script := "#!/bin/sh\necho 'this is why' >&2\nexit 1\n"
	if err := os.WriteFile(bad, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	one := &Target{}
	_, err := one.withSSHD(bad, dir, false)
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		t.Errorf("error does not carry the exit status: %v", err)
	}
}

func TestATargetInAnotherProcessEndsWithItsLifeline(t *testing.T) {
	one, err := Spawn(t.Context(), Options{Dir: t.TempDir(), Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	if got := login(t, one.Facts, "127.0.0.1", "echo hello"); got != "hello\n" {
		t.Errorf("echo: got %q", got)
	}
	if err := one.Close(); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", one.Port)); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}

func TestATargetThatCannotStartSaysWhy(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := Spawn(t.Context(), Options{Dir: missing})
	if err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("error does not name %s: %v", missing, err)
	}
}
