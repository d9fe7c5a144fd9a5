package main

import (
	"os/user"
	"path/filepath"
	"testing"
)

// A service of the system's has no HOME, and Ansible asks the account's record, too.
func TestDataDirectoryWithoutHome(t *testing.T) {
	account, err := user.Current()
	if err != nil || account.HomeDir == "" {
		t.Skipf("this account has no home directory: %v", err)
	}
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("HOME", "")
	got, err := dataDirectory()
	if want := filepath.Join(account.HomeDir, ".local", "share", "spindle"); err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
