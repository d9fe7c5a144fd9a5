package tests

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// load parses every Go file of the module, whatever its build tags.
func load(t *testing.T) []source {
	t.Helper()
	var out []source
	fset := token.NewFileSet()
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); p != ".." && (n == "testdata" || n == "vendor" || strings.HasPrefix(n, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel("..", p)
		if err != nil || filepath.Ext(p) != ".go" || !strings.Contains(name, "/") {
			return err
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		out = append(out, source{filepath.ToSlash(name), f, fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("only %d files found: this test looks in the wrong place", len(out))
	}
	return out
}

func TestArchitecture(t *testing.T) {
	all := load(t)
	for _, rule := range []struct {
		name  string
		check func(source) []string
	}{{"imports", imports}, {"actors share nothing", alone}, {"banned calls", banned}, {"documented", documented}} {
		t.Run(rule.name, func(t *testing.T) {
			for _, s := range all {
				for _, v := range rule.check(s) {
					t.Error(v)
				}
			}
		})
	}
	t.Run("doors", func(t *testing.T) {
		for _, v := range doors(all) {
			t.Error(v)
		}
	})
}

// TestActorLibraryIsPinned keeps the exact version: "latest" is an older one here, and "go get -u" would take it silently.
func TestActorLibraryIsPinned(t *testing.T) {
	b, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	const want = protoactor + " v0.0.0-20260118094027-288962e52f3f"
	if got := regexp.MustCompile(regexp.QuoteMeta(protoactor) + ` v\S+`).FindString(string(b)); got != want {
		t.Errorf("go.mod has %q, want %q", got, want)
	}
}

func parse(t *testing.T, name, text string) source {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return source{name, f, fset}
}

func TestRulesFindViolations(t *testing.T) {
	const actor = `import "github.com/asynkron/protoactor-go/actor"` + "\n"
	for _, c := range []struct {
		name, file, text string
		check            func(source) []string
		want             []string
	}{
		{"down", "services/a.go", `import "spindle/actors"`, imports, nil},
		{"wire from everywhere", "actors/a.go", `import "spindle/transports/wire"`, imports, nil},
		{"up", "actors/a.go", `import "spindle/services"`, imports, []string{`actors/a.go:2: actors must not import services: arrows point down only`}},
		{"sideways", "bootstrap/a.go", `import "spindle/transports"`, imports, []string{`bootstrap/a.go:2: bootstrap must not import transports: arrows point down only`}},
		{"wire up", "transports/wire/a.go", `import "spindle/transports"`, imports, []string{`transports/wire/a.go:2: transports/wire must not import transports: arrows point down only`}},
		{"instruments in the product", "cmd/spindle/a.go", `import "spindle/tests/proxy"`, imports, []string{`cmd/spindle/a.go:2: cmd/spindle must not import tests/proxy: it is no part of the product`}},
		{"instruments in a test", "transports/ssh/a_test.go", `import "spindle/tests/proxy"`, imports, nil},
		{"concrete transport", "services/a.go", `import "spindle/transports/ssh"`, imports, []string{`services/a.go:2: services must not import transports/ssh: concrete transports are registered in cmd`}},
		{"concrete transport in cmd", "cmd/spindle/a.go", `import "spindle/transports/ssh"`, imports, nil},
		{"protoactor below", "transports/a.go", actor, imports, []string{`transports/a.go:2: transports must not know protoactor`}},
		{"remote", "actors/a.go", `import "github.com/asynkron/protoactor-go/remote"`, imports, []string{`actors/a.go:2: protoactor's remote is not used in this house`}},
		{"goroutine", "services/a.go", actor + "func f() { go f() }", alone, []string{`services/a.go:3: an actor starts no goroutine: use actors.Go, in a pump file`}},
		{"goroutine in a pump", "services/x_pump.go", actor + "func f() { go f() }", alone, nil},
		{"goroutine in the seam", "actors/a.go", actor + "func f() { go f() }", alone, nil},
		{"goroutine of no actor", "services/a.go", "func f() { go f() }", alone, nil},
		{"channel", "actors/tree/a.go", actor + "type t struct{ c chan int }", alone, []string{`actors/tree/a.go:3: an actor uses no channel: it has a mailbox`}},
		{"receive", "services/a.go", actor + "func f() { <-c }", alone, []string{`services/a.go:3: an actor receives from no channel: it has a mailbox`}},
		{"mutex", "services/a.go", actor + "type t struct{ mu sync.Mutex }", alone, []string{`services/a.go:3: an actor needs no sync.Mutex: nothing of it is shared`}},
		{"atomic", "services/a.go", actor + "type t struct{ n atomic.Int64 }", alone, []string{`services/a.go:3: an actor needs no atomic.Int64: nothing of it is shared`}},
		{"sleep", "services/a.go", actor + "func f() { time.Sleep(1) }", alone, []string{`services/a.go:3: an actor does not sleep: use actors.After`}},
		{"receive timeout", "services/a.go", "func f() { ctx.SetReceiveTimeout(1) }", banned, []string{`services/a.go:2: SetReceiveTimeout races with its own timer: use actors.After`}},
		{"bounded", "services/a.go", "var m = actor.Bounded(1)", banned, []string{`services/a.go:2: a bounded mailbox spins and deadlocks: use credit`}},
		{"stash", "services/a.go", "func f() { ctx.Stash() }", banned, []string{`services/a.go:2: Stash reverses order and forgets senders: keep a list`}},
		{"the pitfalls' own tests", "actors/a_test.go", "func f() { ctx.Stash() }", banned, nil},
		{"undocumented", "wire/a.go", "func F() {}\ntype T int\nfunc (T) M() {}\nconst C = 1\nvar V int\nfunc (u) M() {}\nfunc g() {}", documented, []string{
			"wire/a.go:2: func F is exported and not documented", "wire/a.go:3: type T is exported and not documented",
			"wire/a.go:4: func M is exported and not documented", "wire/a.go:5: const C is exported and not documented",
			"wire/a.go:6: var V is exported and not documented",
		}},
		{"documented", "wire/a.go", "// F does.\nfunc F() {}\n// Kinds.\nconst (\n\tA = 1\n)\nvar B int // B is.", documented, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.check(parse(t, c.file, "package p\n"+c.text+"\n"))
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("mismatch (-want +got):\n%s", d)
			}
		})
	}
}

func TestDoorsFindsAPackageThatSaysNothing(t *testing.T) {
	long := strings.Repeat("// A line.\n", 10) + "package p\n"
	got := doors([]source{
		parse(t, "a/doc.go", long), parse(t, "a/a.go", "package p\n"),
		parse(t, "b/doc.go", "// Short.\npackage p\n"), parse(t, "c/c.go", long),
		parse(t, "d/main.go", strings.Replace(long, "package p", "package main", 1)),
	})
	want := []string{
		"b: doc.go has 1 lines of comment, and 10 are the least that explain a package",
		"c: doc.go has 0 lines of comment, and 10 are the least that explain a package",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("mismatch (-want +got):\n%s", d)
	}
}
