package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"al.essio.dev/pkg/shellescape"
	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports"
	"spindle/transports/wire"
)

// errnoExit is what a shell of ours adds to an error number to make an exit status that no program has.
const errnoExit = 100

// startPut starts the pump that sends a file; its owner gets *copied.
func startPut(ctx actor.Context, way transports.Shell, m *Put) {
	startCopy(ctx, func(ctx context.Context) wire.Result { return putBare(ctx, way, m) })
}

// startGet starts the pump that brings a file; its owner gets *copied.
func startGet(ctx actor.Context, way transports.Shell, m *Get) {
	startCopy(ctx, func(ctx context.Context) wire.Result { return getBare(ctx, way, m) })
}

func startCopy(ctx actor.Context, do func(context.Context) wire.Result) {
	self, sys := ctx.Self(), actors.SystemOf(ctx)
	actors.Go(ctx, "file", func(ctx context.Context) error {
		if r := do(ctx); ctx.Err() == nil {
			sys.Send(self, &copied{result: r})
		}
		return nil
	})
}

// posix is a script as a command line for any login shell.
func posix(script string) string { return "/bin/sh -c " + shellescape.Quote(script) }

// putScript takes size bytes into a hidden file beside dest, and renames that when it has come whole. Of a link that breaks,
// the shell sees a short input. A link at dest is followed, and what is no file is written to as it is.
func putScript(dest string, size int64, mode uint32, times string) string {
	return strings.Join([]string{
		"d=" + shellescape.Quote(dest),
		`if [ -h "$d" ]; then l=$(readlink -f "$d") && d=$l; fi`,
		fmt.Sprintf(`if [ -d "$d" ]; then exit %d; fi`, errnoExit+int(syscall.EISDIR)),
		`if [ -e "$d" ] && [ ! -f "$d" ]; then exec cat >"$d"; fi`,
		`case $d in */*) t=${d%/*}/ ;; *) t=./ ;; esac`,
		fmt.Sprintf(`if [ ! -d "$t" ]; then exit %d; fi`, errnoExit+int(syscall.ENOENT)),
		`t=$t.ansible_mitogen_transfer-$$.tmp`,
		`trap "rm -f \"\$t\"" 0`, `trap "exit 1" 1 2 13 15`,
		"umask 077", `cat >"$t" || exit`,
		fmt.Sprintf(`if [ $(($(wc -c <"$t"))) -ne %d ]; then exit %d; fi`, size, errnoExit+int(syscall.ECONNRESET)),
		fmt.Sprintf(`chmod %o "$t" || exit`, mode),
		times, `mv -f "$t" "$d"`,
	}, "\n")
}

// touch sets the times of $t as POSIX knows to do it.
func touch(mtime, atime time.Time) string {
	const stamp = "200601021504.05"
	return fmt.Sprintf(`TZ=UTC0 touch -m -t %s "$t" && TZ=UTC0 touch -a -t %s "$t" || exit`,
		mtime.UTC().Format(stamp), atime.UTC().Format(stamp))
}

func putBare(ctx context.Context, way transports.Shell, m *Put) wire.Result {
	f, info, err := openRegular(m.Src)
	if err != nil {
		return fileError(err)
	}
	defer f.Close()
	mode := permissions(info.Mode())
	if m.Mode != nil {
		mode = *m.Mode
	}
	times := ":"
	if m.Times {
		atime := info.ModTime()
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			atime = time.Unix(st.Atim.Unix())
		}
		times = touch(info.ModTime(), atime)
	}
	size := info.Size()
	link, err := way.Run(ctx, transports.Line{Text: posix(putScript(m.Dest, size, mode, times)), Input: size})
	if err != nil {
		return failed(err)
	}
	defer link.Close()
	var streams sync.WaitGroup
	var said words
	streams.Go(func() { said.read(link) })
	if side := link.Side(); side != nil {
		streams.Go(func() { said.read(side) })
	}
	sent := make(chan error, 1)
	go func() {
		_, err := io.CopyN(link, f, size)
		if errors.Is(err, io.EOF) {
			retreat(link) // the file has shrunk
		} else {
			_ = link.CloseWrite()
		}
		sent <- err
	}()
	exit, err := link.Wait(ctx)
	if err == nil {
		lingerFor(&streams)
	} else {
		retreat(link)
	}
	_ = link.Close() // frees the writer, if the shell did not want to read all
	<-sent
	return copyResult("put", m.Dest, exit, err, &said)
}

// lingerFor waits for readers of a program that has ended, but not for ever: somebody else may hold its streams, as an ssh that
// stays for others.
func lingerFor(readers *sync.WaitGroup) {
	all := make(chan struct{})
	go func() {
		readers.Wait()
		close(all)
	}()
	patience := time.NewTimer(linger)
	defer patience.Stop()
	select {
	case <-all:
	case <-patience.C:
	}
}

// retreatTime is how long a shell may take to clean up.
const retreatTime = 2 * time.Second

// retreat ends a shell's input ahead of time, so that it knows and cleans up. Where input has no end, it is just ended.
func retreat(link transports.Link) {
	if link.CloseWrite() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), retreatTime)
		defer cancel()
		_, _ = link.Wait(ctx)
	}
	_ = link.Close()
}

