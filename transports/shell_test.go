package transports_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spindle/transports"
	"spindle/transports/local"
)

// gate is a method whose program may ask for a word, and leads to an account on this machine.
type gate struct {
	script string // starts "$@" in the end
	mode   transports.Mode
	word   transports.Secret
	waits  bool
}

func (g gate) Name() string           { return "gate" }
func (g gate) Timeout() time.Duration { return 10 * time.Second }

func (g gate) Dial(context.Context, transports.Spawner, transports.Program) (*transports.Booted, error) {
	return nil, errors.New("not here")
}

func (g gate) Plan(_ context.Context, _ transports.Spawner, program []string) (transports.Plan, error) {
	return transports.Plan{
		Command: transports.Command{Argv: slices.Concat([]string{"/bin/sh", "-c", g.script, "gate"}, program), Mode: g.mode},
		Script: transports.Script{
			Class: transports.BecomeFailed, Timeout: 10 * time.Second, Waits: g.waits,
			Prompts: []transports.Prompt{{
				Name: "password", Pattern: regexp.MustCompile(`word: $`), Answer: g.word, Required: "required", Again: "wrong",
			}},
			Failures: []transports.Failure{{Pattern: regexp.MustCompile(`^gate: refused`)}},
		},
		How: "gate", Why: "tested",
	}, nil
}

// plainGate talks a lot, on both streams, and asks nothing.
var plainGate = gate{script: `echo "Welcome"; echo "motd" >&2; printf "no newline"; printf "here neither" >&2; exec "$@"`}

// askingGate wants the word from the terminal, and failing that from stdin.
func askingGate(word string) gate {
	return gate{mode: transports.ControlTTY, word: transports.NewSecret(word), script: `
		t=/dev/tty; (: </dev/tty) 2>/dev/null || t=
		if [ "$t" ]; then printf "word: " >$t; read -r w <$t; else printf "word: " >&2; read -r w; fi
		[ "$w" = tiger ] || { echo "gate: refused $w" >&2; exit 1; }
		echo "gate: come in" >&2
		exec "$@"`}
}

// poor is a spawner that has some kinds of streams only.
type poor struct {
	local.Spawner
	modes []transports.Mode
}

func (p *poor) Spawn(ctx context.Context, c transports.Command) (transports.Link, error) {
	if !slices.Contains(p.modes, c.Mode) {
		return nil, &transports.ConnectError{Text: "no such streams", Err: errors.ErrUnsupported}
	}
	return p.Spawner.Spawn(ctx, c)
}

