package sshtarget

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	gossh "golang.org/x/crypto/ssh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func signer(t *testing.T) gossh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := gossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// start runs a server and returns it with the settings of a client that it lets in.
func start(t *testing.T) (*Server, *gossh.ClientConfig) {
	t.Helper()
	host, client := signer(t), signer(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(listener, Options{HostKey: host, Authorized: client.PublicKey(), Env: []string{"SEEN=yes"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	account, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return s, &gossh.ClientConfig{
		User:            account.Username,
		Auth:            []gossh.AuthMethod{gossh.PublicKeys(client)},
		HostKeyCallback: gossh.FixedHostKey(host.PublicKey()),
		Timeout:         10 * time.Second,
	}
}

func session(t *testing.T, s *Server, config *gossh.ClientConfig) (*gossh.Client, *gossh.Session) {
	t.Helper()
	client, err := gossh.Dial("tcp", s.Addr().String(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	one, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	return client, one
}

func TestACommandHasItsThreeStreamsAndItsExitCode(t *testing.T) {
	s, config := start(t)
	_, one := session(t, s, config)
	var out, errors_ bytes.Buffer
	one.Stdin, one.Stdout, one.Stderr = strings.NewReader("to stdin"), &out, &errors_
	err := one.Run(`cat; echo " $SEEN $PWD $HOME"; echo oops >&2; exit 42`)
	exit, ok := errors.AsType[*gossh.ExitError](err)
	if !ok || exit.ExitStatus() != 42 {
		t.Errorf("exit status: got %v, want 42", err)
	}
	account, _ := user.Current()
	if want := "to stdin yes " + account.HomeDir + " " + account.HomeDir + "\n"; out.String() != want {
		t.Errorf("stdout: got %q, want %q", out.String(), want)
	}
	if errors_.String() != "oops\n" {
		t.Errorf("stderr: got %q", errors_.String())
	}
}

func TestEveryByteValueComesBack(t *testing.T) {
	s, config := start(t)
	_, one := session(t, s, config)
	sent := make([]byte, 4<<20)
	rand.Read(sent)
	one.Stdin = bytes.NewReader(sent)
	got, err := one.Output("cat")
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("4 MiB through cat: got %d bytes, %v", len(got), err)
	}
}

func TestACommandThatIgnoresItsInputDoesNotHang(t *testing.T) {
	s, config := start(t)
	_, one := session(t, s, config)
	if _, err := one.StdinPipe(); err != nil { // stays open
		t.Fatal(err)
	}
	if got, err := one.Output("echo done"); err != nil || string(got) != "done\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSeveralSessionsShareAConnection(t *testing.T) {
	s, config := start(t)
	client, first := session(t, s, config)
	input, err := first.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	first.Stdout = &out
	if err := first.Start("cat"); err != nil {
		t.Fatal(err)
	}
	second, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := second.Output("echo second"); err != nil || string(got) != "second\n" {
		t.Errorf("second session beside a waiting one: got %q, %v", got, err)
	}
	io.WriteString(input, "first")
	input.Close()
	if err := first.Wait(); err != nil || out.String() != "first" {
		t.Errorf("first session: got %q, %v", out.String(), err)
	}
}

func TestOnlyTheOneKeyAndTheOneAccountGetIn(t *testing.T) {
	s, config := start(t)
	stranger := *config
	stranger.Auth = []gossh.AuthMethod{gossh.PublicKeys(signer(t))}
	if client, err := gossh.Dial("tcp", s.Addr().String(), &stranger); err == nil {
		client.Close()
		t.Error("an unknown key was let in")
	}
	other := *config
	other.User = "somebody-else"
	if client, err := gossh.Dial("tcp", s.Addr().String(), &other); err == nil {
		client.Close()
		t.Error("another account was let in")
	}
}

func TestCloseKillsWhatRuns(t *testing.T) {
	s, config := start(t)
	_, one := session(t, s, config)
	out, err := one.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Start("sleep 600 & echo $!; wait"); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 32)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(10 * time.Second); !gone(pid); {
		if time.Now().After(deadline) {
			t.Fatalf("process %d outlived the server", pid)
		}
	}
}

// gone holds for a process that has ended, reaped by its new parent or not.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestItRefusesToServeANetwork(t *testing.T) {
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Skipf("no wildcard address here: %v", err)
	}
	defer listener.Close()
	if s, err := Start(listener, Options{HostKey: signer(t), Authorized: signer(t).PublicKey()}); err == nil {
		s.Close()
		t.Error("served a wildcard address")
	}
}
