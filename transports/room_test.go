package transports

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRoom(t *testing.T) {
	if err := Room(); err != nil {
		t.Fatal(err)
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	lowered := unix.Rlimit{Cur: 256, Max: before.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lowered); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	}()
	var open []*os.File
	defer func() {
		for _, f := range open {
			f.Close()
		}
	}()
	for full := false; ; {
		err := Room()
		switch {
		case err == nil && !full:
		case err == nil:
			t.Fatal("there is room where there was none before")
		case !errors.Is(err, syscall.EMFILE) || !strings.Contains(err.Error(), "may have 256 files open (ulimit -n)"):
			t.Fatal(err)
		case !full && len(open) < 200:
			t.Fatalf("no room behind %d files", len(open))
		default:
			full = true
		}
		f, err := os.Open(os.DevNull)
		if err != nil {
			if !full {
				t.Fatal("there was room up to the last file")
			}
			break
		}
		open = append(open, f)
	}
	if err := Room(); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("with no file left: %v", err)
	}
}