func openShell(t *testing.T, g gate, via transports.Spawner) transports.Shell {
	t.Helper()
	s, err := transports.OpenBare(t.Context(), g, via)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// outcome is all that a command did.
type outcome struct {
	out, side string
	exit      transports.Exit
}

func runLine(t *testing.T, s transports.Shell, l transports.Line, input string) outcome {
	t.Helper()
	link, err := s.Run(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return finishLink(t, link, input)
}

func finishLink(t *testing.T, link transports.Link, input string) (o outcome) {
	t.Helper()
	defer link.Close()
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := io.WriteString(link, input); err != nil {
			t.Error(err)
		}
		if err := link.CloseWrite(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
	})
	read := func(r io.Reader, to *string) {
		b, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		*to = string(b)
	}
	all.Go(func() { read(link, &o.out) })
	if side := link.Side(); side != nil {
		all.Go(func() { read(side, &o.side) })
	}
	all.Wait()
	var err error
	if o.exit, err = link.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	return o
}

func TestShellRunsCommandLines(t *testing.T) {
	s := openShell(t, plainGate, &local.Spawner{})
	host, _ := os.Hostname()
	if got := s.About(); got != (transports.About{How: "gate", Why: "tested", Host: host}) {
		t.Errorf("about %+v", got)
	}
	dir := t.TempDir()
	var bytes strings.Builder
	for c := 1; c < 256; c++ {
		bytes.WriteByte(byte(c))
	}
	quoted := "'" + strings.ReplaceAll(bytes.String(), "'", `'\''`) + "'"
	for _, tt := range []struct {
		name  string
		line  transports.Line
		input string
		want  outcome
	}{
		{name: "streams and status", line: transports.Line{Text: "echo out; echo err >&2; exit 7"}, want: outcome{"out\n", "err\n", transports.Exit{Code: 7}}},
		{name: "nothing", line: transports.Line{Text: ""}},
		{name: "no input", line: transports.Line{Text: "cat; echo end"}, want: outcome{out: "end\n"}},
		{name: "input", line: transports.Line{Text: "cat", Input: 6}, input: "a\nb\n\x00\xff", want: outcome{out: "a\nb\n\x00\xff"}},
		{name: "input of any length", line: transports.Line{Text: "wc -c", Input: -1}, input: strings.Repeat("x", 300000), want: outcome{out: "300000\n"}},
		{
			name: "surroundings", want: outcome{out: "1 'x y'\n" + dir + "\n0027\nunset\n"},
			line: transports.Line{Text: `echo "$A" && pwd && umask && echo "${PWD_OF-unset}"`, Env: []string{"A=1 'x y'", "PWD_OF"}, Dir: dir, Umask: "0027"},
		},
		{name: "lines", line: transports.Line{Text: "cat <<'E'\n$a `b` \\c\nE\necho \"2\""}, want: outcome{out: "$a `b` \\c\n2\n"}},
		{name: "every byte", line: transports.Line{Text: "printf %s " + quoted}, want: outcome{out: bytes.String()}},
		{name: "joined", line: transports.Line{Text: "echo 1; echo 2 >&2; echo 3", Joined: true}, want: outcome{out: "1\n2\n3\n"}},
		{name: "own names", line: transports.Line{Text: `echo "${c-}"`}, want: outcome{out: "\n"}},
		{name: "leads with a dash", line: transports.Line{Text: "-x"}, want: outcome{exit: transports.Exit{Code: 127}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := runLine(t, s, tt.line, tt.input)
			if tt.want.exit.Code == 127 {
				got.side = ""
			}
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
	if got := runLine(t, s, transports.Line{Text: "true", Dir: "/nonexistent"}, ""); got.exit.Code == 0 || !strings.Contains(got.side, "/nonexistent") {
		t.Errorf("a directory that is not there: %+v", got)
	}
}

// A command behind a prompt, on whatever streams the way has.
func TestShellBehindAPrompt(t *testing.T) {
	for _, tt := range []struct {
		modes []transports.Mode
		joint bool
	}{
		{modes: []transports.Mode{transports.Pipes, transports.ControlTTY, transports.FullTTY}},
		{modes: []transports.Mode{transports.Pipes, transports.FullTTY}, joint: true},
		{modes: []transports.Mode{transports.Pipes}},
	} {
		t.Run(fmt.Sprint(tt.modes), func(t *testing.T) {
			s := openShell(t, askingGate("tiger"), &poor{modes: tt.modes})
			for _, input := range []string{"", "some\ninput\n" + strings.Repeat("x", 50000)} {
				got := runLine(t, s, transports.Line{Text: "cat; echo err >&2; exit 3", Input: int64(len(input))}, input)
				want := outcome{input, "err\n", transports.Exit{Code: 3}}
				if tt.joint {
					want = outcome{input + "err\n", "", transports.Exit{Code: 3}}
				}
				if got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
			}
			link, err := s.Run(t.Context(), transports.Line{Text: "cat", Input: -1})
			if tt.joint != errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("input of any length: %v", err)
			}
			if err == nil {
				_ = link.Close()
			}
		})
	}
}

func TestShellOpensWithTheErrorsOfTheWay(t *testing.T) {
	for name, tt := range map[string]struct {
		gate gate
		want string
	}{
		"wrong":   {askingGate("lion"), "gate: refused ***"},
		"none":    {gate{mode: transports.ControlTTY, script: askingGate("").script}, "required"},
		"ended":   {gate{script: "echo no such container; exit 1"}, transports.TextEOF + "no such container"},
		"missing": {gate{script: `exec "$0"`}, transports.TextEOF},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := transports.OpenBare(t.Context(), tt.gate, &local.Spawner{})
			var ce *transports.ConnectError
			if !errors.As(err, &ce) || !strings.HasPrefix(ce.Text, tt.want) || ce.Class != transports.BecomeFailed {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Errors that go into the output, by a tool that has no second stream, are there once and whole.
func TestShellOfAToolThatJoinsStreams(t *testing.T) {
	s := openShell(t, gate{script: `echo noise >&2; exec "$@" 2>&1`}, &local.Spawner{})
	got := runLine(t, s, transports.Line{Text: "echo out; echo err >&2"}, "")
	if got != (outcome{out: "out\nerr\n"}) {
		t.Errorf("%+v", got)
	}
}

// A shell is a spawner too: for a hop behind an account without Python.
// A tool that passes on nothing of a program that has ended before it looks, as podman may.
func TestShellOfAToolThatLosesWhatEndsSoon(t *testing.T) {
	d := t.TempDir()
	s := openShell(t, gate{waits: true, script: `
		d=$(mktemp -d ` + d + `/XXXXXX); exec 3<&0
		"$@" <&3 >$d/out 2>$d/err & p=$!
		sleep 0.3
		kill -0 $p 2>/dev/null || { wait $p; exit; }
		tail -f -s 0.05 -n +1 --pid=$p $d/err >&2 &
		tail -f -s 0.05 -n +1 --pid=$p $d/out
		wait $p`}, &local.Spawner{})
	if got := runLine(t, s, transports.Line{Text: "echo out; echo err >&2; exit 3"}, ""); got.out != "out\n" || got.exit.Code != 3 {
		t.Errorf("%+v", got)
	}
}

func TestShellSpawns(t *testing.T) {
	s := openShell(t, askingGate("tiger"), &local.Spawner{})
	link, err := s.Spawn(t.Context(), transports.Command{Argv: []string{"sh", "-c", `test -t 2 && echo "$1" "$A" && pwd && cat`, "x", "it's"}, Env: []string{"A=b c"}, Dir: "/usr", Mode: transports.ControlTTY})
	if err != nil {
		t.Fatal(err)
	}
	if got := finishLink(t, link, "in"); got != (outcome{out: "it's b c\n/usr\nin"}) {
		t.Errorf("%+v", got)
	}
	if _, err := s.Spawn(t.Context(), transports.Command{Argv: []string{"true"}, Mode: transports.FullTTY}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("streams that are not there: %v", err)
	}
	inner, err := transports.OpenBare(t.Context(), askingGate("tiger"), s)
	if err != nil {
		t.Fatal(err)
	}
	if got := runLine(t, inner, transports.Line{Text: "cat; exit 2", Input: 2}, "hi"); got != (outcome{out: "hi", exit: transports.Exit{Code: 2}}) {
		t.Errorf("behind another: %+v", got)
	}
}

// What has not come whole is not run: who knows what its beginning means.
func TestHalfACommandIsNotRun(t *testing.T) {
	dir := t.TempDir()
	witness := filepath.Join(dir, "witness")
	s := openShell(t, plainGate, &cutting{})
	_, err := s.Run(t.Context(), transports.Line{Text: "touch " + witness + "\n" + strings.Repeat("# much\n", 20000)})
	if err == nil {
		t.Error("no error")
	}
	time.Sleep(100 * time.Millisecond)
	if _, err := os.Stat(witness); err == nil {
		t.Error("half a command was run")
	}
}

// cutting is a spawner whose links break in the middle of what is long.
type cutting struct{ local.Spawner }

type cutLink struct{ transports.Link }

func (c *cutting) Spawn(ctx context.Context, cmd transports.Command) (transports.Link, error) {
	l, err := c.Spawner.Spawn(ctx, cmd)
	return cutLink{l}, err
}

func (l cutLink) Write(b []byte) (int, error) {
	if len(b) < 100000 {
		return l.Link.Write(b)
	}
	n, err := l.Link.Write(b[:bytes.LastIndexByte(b, '\'')-100])
	if err == nil {
		err = l.CloseWrite()
	}
	return n, errors.Join(err, io.ErrUnexpectedEOF)
}
