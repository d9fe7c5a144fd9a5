package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/singleflight"

	"spindle/transports"
)

// resolver asks ssh itself what its configuration says about a host, and remembers the answers for as long as the files are the same, see stamp.go.
// What else they may depend on, such as a Match exec, is looked at once.
type resolver struct {
	flight singleflight.Group
	slots  chan struct{} // one per ssh -G that may run now

	mu    sync.Mutex
	known map[string]*config
	// patterns are for hosts that need not be asked about, see uniform.go.
	patterns map[string]*pattern
	common   *config // the first answer, which others take from what they have in common with it
	watched  watched
}

func newResolver() *resolver {
	return &resolver{
		slots: make(chan struct{}, 4*runtime.GOMAXPROCS(0)),
		known: map[string]*config{}, patterns: map[string]*pattern{},
	}
}

// resolve runs exe with -G, the options and the host, or remembers, or knows without asking. Equal questions asked meanwhile share one answer,
// and one deadline, the first asker's.
func (r *resolver) resolve(ctx context.Context, exe string, options []string, host string) (*config, error) {
	key := resolveKey(exe, options, host)
	epoch := r.look(options)
	if c := r.recall(exe, options, host); c != nil {
		return c, nil
	}
	// Who comes after a change does not share the answer of those before it.
	answer := r.flight.DoChan(fmt.Sprintf("%d\x00%s", epoch, key), func() (any, error) {
		// The first asker may go away while others still wait.
		run, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		if deadline, ok := ctx.Deadline(); ok {
			run, cancel = context.WithDeadline(run, deadline)
			defer cancel()
		}
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-run.Done():
			return nil, run.Err()
		}
		if c := r.derive(exe, options, host); c != nil { // others were asked about meanwhile
			return c, nil
		}
		c, err := query(run, exe, options, host)
		if err != nil {
			return nil, err
		}
		c = r.remember(epoch, key, c)
		r.learn(epoch, exe, options, host, c)
		return c, nil
	})
	select {
	case got := <-answer:
		if got.Err != nil {
			return nil, got.Err
		}
		return got.Val.(*config), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// resolveKey names a question.
func resolveKey(exe string, options []string, host string) string {
	return strings.Join(append([]string{exe, host}, options...), "\x00")
}

// remember keeps an answer, in as little room as it needs beside the others, unless the files have changed since it was asked for.
func (r *resolver) remember(epoch int, key string, c *config) *config {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watched.epoch != epoch {
		return c
	}
	if r.common == nil {
		r.common = c
	} else {
		c = c.sharing(r.common)
	}
	r.known[key] = c
	return c
}

// baseline is what exe would do without any configuration and option: the defaults of exactly this version.
func (r *resolver) baseline(ctx context.Context, exe string) (*config, error) {
	return r.resolve(ctx, exe, []string{"-F", "none"}, "localhost")
}

// outputMax bounds what ssh -G may print; a real one prints 6 KiB.
const outputMax = 1 << 20

func query(ctx context.Context, exe string, options []string, host string) (*config, error) {
	path, err := transports.LookPath(exe)
	if err != nil {
		return nil, fmt.Errorf("ssh -G: %w", err)
	}
	cmd := exec.CommandContext(ctx, path, append(append([]string{"-G"}, options...), host)...)
	// A Match exec may start anything: end the whole group, and do not wait for what keeps the pipes open.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out, complaint bytes.Buffer
	cmd.Stdout = &limitedWriter{w: &out, left: outputMax}
	cmd.Stderr = &limitedWriter{w: &complaint, left: 4 << 10}
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		if text := lastLine(complaint.String()); text != "" {
			return nil, fmt.Errorf("ssh -G: %s", text)
		}
		return nil, fmt.Errorf("ssh -G: %w", err)
	}
	return parseConfig(out.Bytes())
}

// limitedWriter keeps what fits and swallows the rest.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if _, err := l.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	if i := strings.LastIndexAny(text, "\r\n"); i >= 0 {
		text = text[i+1:]
	}
	return text
}

// errScript says why a program is not asked for its configuration.
var errScript = errors.New("is a script")

// checkExecutable finds exe and refuses scripts: what a wrapper does with its arguments is not to be seen in ssh -G, so
// going past it would take its purpose away.
func checkExecutable(exe string) error {
	path, err := transports.LookPath(exe)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var magic [2]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil {
		return err
	}
	if string(magic[:]) == "#!" {
		return fmt.Errorf("%s %w", path, errScript)
	}
	return nil
}
