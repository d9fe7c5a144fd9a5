package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spindle/transports"
	"spindle/transports/local"
)

// bare opens a shell on a server.
func (d *desk) bare(k kw, via transports.Spawner) (transports.Shell, error) {
	d.t.Helper()
	s, err := transports.OpenBare(context.Background(), d.dialer(k), via)
	if err == nil {
		d.t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

func (d *desk) mustBare(way string, k kw, via transports.Spawner) transports.Shell {
	d.t.Helper()
	if way == Binary {
		k["spindle_ssh"] = "binary"
	}
	s, err := d.bare(k, via)
	if err != nil {
		d.t.Fatalf("%s: %v (%v)", way, err, unwrapped(err))
	}
	if got := s.About(); got.How != way || got.Host == "" {
		d.t.Errorf("about %+v, want %s", got, way)
	}
	return s
}

// outcome is all that a command did.
type outcome struct {
	out, side string
	code      int
}

func runLine(t testing.TB, s transports.Shell, l transports.Line, input string) (o outcome) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	link, err := s.Run(ctx, l)
	if err != nil {
		t.Error(err)
		return o
	}
	defer link.Close()
	var all sync.WaitGroup
	all.Go(func() {
		// A program that has ended already takes neither.
		if _, err := io.WriteString(link, input); err != nil && !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		if err := link.CloseWrite(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, io.EOF) {
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
	exit, err := link.Wait(ctx)
	if err != nil {
		t.Error(err)
	}
	o.code = exit.Code
	return o
}

func TestBare(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	bothWays(t, func(t *testing.T, way string) {
		for name, secret := range map[string]kw{"key": nil, "password": {"password": l.password}} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d := newDesk(t, l)
				d.knows(s.known())
				if secret == nil {
					secret = kw{"identity_file": d.identity()}
				}
				sh := d.mustBare(way, d.kwargs(s, secret), &local.Spawner{})
				for _, tt := range []struct {
					line  transports.Line
					input string
					want  outcome
				}{
					{line: transports.Line{Text: "id -un; echo 'a  b' >&2; exit 7"}, want: outcome{l.user + "\n", "a  b\n", 7}},
					{line: transports.Line{Text: "cat; echo end"}, want: outcome{out: "end\n"}},
					{line: transports.Line{Text: "cat", Input: 5}, input: "\x00\xff\r\n!", want: outcome{out: "\x00\xff\r\n!"}},
					{line: transports.Line{Text: "wc -c", Input: -1}, input: strings.Repeat("x", 1<<20), want: outcome{out: "1048576\n"}},
					{
						line: transports.Line{Text: `echo "$A"; pwd; umask`, Env: []string{"A=it's\nmine"}, Dir: "/usr", Umask: "77"},
						want: outcome{out: "it's\nmine\n/usr\n0077\n"},
					},
					{
						line: transports.Line{Text: "echo 1; echo 2 >&2; echo ${BASH_VERSION:+bash}", Joined: true},
						want: outcome{out: "1\n2\n" + map[string]string{Native: "bash"}[way] + "\n"},
					},
				} {
					got := runLine(t, sh, tt.line, tt.input)
					if way == Binary && name == "password" { // its errors are on the terminal that asks for the password
						tt.want.side, got.side = "", ""
					}
					if got != tt.want {
						t.Errorf("%q: got %+v, want %+v", tt.line.Text, got, tt.want)
					}
				}
			})
		}
	})
}

func TestBareFailsAsADialDoes(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	bothWays(t, func(t *testing.T, way string) {
		for want, more := range map[string]kw{
			textPasswordWrong:  {"password": "wrong"},
			textPasswordNeeded: nil,
			textHostKey:        {"hostname": "localhost", "password": l.password},
		} {
			d := newDesk(t, l)
			d.knows(s.known())
			k := d.kwargs(s, more)
			if want == textHostKey {
				k["hostname"] = s.host
				d.knows()
			}
			if way == Binary {
				k["spindle_ssh"] = "binary"
			}
			_, err := d.bare(k, &local.Spawner{})
			wantText(t, err, want)
		}
	})
}

// More commands than a server allows sessions wait for each other.
func TestBareWithFewSessions(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t, "MaxSessions 2")
	d := newDesk(t, l)
	d.knows(s.known())
	sh := d.mustBare(Native, d.kwargs(s, kw{"identity_file": d.identity()}), &local.Spawner{})
	var all sync.WaitGroup
	for i := range 9 {
		all.Go(func() {
			want := outcome{out: fmt.Sprintln(i)}
			if got := runLine(t, sh, transports.Line{Text: fmt.Sprintf("sleep 0.1; echo %d", i)}, ""); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
	all.Wait()
}

func TestBareTellsThatItIsLost(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	d := newDesk(t, l)
	d.knows(s.known())
	sh := d.mustBare(Native, d.kwargs(s, kw{"identity_file": d.identity()}), &local.Spawner{})
	link, err := sh.Run(context.Background(), transports.Line{Text: "sleep 100"})
	if err != nil {
		t.Fatal(err)
	}
	s.stop()
	select {
	case <-sh.Lost():
	case <-time.After(10 * time.Second):
		t.Fatal("not lost")
	}
	if _, err := link.Read(make([]byte, 10)); err == nil || err == io.EOF {
		t.Errorf("read: %v", err)
	}
	if exit, err := link.Wait(context.Background()); err != nil || exit.Code != -1 || exit.Text == "" {
		t.Errorf("%+v, %v", exit, err)
	}
	if _, err := sh.Run(context.Background(), transports.Line{Text: "true"}); err == nil {
		t.Error("a command on a lost connection")
	}
}

// asking is a method that asks for a word on its terminal, as su does.
type asking struct{}

func (asking) Name() string           { return "asking" }
func (asking) Timeout() time.Duration { return 10 * time.Second }

func (a asking) Dial(ctx context.Context, via transports.Spawner, p transports.Program) (*transports.Booted, error) {
	plan, _ := a.Plan(ctx, via, p.Argv)
	return plan.Dial(ctx, via, p)
}

func (asking) Plan(_ context.Context, _ transports.Spawner, program []string) (transports.Plan, error) {
	const script = `printf "word: " >/dev/tty; read -r w </dev/tty; [ "$w" = tiger ] || exit 1; exec "$@"`
	return transports.Plan{
		Command: transports.Command{Argv: slices.Concat([]string{"/bin/sh", "-c", script, "asking"}, program), Mode: transports.ControlTTY},
		Script: transports.Script{Prompts: []transports.Prompt{{
			Name: "password", Pattern: regexp.MustCompile(`word: $`), Answer: transports.NewSecret("tiger"), Required: "required", Again: "wrong",
		}}},
	}, nil
}

// A session has no terminal beside its streams. What asks on one gets it for all of them.
func TestHopsThatAskBehindABareOne(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	d := newDesk(t, l)
	d.knows(s.known())
	sh := d.mustBare(Native, d.kwargs(s, kw{"identity_file": d.identity()}), &local.Spawner{})
	inner, err := transports.OpenBare(context.Background(), asking{}, sh)
	if err != nil {
		t.Fatal(err)
	}
	if got := runLine(t, inner, transports.Line{Text: "cat; echo err >&2; exit 4", Input: 6}, "a\n\x03\x04\r\n"); got != (outcome{out: "a\n\x03\x04\r\nerr\n", code: 4}) {
		t.Errorf("%+v", got)
	}
	p := echoProgram()
	steps := strings.SplitN(p.Argv[2], "; ", 3) // an agent says the marker before it reads anything
	p.Argv[2] = strings.Join([]string{steps[1], steps[0], steps[2]}, "; ")
	b, err := asking{}.Dial(context.Background(), sh, p)
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, b)
	if err := b.Link.Close(); err != nil {
		t.Error(err)
	}
}
