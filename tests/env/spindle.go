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

var module struct {
	sync.Once
	content []byte
	err     string
}

// binaryModule builds the module in machine code of the tour, once per test binary.
func binaryModule(t testing.TB) []byte {
	t.Helper()
	module.Do(func() {
		path := filepath.Join(scratch(), "bin", "tour_binary")
		cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", path, "./tests/env/testdata/tour_binary")
		cmd.Dir = repository(t)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err == nil {
			module.content, err = os.ReadFile(path)
		}
		if err != nil {
			module.err = err.Error() + "\n" + string(out)
		}
	})
	if module.err != "" {
		t.Fatalf("build of the binary module: %s", module.err)
	}
	return module.content
}
