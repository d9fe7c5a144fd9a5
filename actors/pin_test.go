package actors_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// The version of protoactor that this package was measured against.
const pinned = "v0.0.0-20260118094027-288962e52f3f"

// Upstream has no usable tags, so "go get -u" and "@latest" pick whatever a proxy saw last, which can be years older:
// Future was a struct then, and the pitfalls mended here were others. Nothing else would fail before production does.
func TestProtoactorIsPinned(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var mod []byte
	for {
		if mod, err = os.ReadFile(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above this package")
		}
		dir = up
	}
	found := regexp.MustCompile(`(?m)^\s*(?:require\s+)?github\.com/asynkron/protoactor-go\s+(\S+)`).FindSubmatch(mod)
	switch {
	case found == nil:
		t.Error("go.mod does not require github.com/asynkron/protoactor-go")
	case string(found[1]) != pinned:
		t.Errorf("protoactor-go is at %s, this package is made for %s.\n"+
			"Its \"latest\" is an old pseudo-version, and an update by habit is a silent downgrade. For a deliberate update:\n"+
			"run the tests named TestP… against it, read what they mend, and change the constant in this file.", found[1], pinned)
	}
	if regexp.MustCompile(`(?m)=>\s*github\.com/asynkron/protoactor-go|asynkron/protoactor-go\s.*=>`).Match(mod) {
		t.Log("protoactor-go is replaced: mind the TestP… tests")
	}
}
