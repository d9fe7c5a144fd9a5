package ansiblebridge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"spindle/actors"
	"spindle/actors/census"
)

// Config is what the bridge needs. It is immutable.
type Config struct {
	Logger *zap.Logger
	// Listener accepts the workers. The bridge closes it when it stops.
	Listener *net.UnixListener
	// Connections and Blobs are the services that sessions ask, and Tree the parent of all first hops.
	Connections, Blobs, Tree *actor.PID
	// Census is read for `spindle tree`.
	Census *census.Census
	// Version is told to clients: see [Release].
	Version string
}

// Listen creates the socket at path: its directory must belong to this user and be closed to others.
func Listen(path string) (*net.UnixListener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Getuid() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: the directory of the socket must belong to uid %d and have mode 0700", dir, os.Getuid())
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// bridge owns the listening socket and is the parent of all sessions.
type bridge struct {
	cfg      *Config
	listener *net.UnixListener
	next     uint64
}

// acceptPause is how long the bridge waits before it accepts again after a failure.
const acceptPause = 200 * time.Millisecond

type acceptAgain struct{}

// lookPause is how often the bridge looks whether its socket is still there: a task may clear the directory that it is in, and
// whoever logs out may lose it.
const lookPause = time.Second

type look struct{}

// accepted is a new connection, from the pump that accepts.
type accepted struct {
	conn *net.UnixConn
}

// Spec describes the bridge.
func Spec(cfg *Config) actors.Spec {
	return actors.Spec{Kind: "bridge", Name: "bridge", New: func() actor.Actor { return &bridge{cfg: cfg, listener: cfg.Listener} }}
}

func (b *bridge) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		b.accept(ctx)
		actors.After(ctx, lookPause, &look{})
	case *look:
		b.onLook(ctx)
		actors.After(ctx, lookPause, &look{})
	case *accepted:
		b.onAccepted(ctx, m)
	case *actors.PumpDone:
		if m.Err != nil { // out of descriptors, most likely: that may pass
			b.cfg.Logger.Error("cannot accept clients", zap.Error(m.Err))
			actors.After(ctx, acceptPause, &acceptAgain{})
		}
	case *acceptAgain:
		b.accept(ctx)
	case *actor.Stopping:
		b.listener.Close() // ends the pump, and removes the socket
	}
}

func (b *bridge) accept(ctx actor.Context) {
	self, sys, l := ctx.Self(), actors.SystemOf(ctx), b.listener
	actors.Go(ctx, "accept", func(ctx context.Context) error {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
					return nil
				}
				return err
			}
			sys.Send(self, &accepted{conn: conn})
		}
	})
}

// onLook listens anew where the socket has gone. Sessions that there are have lost nothing.
func (b *bridge) onLook(ctx actor.Context) {
	path := b.listener.Addr().String()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	l, err := Listen(path)
	if err != nil {
		b.cfg.Logger.Error("the socket has gone, and cannot be made again", zap.Error(err))
		return
	}
	b.cfg.Logger.Warn("the socket had gone, and was made again", zap.String("path", path))
	b.listener.SetUnlinkOnClose(false) // or it would remove the new one
	b.listener.Close()
	b.listener = l
	b.accept(ctx)
}

func (b *bridge) onAccepted(ctx actor.Context, m *accepted) {
	if err := checkPeer(m.conn); err != nil {
		b.cfg.Logger.Warn("client refused", zap.Error(err))
		m.conn.Close()
		return
	}
	b.next++
	if _, err := actors.Spawn(ctx, sessionSpec(b.cfg, strconv.FormatUint(b.next, 10), m.conn)); err != nil {
		m.conn.Close()
	}
}

// checkPeer refuses clients of other users: the socket's mode already does, this holds when the directory was opened up.
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var inner error
	if err := raw.Control(func(fd uintptr) { cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	if inner != nil {
		return inner
	}
	if int(cred.Uid) != os.Getuid() {
		return fmt.Errorf("a client of uid %d is not served; this multiplexer belongs to uid %d", cred.Uid, os.Getuid())
	}
	return nil
}
