package env

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var built struct {
	sync.Once
	path string
	err  string
}

// Binary builds cmd/spindle once per test binary and returns its path. SPINDLE_TEST_BINARY names one that is built already.
func Binary(t testing.TB) string {
	t.Helper()
	built.Do(func() {
		if p := os.Getenv("SPINDLE_TEST_BINARY"); p != "" {
			built.path = p
			return
		}
		built.path = filepath.Join(scratch(), "bin", "spindle")
		cmd := exec.Command("go", "build", "-o", built.path, "./cmd/spindle")
		cmd.Dir = repository(t)
		// The machines that it runs on have another C library.
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			built.err = err.Error() + "\n" + out.String()
		}
	})
	if built.err != "" {
		t.Fatalf("build of cmd/spindle: %s", built.err)
	}
	return built.path
}
