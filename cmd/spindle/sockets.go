package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// runDirectories are where multiplexers of this user put their sockets: the plugins take the first that they can use, and a playbook
// started by cron has no XDG_RUNTIME_DIR where one of a login session has, so all have to be looked at.
func runDirectories() []string {
	var dirs []string
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); runtime != "" {
		dirs = append(dirs, filepath.Join(runtime, "spindle"))
	}
	return append(dirs, fmt.Sprintf("/tmp/spindle-%d", os.Getuid()))
}

// findSockets returns the sockets in a run directory. A directory that is not there has none; one that others can write to is refused,
// since whatever listens there may be anybody's.
func findSockets(dir string) ([]string, error) {
	info, err := os.Lstat(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return nil, fmt.Errorf("%s is no directory: remove it", dir)
	case !ok || int(owner.Uid) != os.Getuid():
		return nil, fmt.Errorf("%s does not belong to you: remove it, or set XDG_RUNTIME_DIR to a private directory of yours", dir)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s is open to other accounts (mode %04o): run chmod 700 %s", dir, info.Mode().Perm(), dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var sockets []string
	for _, entry := range entries {
		if entry.Type()&os.ModeSocket != 0 && strings.HasSuffix(entry.Name(), ".sock") {
			sockets = append(sockets, filepath.Join(dir, entry.Name()))
		}
	}
	slices.SortFunc(sockets, func(a, b string) int {
		if order := ownerOf(a) - ownerOf(b); order != 0 {
			return order
		}
		return strings.Compare(a, b)
	})
	return sockets, nil
}

// ownerOf is the pid of the ansible-playbook that a socket is named after, or 0.
func ownerOf(socket string) int {
	number, _, _ := strings.Cut(filepath.Base(socket), "-")
	pid, err := strconv.Atoi(number)
	if err != nil {
		return 0
	}
	return pid
}
