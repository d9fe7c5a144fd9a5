package becometest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Canary looks for Secret in the command lines and environments of all processes, again and again until the test ends, and
// then in what is left.
func Canary(t testing.TB) {
	t.Helper()
	stop := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			for _, file := range shows() {
				t.Errorf("the password is in %s", file)
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		looking.Wait()
	})
}

func shows() (found []string) {
	for _, pattern := range []string{"/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ"} {
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			if b, err := os.ReadFile(f); err == nil && bytes.Contains(b, []byte(Secret)) {
				found = append(found, fmt.Sprintf("%s: %q", f, b))
			}
		}
	}
	return found
}

// Running lists processes that have text in their command line.
func Running(t testing.TB, text string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && bytes.Contains(b, []byte(text)) {
			found = append(found, string(b))
		}
	}
	return found
}
