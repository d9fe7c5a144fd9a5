package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"spindle/actors"
	"spindle/actors/tree"
	"spindle/ansiblebridge"
	"spindle/bootstrap"
	"spindle/services/connections"
	"spindle/transports"
	"spindle/transports/become"
	"spindle/transports/container"
	"spindle/transports/doas"
	"spindle/transports/local"
	"spindle/transports/setns"
	"spindle/transports/ssh"
	"spindle/transports/su"
	"spindle/transports/sudo"
	"spindle/transports/wire"
)

type serveOptions struct {
	socket   string
	lifeline int
	logLevel string
	logFile  string
}

func newServeCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:    "serve",
		Short:  "Run the multiplexer (started by the strategy plugins)",
		Hidden: true,
		Args:   cobra.NoArgs,
		Long: "Run the multiplexer in the foreground. The strategy plugins do this by themselves; there is no need to call it by hand.\n" +
			"It ends when its lifeline is closed, or on SIGTERM, after every connection has been closed and every target cleaned.",
		RunE: func(*cobra.Command, []string) error { return serve(o) },
	}
	cmd.Flags().StringVar(&o.socket, "socket", "", "path of the unix socket to create; its directory must be private to you (mode 0700)")
	cmd.Flags().IntVar(&o.lifeline, "lifeline", -1, "number of an open file descriptor: 'ready' is written to it, and its end ends the multiplexer")
	cmd.Flags().StringVar(&o.logLevel, "log-level", "error", "debug, info, warn or error")
	cmd.Flags().StringVar(&o.logFile, "log-file", "", "append the log to this file instead of writing it to stderr")
	_ = cmd.MarkFlagRequired("socket")
	return cmd
}

func serve(o serveOptions) error {
	log, closeLog, err := newLogger(o)
	if err != nil {
		return err
	}
	defer closeLog()
	accounts := maxInterpreters(os.Getenv("MITOGEN_MAX_INTERPRETERS"), log)
	// Ctrl-C is for ansible-playbook; the lifeline tells when it is over. The signals are caught and not ignored, because programs
	// that are started from here would inherit that they are ignored.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	listener, err := ansiblebridge.Listen(o.socket)
	if err != nil {
		return fmt.Errorf("--socket: %w", err)
	}
	sys := actors.NewSystem(actors.Options{Logger: log, Name: "spindle"})
	r := &root{
		log:    log,
		tree:   tree.Config{Logger: log, Local: &local.Spawner{}, Program: program},
		conns:  connections.Config{Logger: log, Factories: factories(), MaxInterpreters: accounts},
		bridge: ansiblebridge.Config{Logger: log, Listener: listener, Census: sys.Census(), Version: ansiblebridge.Release(version())},
	}
	pid, err := sys.SpawnRoot(actors.Spec{Kind: "root", Name: "spindle", New: func() actor.Actor { return r }})
	if err != nil {
		listener.Close()
		return err
	}
	waitForEnd(o.lifeline, sys, log)
	sys.Send(pid, &shutdown{})
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace+time.Second)
	defer cancel()
	if err := sys.Census().Wait(ctx); err != nil {
		log.Warn("not everything ended in time", zap.Error(err))
	}
	err = errors.Join(sys.Stop(ctx), sys.Failure())
	_ = os.Remove(filepath.Dir(o.socket)) // if no other run has a socket there
	return err
}

// maxInterpreters is how many accounts are kept at a time behind one login. As in Mitogen, what is no such number is as good as nothing (contract
// §1.5): the log says so, and the run goes on.
func maxInterpreters(text string, log *zap.Logger) int {
	n, err := strconv.Atoi(text)
	if err == nil && n > 0 {
		return n
	}
	if text != "" {
		log.Warn("MITOGEN_MAX_INTERPRETERS is no whole number from 1 on", zap.String("value", text), zap.Int("used", connections.DefaultMaxInterpreters))
	}
	return connections.DefaultMaxInterpreters
}

// waitForEnd returns when the lifeline ends, SIGTERM comes, or the root has failed.
func waitForEnd(lifeline int, sys *actors.System, log *zap.Logger) {
	ended := make(chan string, 1)
	if lifeline >= 0 {
		syscall.CloseOnExec(lifeline) // or every program that is started from here would hold it
		f := os.NewFile(uintptr(lifeline), "lifeline")
		if _, err := f.WriteString("ready\n"); err != nil {
			log.Warn("the lifeline is gone already", zap.Error(err))
			return
		}
		go func() {
			_, err := io.Copy(io.Discard, f)
			ended <- fmt.Sprintf("lifeline ended: %v", err)
		}()
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	var reason string
	select {
	case reason = <-ended:
	case sig := <-term:
		reason = sig.String()
	case <-sys.Failed():
		reason = "the root failed"
	}
	log.Info("ending", zap.String("reason", reason))
}

// factories names the methods that this build knows.
func factories() map[string]transports.Factory {
	return map[string]transports.Factory{
		"become":  become.Factory,
		"buildah": container.Buildah,
		"doas":    doas.Factory,
		"docker":  container.Docker,
		"incus":   container.Incus,
		"jail":    container.Jail,
		"kubectl": container.Kubectl,
		"local":   local.Factory,
		"lxc":     container.LXC,
		"lxd":     container.LXD,
		"podman":  container.Podman,
		"setns":   setns.Factory,
		"ssh":     ssh.NewFactory(),
		"su":      su.Factory,
		"sudo":    sudo.Factory,
	}
}

// program makes the far end's command line and first flight. Each boot has a nonce of its own, so that nothing which the
// far end prints by itself can be taken for the agent.
func program(b tree.Boot) transports.Program {
	nonce := make([]byte, 12)
	rand.Read(nonce) // never fails (crypto/rand)
	o := bootstrap.Options{
		Candidates: b.Candidates, Nonce: hex.EncodeToString(nonce), Title: b.Title, TmpCandidates: b.TmpCandidates,
		Silence: b.Silence, Watch: int(b.Watch),
	}
	return transports.Program{
		Argv: bootstrap.Argv(o), Flight: bootstrap.Flight(o), Nonce: o.Nonce, Candidates: o.Candidates,
		Agent: wire.Blob{Digest: bootstrap.AgentDigest(), Size: bootstrap.PackedSize()},
	}
}

func newLogger(o serveOptions) (*zap.Logger, func(), error) {
	level, err := zapcore.ParseLevel(o.logLevel)
	if err != nil {
		return nil, nil, fmt.Errorf("--log-level: %w", err)
	}
	out := os.Stderr
	if o.logFile != "" {
		if out, err = os.OpenFile(o.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return nil, nil, fmt.Errorf("--log-file: %w", err)
		}
	}
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.ISO8601TimeEncoder
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(enc), zapcore.Lock(out), level))
	return log, func() {
		_ = log.Sync()
		if out != os.Stderr {
			_ = out.Close()
		}
	}, nil
}
