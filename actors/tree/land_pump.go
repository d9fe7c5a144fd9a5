package tree

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
)

// maxGetHead bounds the line of JSON in front of a file's content.
const maxGetHead = 4096

// landPieces is how many pieces may wait for the disk: far more than credit allows in pieces of a useful size.
const landPieces = 1536

// fileLander is the pump that writes what a get receives.
type fileLander struct {
	pieces chan []byte
}

// stored is the pump's word about one piece; landed is its last.
type stored struct{ bytes int }

type landed struct {
	err error
}

// landFile starts the pump. Its owner gets *stored for each piece and, once, *landed.
func landFile(ctx actor.Context, dest string) *fileLander {
	l := &fileLander{pieces: make(chan []byte, landPieces)}
	self, sys := ctx.Self(), actors.SystemOf(ctx)
	actors.Go(ctx, "file", func(ctx context.Context) error {
		sys.Send(self, &landed{err: land(ctx, dest, l.pieces, func(n int) { sys.Send(self, &stored{bytes: n}) })})
		return nil
	})
	return l
}

// add hands over a piece without blocking; it reports false when too many wait already.
func (l *fileLander) add(piece []byte) bool {
	select {
	case l.pieces <- piece:
		return true
	default:
		return false
	}
}

// end says that nothing more comes.
func (l *fileLander) end() { close(l.pieces) }

// interrupted is the error of a transfer whose size or digest is not right; it holds the destination.
type interrupted string

// Error is the contract's text (§4.1), dot and all.
func (dest interrupted) Error() string { return "transfer of '" + string(dest) + "' was interrupted." }

// getHead is the line in front of a file's content (docs/protocol.md §6, op get).
type getHead struct {
	Size  int64   `json:"size"`
	Mode  uint32  `json:"mode"`
	MTime float64 `json:"mtime"`
	ATime float64 `json:"atime"`
}

// land writes the pieces of feed to a temporary file beside dest, which is no link, and renames it when all is right; whatever goes wrong, the
// temporary file goes. It returns when feed is closed, ctx is done, or something failed.
func land(ctx context.Context, dest string, feed <-chan []byte, stored func(int)) error {
	to, err := openLanding(dest)
	if err != nil {
		return err
	}
	defer to.close()
	var (
		head    *getHead
		pending []byte
		written int64
		sum     = sha256.New()
	)
	for {
		var piece []byte
		var open bool
		select {
		case piece, open = <-feed:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !open {
			break
		}
		n := len(piece)
		if head == nil {
			pending = append(pending, piece...)
			end := bytes.IndexByte(pending, '\n')
			if end < 0 && len(pending) > maxGetHead {
				return fmt.Errorf("fetch of '%s': no file header", dest)
			}
			if end >= 0 {
				head = new(getHead)
				if err := json.Unmarshal(pending[:end], head); err != nil {
					return fmt.Errorf("fetch of '%s': %w", dest, err)
				}
				if head.Size < 0 {
					return fmt.Errorf("fetch of '%s': the file header says a size of %d", dest, head.Size)
				}
				piece, pending = pending[end+1:], nil
				if err := to.begin(); err != nil {
					return err
				}
			}
		}
		if head != nil {
			if room := head.Size - written; int64(len(piece)) > room {
				pending = append(pending, piece[room:]...)
				piece = piece[:room]
			}
			if _, err := to.Write(piece); err != nil {
				return err
			}
			sum.Write(piece)
			written += int64(len(piece))
			if len(pending) > sha256.Size {
				return interrupted(dest)
			}
		}
		stored(n)
	}
	if head == nil || written != head.Size || subtle.ConstantTimeCompare(sum.Sum(nil), pending) != 1 {
		return interrupted(dest)
	}
	return to.keep(head)
}

// landing is the file that content is written to: a hidden one beside the destination or, where that cannot be, the destination itself.
type landing struct {
	*os.File
	dest   string
	hidden bool
}

// openLanding makes the hidden file, whose name has our process in it: the plugins remove those of one that was killed. What is no
// file, as /dev/null, is not to be replaced; and where files can be written, but none be made, writing there is what is left.
func openLanding(dest string) (*landing, error) {
	old, err := os.Stat(dest)
	there := err == nil && !old.IsDir()
	if !there || old.Mode().IsRegular() {
		f, err := os.CreateTemp(filepath.Dir(dest), fmt.Sprintf(".ansible_mitogen_transfer-%d-*.tmp", os.Getpid()))
		if err == nil {
			return &landing{File: f, dest: dest, hidden: true}, nil
		}
		if !there || !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
			return nil, err
		}
	}
	// O_NONBLOCK: opening a FIFO must not wait for a reader.
	f, err := os.OpenFile(dest, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return &landing{File: f, dest: dest}, nil
}

// begin says that content is about to come.
func (l *landing) begin() error {
	if l.hidden {
		return nil
	}
	if info, err := l.Stat(); err != nil || !info.Mode().IsRegular() {
		return err
	}
	return l.Truncate(0)
}

// keep makes a hidden file the destination; one that was there before stays what it was, but for the content. The account that runs Ansible
// has to read what it has fetched, and to write it the next time, whatever the original's mode is. That may not be known.
func (l *landing) keep(head *getHead) error {
	if !l.hidden {
		return l.Close()
	}
	// Some file systems have neither modes nor times, or not for us: the content is what was asked for.
	if head != nil {
		_ = l.Chmod(os.FileMode(head.Mode&0o777 | 0o600))
	}
	if err := l.Close(); err != nil {
		return err
	}
	if head != nil {
		_ = os.Chtimes(l.Name(), when(head.ATime), when(head.MTime))
	}
	return l.settle()
}

// settle has what is whole take the destination's place. A file that is somebody else's, or has other names, is written to, as is one that
// cannot be replaced since something is mounted there.
func (l *landing) settle() error {
	if l.shared() {
		if err := l.pour(); !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	err := os.Rename(l.Name(), l.dest)
	if errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EXDEV) || errors.Is(err, fs.ErrPermission) {
		if old, statErr := os.Stat(l.dest); statErr == nil && old.Mode().IsRegular() {
			return l.pour()
		}
	}
	return err
}

// shared says whether there is a file already that would lose its owner or its other names.
func (l *landing) shared() bool {
	stat := func(path string) *syscall.Stat_t {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return nil
		}
		st, _ := info.Sys().(*syscall.Stat_t)
		return st
	}
	old, fresh := stat(l.dest), stat(l.Name())
	return old != nil && fresh != nil && (old.Nlink > 1 || old.Uid != fresh.Uid || old.Gid != fresh.Gid)
}

// pour writes what has come into the file that is there.
func (l *landing) pour() error {
	from, err := os.Open(l.Name())
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(l.dest, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		return err
	}
	if err := to.Close(); err != nil {
		return err
	}
	if info, err := from.Stat(); err == nil {
		_ = os.Chtimes(l.dest, time.Time{}, info.ModTime())
	}
	return nil
}

// close ends it, and removes what was not kept.
func (l *landing) close() {
	_ = l.Close()
	if l.hidden {
		_ = os.Remove(l.Name()) // where it was renamed, nothing has that name any more
	}
}

func when(s float64) time.Time { return time.Unix(0, int64(s*1e9)) }
