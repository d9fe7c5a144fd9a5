package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseRsh(t *testing.T) {
	for _, c := range []struct {
		line string
		want rshCall
		err  string
	}{
		{"--socket s --ticket t web1 id -un", rshCall{socket: "s", ticket: "t", command: "id -un"}, ""},
		{"--socket=s --ticket=t -l root -p22 -o A=b web1 rsync --server -x", rshCall{socket: "s", ticket: "t", command: "rsync --server -x"}, ""},
		{"--socket s --ticket t -nTp 22 -4 -- web1 x", rshCall{socket: "s", ticket: "t", noInput: true, command: "x"}, ""},
		{"--socket s --ticket t -lroot web1 x -n", rshCall{socket: "s", ticket: "t", command: "x -n"}, ""},
		{"--socket s web1 x", rshCall{}, "--socket and --ticket are needed"},
		{"--socket s --ticket t web1", rshCall{}, "a host and a command are needed"},
		{"--socket s --ticket", rshCall{}, "--ticket wants a value"},
		{"--socket s --ticket t --nonsense web1 x", rshCall{}, "no option --nonsense"},
		{"--help", rshCall{}, errHelp.Error()},
	} {
		got, err := parseRsh(strings.Fields(c.line))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", c.line, err, c.err)
			}
			continue
		}
		if d := cmp.Diff(c.want, got, cmp.AllowUnexported(rshCall{})); err != nil || d != "" {
			t.Errorf("%s: %v\n%s", c.line, err, d)
		}
	}
}

func TestRshWithoutAMultiplexer(t *testing.T) {
	_, err := rsh(t.Context(), rshCall{socket: t.TempDir() + "/none", ticket: "t"}, strings.NewReader(""), nil, nil)
	if !errors.Is(err, errNobody) {
		t.Error(err)
	}
	var out, errs strings.Builder
	if code := run([]string{"rsh", "--socket", t.TempDir() + "/none", "--ticket", "t", "web1", "id"}, &out, &errs); code != rshFailed || !strings.Contains(errs.String(), "nobody listens") {
		t.Errorf("exit status %d, %q", code, errs.String())
	}
}
