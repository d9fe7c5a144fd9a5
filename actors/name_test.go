package actors_test

import (
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"spindle/actors"
	"spindle/actors/actorstest"
)

func TestEscape(t *testing.T) {
	tests := []struct{ name, want string }{
		{"ssh:deploy@web1.example.com:2222", "ssh:deploy@web1.example.com:2222"},
		{"sudo:root", "sudo:root"},
		{"rack/7", "rack%2F7"},
		{"web1~2", "web1%7E2"},
		{"100%", "100%25"},
		{"$1", "%241"},
		{"a b\n", "a%20b%0A"},
		{"größe", "größe"},
		{"", ""},
	}
	for _, test := range tests {
		if got := actors.Escape(test.name); got != test.want {
			t.Errorf("Escape(%q) = %q, want %q", test.name, got, test.want)
		}
	}
}

func TestEscapeIsReversible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		escaped := actors.Escape(name)
		if strings.ContainsAny(escaped, "/~$ \n") {
			t.Fatalf("Escape(%q) = %q", name, escaped)
		}
		if got := actors.Unescape(escaped); got != name {
			t.Fatalf("Unescape(Escape(%q)) = %q", name, got)
		}
	})
}

func TestNamesakesGetSuffixes(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		nothing := func(actor.Context) {}
		spawn(e, "parent", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				mustSpawn(ctx, "a/b", nothing)
				mustSpawn(ctx, "a/b", nothing)
				mustSpawn(ctx, "a/b", nothing)
				mustSpawn(ctx, "a/b~2", nothing)
				mustSpawn(ctx, "", nothing)
			}
		})
		spawn(e, "parent", nothing)
		spawn(e, "deadletter", nothing) // the engine has one of that name
		actorstest.Settle()
		want := []string{
			"deadletter~2",
			"parent", "parent/a%2Fb", "parent/a%2Fb%7E2", "parent/a%2Fb~2", "parent/a%2Fb~3", "parent/test",
			"parent~2",
		}
		if diff := cmp.Diff(want, e.Paths()); diff != "" {
			t.Errorf("paths mismatch (-want +got):\n%s", diff)
		}
	})
}
