package transports

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLookPath(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("bin", 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join("bin", "spindle-test-program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "bin:/usr/bin:/bin")
	for name, want := range map[string]string{"spindle-test-program": program, "./" + program: "./" + program, "/bin/sh": "/bin/sh"} {
		if got, err := LookPath(name); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	t.Setenv("PATH", "")
	if got, err := LookPath("sh"); err == nil {
		t.Errorf("PATH is empty, and sh was found in %s", got)
	}
	os.Unsetenv("PATH") // put back at the end of the test
	if got, err := LookPath("sh"); err != nil || got != "/bin/sh" {
		t.Errorf("without PATH: %q, %v", got, err)
	}
	if got, err := LookPath("spindle-test-program"); err == nil {
		t.Errorf("without PATH, and found: %s", got)
	}
}