// getScript says mode and times in a line, and then what is in the file.
func getScript(src string) string {
	return strings.Join([]string{
		"f=" + shellescape.Quote(src),
		fmt.Sprintf(`if [ ! -e "$f" ]; then exit %d; fi`, errnoExit+int(syscall.ENOENT)),
		fmt.Sprintf(`if [ -d "$f" ]; then exit %d; fi`, errnoExit+int(syscall.EISDIR)),
		fmt.Sprintf(`if [ ! -r "$f" ]; then exit %d; fi`, errnoExit+int(syscall.EACCES)),
		`stat -L -c "%a %Y %X" "$f" 2>/dev/null || stat -L -f "%Lp %m %a" "$f" 2>/dev/null || echo`,
		`exec cat "$f"`,
	}, "\n")
}

func getBare(ctx context.Context, way transports.Shell, m *Get) wire.Result {
	to, err := openLanding(m.Dest)
	if err != nil {
		return fileError(err)
	}
	defer to.close()
	link, err := way.Run(ctx, transports.Line{Text: posix(getScript(m.Src))})
	if err != nil {
		return failed(err)
	}
	defer link.Close()
	defer context.AfterFunc(ctx, func() { _ = link.Close() })()
	_ = link.CloseWrite()
	var aside sync.WaitGroup
	var said words
	if side := link.Side(); side != nil {
		aside.Go(func() { said.read(side) })
	}
	land := &headed{to: to}
	if _, err := io.Copy(land, link); err != nil {
		if land.err != nil {
			return fileError(land.err)
		}
		return wire.Result{Status: wire.StatusUnreachable, Text: disconnected(err.Error())}
	}
	exit, err := link.Wait(ctx)
	if err == nil {
		lingerFor(&aside)
	}
	if link.Side() == nil && exit.Code != 0 {
		said.text = land.last // errors are in the output there
	}
	r := copyResult("get", m.Src, exit, err, &said)
	if r.Status != wire.StatusOK {
		return r
	}
	if err := to.keep(land.facts()); err != nil {
		return fileError(err)
	}
	return r
}

// headed takes a line of facts, and writes what follows to a file.
type headed struct {
	to   *landing
	head []byte
	done bool
	last []byte // the end of what came
	err  error  // of writing
}

func (h *headed) Write(b []byte) (int, error) {
	n := len(b)
	if h.last = append(h.last, b...); len(h.last) > wordsMax {
		h.last = append(h.last[:0], h.last[len(h.last)-wordsMax:]...)
	}
	if !h.done {
		line, rest, found := strings.Cut(string(b), "\n")
		h.head = append(h.head, line...)
		if !found {
			if len(h.head) > maxGetHead {
				h.err = errors.New("no file header")
				return 0, h.err
			}
			return n, nil
		}
		h.done, b = true, []byte(rest)
		if h.err = h.to.begin(); h.err != nil {
			return 0, h.err
		}
	}
	if _, h.err = h.to.Write(b); h.err != nil {
		return 0, h.err
	}
	return n, nil
}

// facts are the file's mode and times; nil where there is no stat to tell them.
func (h *headed) facts() *getHead {
	var f getHead
	if n, err := fmt.Sscanf(string(h.head), "%o %g %g", &f.Mode, &f.MTime, &f.ATime); err != nil || n != 3 {
		return nil
	}
	return &f
}

// wordsMax is how much is kept of what a copy's shell complains about.
const wordsMax = 4 << 10

// words keeps the beginning of what is read.
type words struct {
	mu   sync.Mutex
	text []byte
}

func (w *words) read(r io.Reader) { _, _ = io.Copy(w, r) }

// Write keeps what fits.
func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, b[:min(len(b), wordsMax-len(w.text))]...)
	return len(b), nil
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.ToValidUTF8(strings.TrimSpace(string(w.text)), "\ufffd")
}

// copyResult is the answer to a copy whose shell has ended.
func copyResult(op, path string, exit transports.Exit, err error, said *words) wire.Result {
	r := ended(exit, err)
	if r.Status != wire.StatusOK || r.RC == 0 {
		return r
	}
	errno := syscall.Errno(max(0, r.RC-errnoExit))
	text := op + " " + path + ": "
	switch errno {
	case syscall.ENOENT, syscall.EISDIR, syscall.EACCES:
		text += strings.ToUpper(errno.Error()[:1]) + errno.Error()[1:]
	case syscall.ECONNRESET:
		text, errno = interrupted(path).Error(), 0
	default:
		errno = 0
		if text += said.String(); said.String() == "" {
			text += "exit status " + strconv.Itoa(r.RC)
		}
	}
	return wire.Result{Status: wire.StatusError, Errno: int(errno), Text: text}
}

// fileError is the answer for an error at this end.
func fileError(err error) wire.Result {
	var errno syscall.Errno
	errors.As(err, &errno)
	return wire.Result{Status: wire.StatusError, Errno: int(errno), Text: err.Error()}
}
