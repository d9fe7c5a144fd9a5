package env

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// volatile are the memory file systems of a machine. The overlay's upper layer does not see them.
var volatile = []string{"/tmp", "/var/tmp", "/run", "/dev/shm"}

// File is one path of a machine. Times of the test itself mean nothing, and are not there.
type File struct {
	Kind   string // file, dir, link, socket, pipe, device, gone (removed from the lower layer)
	Mode   fs.FileMode
	UID    uint32
	GID    uint32
	Size   int64
	Digest string // of a file's content, or a link's text
	Time   int64  // of its last change, if that lies before this test binary was started: somebody has set it, then
}

// String shows a file on one line.
func (f File) String() string {
	s := fmt.Sprintf("%s %v %d:%d %d %.12s", f.Kind, f.Mode, f.UID, f.GID, f.Size, f.Digest)
	if f.Time != 0 {
		s += time.Unix(f.Time, 0).UTC().Format(" 2006-01-02T15:04:05")
	}
	return s
}

// started is when this test binary was: a little earlier than any machine.
var started = time.Now()

// Files is what a machine changed or made since it was started from its layers.
type Files map[string]File

// Files takes a snapshot of everything that was written on the machine.
func (m *Machine) Files(t testing.TB) Files {
	t.Helper()
	out := Files{}
	scan(t, out, filepath.Join(m.dir, "upper"), "")
	// A directory is copied up with the first thing that changes in it. Only its own changes count.
	for path, f := range out {
		if f.Kind == "dir" {
			if was, ok := m.layer.look(path); ok && was == f {
				delete(out, path)
			}
		}
	}
	for _, v := range volatile {
		scan(t, out, m.Root()+v, v)
	}
	return out
}

// scan adds a directory's tree. Files may go away while it looks: those are not there.
func scan(t testing.TB, out Files, dir, as string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) || path != dir {
				return nil
			}
			return err
		}
		name := as + strings.TrimPrefix(path, dir)
		if path == dir || slices.Contains(volatile, name) {
			return nil
		}
		if f, ok := look(path); ok {
			out[name] = f
		}
		return nil
	})
	if err != nil {
		t.Fatalf("snapshot of %s: %v", dir, err)
	}
}

// look describes one path.
func look(path string) (File, bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return File{}, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return File{}, false
	}
	f := File{Mode: info.Mode().Perm() | info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky), UID: st.Uid, GID: st.Gid}
	switch {
	case info.Mode().IsRegular():
		f.Kind, f.Size, f.Digest = "file", info.Size(), digest(path)
	case info.IsDir():
		f.Kind = "dir"
	case info.Mode()&fs.ModeSymlink != 0:
		f.Kind = "link"
		f.Digest, _ = os.Readlink(path)
	case info.Mode()&fs.ModeSocket != 0:
		f.Kind = "socket"
	case info.Mode()&fs.ModeNamedPipe != 0:
		f.Kind = "pipe"
	case info.Mode()&fs.ModeCharDevice != 0 && st.Rdev == 0:
		f.Kind = "gone"
	default:
		f.Kind = "device"
	}
	// A directory's time changes with whatever is made in it.
	if f.Kind != "dir" && info.ModTime().Before(started) {
		f.Time = info.ModTime().Unix()
	}
	return f, true
}

func digest(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Without returns the files whose paths match none of the patterns.
func (f Files) Without(patterns ...*regexp.Regexp) Files {
	out := maps.Clone(f)
	for path := range f {
		for _, p := range patterns {
			if p.MatchString(path) {
				delete(out, path)
			}
		}
	}
	return out
}

// Diff lists, path by path, how other differs from f.
func (f Files) Diff(other Files) []string {
	var out []string
	for path, was := range f {
		if is, ok := other[path]; !ok {
			out = append(out, fmt.Sprintf("- %s: %v", path, was))
		} else if is != was {
			out = append(out, fmt.Sprintf("! %s: %v, was %v", path, is, was))
		}
	}
	for path, is := range other {
		if _, ok := f[path]; !ok {
			out = append(out, fmt.Sprintf("+ %s: %v", path, is))
		}
	}
	slices.SortFunc(out, func(a, b string) int { return strings.Compare(a[2:], b[2:]) })
	return out
}
