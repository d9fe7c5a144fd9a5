package sshtarget

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"sync"
	"syscall"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// leftover is how long output may still come when the command itself has ended, as from a daemon it started.
const leftover = 2 * time.Second

// Options says who may log in, and how the server shows itself.
type Options struct {
	HostKey    gossh.Signer    // what clients will find in their known_hosts
	Authorized gossh.PublicKey // the only key that is let in
	Env        []string        // what commands see beside HOME, USER, LOGNAME, SHELL and PATH
}

// Server is a running SSH server. Start makes one.
type Server struct {
	listener net.Listener
	server   *ssh.Server
	account  *user.User
	shell    string
	env      []string
	commands sync.WaitGroup
	serving  sync.WaitGroup
}

// Start serves the given loopback listener until Close.
func Start(listener net.Listener, options Options) (*Server, error) {
	if tcp, ok := listener.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("serve %s: the demonstration's SSH server is for loopback addresses only", listener.Addr())
	}
	account, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("look up the current user: %w", err)
	}
	s := &Server{listener: listener, account: account, shell: loginShell(), env: options.Env}
	s.server = &ssh.Server{
		Handler: s.run,
		PublicKeyHandler: func(ctx ssh.Context, key ssh.PublicKey) bool {
			return ctx.User() == account.Username && ssh.KeysEqual(key, options.Authorized)
		},
		PtyCallback:       func(ssh.Context, ssh.Pty) bool { return false },
		SubsystemHandlers: map[string]ssh.SubsystemHandler{},
		ChannelHandlers:   map[string]ssh.ChannelHandler{"session": ssh.DefaultSessionHandler},
		Version:           "SpindleDemo",
	}
	s.server.AddHostKey(options.HostKey)
	s.serving.Go(func() { s.server.Serve(listener) })
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() *net.TCPAddr { return s.listener.Addr().(*net.TCPAddr) }

// Close ends every connection, kills what they run, and returns when all of it is gone.
func (s *Server) Close() error {
	err := s.server.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	s.serving.Wait()
	s.commands.Wait()
	return err
}

// run serves one session: one command.
func (s *Server) run(session ssh.Session) {
	s.commands.Add(1)
	defer s.commands.Done()
	if session.RawCommand() == "" {
		io.WriteString(session.Stderr(), "this server runs commands only\n")
		session.Exit(1)
		return
	}
	code, err := s.command(session.Context(), session)
	if err != nil {
		fmt.Fprintln(session.Stderr(), err)
	}
	session.Exit(code)
}

func (s *Server) command(ctx context.Context, session ssh.Session) (int, error) {
	cmd := exec.Command(s.shell, "-c", session.RawCommand())
	cmd.Dir = s.account.HomeDir
	cmd.Env = append([]string{
		"HOME=" + s.account.HomeDir,
		"USER=" + s.account.Username,
		"LOGNAME=" + s.account.Username,
		"SHELL=" + s.shell,
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}, s.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stdout = session
	cmd.Stderr = session.Stderr()
	cmd.WaitDelay = leftover
	// Not cmd.Stdin: Wait would then wait for the client to end its input, which it has no reason to do.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 126, fmt.Errorf("make a pipe for the command: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return 127, fmt.Errorf("start %s: %w", s.shell, err)
	}
	go func() {
		io.Copy(stdin, session)
		stdin.Close()
	}()
	ended := make(chan struct{})
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		select {
		case <-ctx.Done():
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		case <-ended:
		}
	}()
	err = cmd.Wait()
	close(ended)
	<-killed
	return exitCode(cmd, err)
}

// exitCode tells sshd's way what became of a command: a signal counts 128 more, as in a shell.
func exitCode(cmd *exec.Cmd, err error) (int, error) {
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	if _, ok := errors.AsType[*exec.ExitError](err); ok || errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return cmd.ProcessState.ExitCode(), err
}

// loginShell is the account's shell as far as the environment tells; any POSIX shell serves.
func loginShell() string {
	if shell := os.Getenv("SHELL"); shell != "" {
		if info, err := os.Stat(shell); err == nil && !info.IsDir() {
			return shell
		}
	}
	return "/bin/sh"
}
