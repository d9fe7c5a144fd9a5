package transports_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"spindle/transports"
	"spindle/transports/wire"
)

func passwordScript(secret transports.Secret) transports.Script {
	return transports.Script{
		Class: transports.BecomeFailed,
		Prompts: []transports.Prompt{{
			Name: "password", Pattern: regexp.MustCompile(`secret word:$`), Answer: secret,
			Required: "it is required", Again: "it is incorrect",
		}},
		Failures: []transports.Failure{{Pattern: regexp.MustCompile(`^refused: `)}},
		Timeout:  time.Minute,
	}
}

var none transports.Secret

// fails runs Converse against run and returns its error, after checking what holds for every error.
func fails(t *testing.T, fullTTY bool, s transports.Script, run func(f far) transports.Exit) *transports.ConnectError {
	t.Helper()
	link := program(t, fullTTY, run)
	b, err := transports.Converse(t.Context(), link, s, boot)
	if err == nil {
		t.Fatalf("Converse = %+v, want an error", b)
	}
	var ce *transports.ConnectError
	if !errors.As(err, &ce) {
		t.Fatalf("error is a %T, want *ConnectError", err)
	}
	if ce.Class != s.Class {
		t.Errorf("class %v, want %v", ce.Class, s.Class)
	}
	if !link.isClosed() {
		t.Error("the link was left open")
	}
	return ce
}

func boots(t *testing.T, fullTTY bool, s transports.Script, run func(f far) transports.Exit) *transports.Booted {
	t.Helper()
	link := program(t, fullTTY, run)
	b, err := transports.Converse(t.Context(), link, s, boot)
	if err != nil {
		t.Fatalf("Converse: %v", err)
	}
	if hd, ok := b.Hello.Header.(wire.Hello); !ok || hd.Version != "3.11.2" || string(b.Hello.Body) != `{"user":"u"}` {
		t.Errorf("Hello = %+v %q", b.Hello.Header, b.Hello.Body)
	}
	return b
}

// The far end talks more than any pipe holds before it reads its first byte, on both streams.
func TestFarEndTalksFirst(t *testing.T) {
	var flight string
	b := boots(t, false, passwordScript(none), func(f far) transports.Exit {
		for i := range 50 {
			say(f.out, "banner %d %s\n", i, strings.Repeat("=", 5000))
			say(f.side, "motd %d\n", i)
		}
		say(f.out, "no newline here")
		say(f.out, "%s%s%s", markerLine, helloFrame(), pingFrame(1))
		flight = f.takeFlight()
		_, _ = io.Copy(io.Discard, f.in)
		return transports.Exit{}
	})
	if f, err := b.Frames.Next(); err != nil || f.Header != (wire.Ping{Stamp: 1}) {
		t.Errorf("frame behind HELLO = %+v, %v", f, err)
	}
	_ = b.Link.Close()
	if flight != string(boot.Flight) {
		t.Errorf("flight = %q", flight)
	}
}

// needed is what an agent is going to need.
var needed = wire.Frame{Header: wire.Blob{Digest: wire.Sum([]byte("code")), Size: 4}, Body: []byte("code")}

// What an agent is going to need goes behind the flight once the agent is there to read it, if that is known before it has said HELLO.
func TestWhatIsNeededGoesBehindTheFlight(t *testing.T) {
	for name, known := range map[string]bool{"known": true, "not known in time": false} {
		t.Run(name, func(t *testing.T) {
			behind := make(chan wire.Frame, 1)
			if known {
				behind <- needed
			}
			p := boot
			p.Behind = behind
			b, err := transports.Converse(t.Context(), program(t, false, func(f far) transports.Exit {
				f.takeFlight()
				say(f.out, "%s", markerLine)
				if known {
					if got, err := wire.NewReader(f.in).Next(); err != nil || got.Header != needed.Header || string(got.Body) != "code" {
						t.Errorf("behind the flight: %+v, %v", got, err)
					}
				}
				say(f.out, "%s", helloFrame())
				if rest, _ := io.ReadAll(f.in); len(rest) > 0 {
					t.Errorf("more: %q", rest)
				}
				return transports.Exit{}
			}), transports.Script{Timeout: time.Minute}, p)
			if err != nil {
				t.Fatal(err)
			}
			behind <- needed
			if want := map[bool]int64{true: 4}[known]; b.Behind != want {
				t.Errorf("said to be written: %d bytes", b.Behind)
			}
			_ = b.Link.Close()
		})
	}
}

// Whatever else is at the far end is sent nothing that was meant for an agent.
func TestWhatIsNeededWaitsForTheAgent(t *testing.T) {
	behind := make(chan wire.Frame, 1)
	behind <- needed
	p := boot
	p.Behind = behind
	_, err := transports.Converse(t.Context(), program(t, false, func(f far) transports.Exit {
		f.takeFlight()
		say(f.out, "no agent here\n")
		return transports.Exit{Code: 1}
	}), transports.Script{Timeout: time.Minute}, p)
	if err == nil || len(behind) != 1 {
		t.Errorf("%v, %d left", err, len(behind))
	}
}

// What was said on the way is told to those who ask for it, without secrets.
func TestWhatWasSaidIsTold(t *testing.T) {
	for _, tell := range []bool{false, true} {
		script := passwordScript(transports.NewSecret("sesame"))
		script.Tell = tell
		b := boots(t, false, script, func(f far) transports.Exit {
			say(f.out, "debug1: trying sesame\n") // ahead of the marker, as on the side nothing would be for sure
			say(f.out, "%s%s", markerLine, helloFrame())
			_, _ = io.Copy(io.Discard, f.in)
			return transports.Exit{}
		})
		_ = b.Link.Close()
		said := strings.Join(b.Said, "\n")
		if strings.Contains(said, "sesame") || strings.Contains(said, "debug1: trying") != tell {
			t.Errorf("asked for: %v, told %q", tell, said)
		}
	}
}

// Whatever the chunks are in which the bytes come, the frames behind the marker are whole.
func TestNoByteIsLost(t *testing.T) {
	stream := fmt.Appendf(nil, "hello\nSPINDLE1 other\nx %s%s", markerLine, helloFrame())
	for i := range 20 {
		stream = append(stream, pingFrame(int64(i))...)
	}
	for size := 1; size <= len(stream); size += 1 + size/8 {
		b := boots(t, false, transports.Script{Timeout: time.Minute}, func(f far) transports.Exit {
			go f.takeFlight()
			for chunk := range slices.Chunk(stream, size) {
				_, _ = f.out.Write(chunk)
			}
			return transports.Exit{}
		})
		for i := range 20 {
			if f, err := b.Frames.Next(); err != nil || f.Header != (wire.Ping{Stamp: int64(i)}) {
				t.Fatalf("chunks of %d: frame %d = %+v, %v", size, i, f, err)
			}
		}
		if _, err := b.Frames.Next(); err != io.EOF {
			t.Fatalf("chunks of %d: end = %v", size, err)
		}
		_ = b.Link.Close()
	}
}

func TestPasswordIsTypedOnce(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fullTTY bool
	}{{"terminal beside stdout", false}, {"everything on one terminal", true}} {
		t.Run(tt.name, func(t *testing.T) {
			var typed, flight string
			b := boots(t, tt.fullTTY, passwordScript(transports.NewSecret("tiger")), func(f far) transports.Exit {
				prompt, typing := f.side, f.typed
				if tt.fullTTY {
					prompt, typing = f.out, f.in
				}
				for _, part := range []string{"Welcome.\r\nYour sec", "ret wor", "d:"} {
					say(prompt, "%s", part)
				}
				typed = hear(typing)
				say(prompt, "*****\r\n")
				say(f.out, "%s%s", markerLine, helloFrame())
				flight = f.takeFlight()
				return transports.Exit{}
			})
			_ = b.Link.Close()
			if typed != "tiger" || flight != "flight" {
				t.Errorf("typed %q, flight %q", typed, flight)
			}
		})
	}
}

func TestSecondPromptMeansWrong(t *testing.T) {
	var typed []string
	ce := fails(t, false, passwordScript(transports.NewSecret("tiger")), func(f far) transports.Exit {
		for range 3 {
			say(f.side, "secret word:")
			typed = append(typed, hear(f.typed))
			say(f.side, "\nYou typed tiger, sorry.\n")
		}
		return transports.Exit{Code: 1}
	})
	if ce.Text != "it is incorrect" {
		t.Errorf("text = %q", ce.Text)
	}
	if typed[0] != "tiger" || strings.Contains(strings.Join(typed[1:], ""), "tiger") {
		t.Errorf("typed %q", typed)
	}
	want := []string{"secret word:", "You typed ***, sorry.", "secret word:"}
	if diff := cmp.Diff(want, ce.Lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestPromptWithoutPassword(t *testing.T) {
	ce := fails(t, false, passwordScript(none), func(f far) transports.Exit {
		say(f.side, "secret word:")
		hear(f.typed)
		return transports.Exit{Code: 1}
	})
	if ce.Text != "it is required" {
		t.Errorf("text = %q", ce.Text)
	}
}

// A prompt on stdout is none while there is a terminal to ask on: an answer could go nowhere but into the flight.
func TestStdoutDoesNotAsk(t *testing.T) {
	b := boots(t, false, passwordScript(transports.NewSecret("tiger")), func(f far) transports.Exit {
		say(f.out, "change your secret word:")
		say(f.out, "\nrefused: nothing\n%s%s", markerLine, helloFrame())
		f.takeFlight()
		return transports.Exit{}
	})
	_ = b.Link.Close()
}

func TestFailureLine(t *testing.T) {
	answered := regexp.MustCompile(`^denied`)
	s := passwordScript(transports.NewSecret("tiger"))
	s.Failures = append(s.Failures,
		transports.Failure{Pattern: answered, Explain: func(line string, was func(string) bool) string {
			if !was("password") {
				return ""
			}
			return "wrong: " + line
		}},
		transports.Failure{Pattern: regexp.MustCompile(`press a key$`), Partial: true, Text: "keys"},
		transports.Failure{Pattern: regexp.MustCompile(`^no space`), Anywhere: true},
	)
	for _, tt := range []struct {
		name, side, out, want string
	}{
		{name: "the line is the text", side: "noise\nrefused: by policy\r\n", want: "refused: by policy"},
		{name: "not in the middle", side: "bash: refused: x\nrefused: y\n", want: "refused: y"},
		{name: "explained away, then explained", side: "denied\nsecret word:\ndenied tiger\n", want: "wrong: denied ***"},
		{name: "unfinished", side: "now press a key", want: "keys"},
		{name: "unfinished at the end", side: "refused: at last", want: "refused: at last"},
		{name: "on stdout", out: "refused: x\nno space left\n", want: "no space left"},
		{name: "steering characters", side: "refused: \x1b[31mred\x07 \xff\n", want: `refused: \x1b[31mred\a ` + "\ufffd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ce := fails(t, false, s, func(f far) transports.Exit {
				say(f.out, "%s", tt.out)
				before, after, asks := strings.Cut(tt.side, "word:")
				if asks {
					say(f.side, "%sword:", before)
					hear(f.typed)
					before = after
				}
				say(f.side, "%s", before)
				if strings.HasSuffix(tt.name, "at the end") {
					return transports.Exit{Code: 1}
				}
				_, _ = io.Copy(io.Discard, f.in)
				return transports.Exit{Code: 1}
			})
			if ce.Text != tt.want {
				t.Errorf("text = %q, want %q", ce.Text, tt.want)
			}
		})
	}
}

func TestExitBeforeMarker(t *testing.T) {
	ce := fails(t, false, passwordScript(transports.NewSecret("tiger")), func(f far) transports.Exit {
		for i := range 150 {
			say(f.out, "line %d\n", i)
		}
		say(f.out, "the tiger is out")
		return transports.Exit{Code: 3}
	})
	var want strings.Builder
	want.WriteString(transports.TextEOF)
	for i := 51; i < 150; i++ {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	want.WriteString("the *** is out")
	if diff := cmp.Diff(want.String(), ce.Text); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

// A child of the program may hold stdout open after it.
func TestExitWithOpenStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		link := program(t, false, func(f far) transports.Exit {
			<-gone
			return transports.Exit{Code: 3}
		})
		m := exitedLink{link}
		_, err := transports.Converse(t.Context(), m, transports.Script{}, boot)
		close(gone)
		var exit *transports.ExitError
		if err == nil || err.Error() != transports.TextEOF || !errors.As(err, &exit) || exit.Code != 9 {
			t.Errorf("error = %v, exit %+v", err, exit)
		}
	})
}

// exitedLink says that its program has ended, while its streams stay open.
type exitedLink struct{ *memory }

func (exitedLink) Wait(context.Context) (transports.Exit, error) {
	return transports.Exit{Code: 9}, nil
}

func (l exitedLink) Close() error {
	for _, e := range []duplexEnd{l.in, l.out, l.err, l.tty} {
		_ = e.r.CloseWithError(io.ErrClosedPipe)
		_ = e.w.CloseWithError(io.ErrClosedPipe)
	}
	return nil
}

func TestNoPython(t *testing.T) {
	ce := fails(t, false, passwordScript(none), func(f far) transports.Exit {
		say(f.out, "motd\nSPINDLE0 %s no-python\n", nonce)
		f.takeFlight()
		return transports.Exit{Code: 127}
	})
	for _, part := range []string{"python3, /usr/bin/python", "ansible_python_interpreter"} {
		if !strings.Contains(ce.Text, part) {
			t.Errorf("text %q lacks %q", ce.Text, part)
		}
	}
}

func TestDeadline(t *testing.T) {
	silent := func(f far) transports.Exit { _, _ = io.Copy(io.Discard, f.in); return transports.Exit{} }
	for _, tt := range []struct {
		name string
		run  func(f far) transports.Exit
	}{
		{"silence", silent},
		{"nothing is read", func(f far) transports.Exit { hear(f.typed); return transports.Exit{} }},
		{"the answer is not read", func(f far) transports.Exit { say(f.side, "secret word:"); return silent(f) }},
		{"no HELLO", func(f far) transports.Exit { say(f.out, markerLine); return silent(f) }},
		{"half a HELLO", func(f far) transports.Exit {
			say(f.out, "%s%s", markerLine, helloFrame()[:10])
			return silent(f)
		}},
		{"the flight is not read", func(f far) transports.Exit {
			say(f.out, "%s%s", markerLine, helloFrame())
			hear(f.typed)
			return transports.Exit{}
		}},
		{"trickle", func(f far) transports.Exit {
			for {
				if _, err := f.out.Write([]byte(".")); err != nil {
					return transports.Exit{}
				}
				time.Sleep(time.Second)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ce := fails(t, false, passwordScript(transports.NewSecret("tiger")), tt.run)
				if ce.Text != transports.TextTimeout || !errors.Is(ce, ce.Err) {
					t.Errorf("text = %q", ce.Text)
				}
				if took := time.Since(start); took < time.Minute || took > time.Minute+time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestCancel(t *testing.T) {
	why := errors.New("the run is over")
	for _, tt := range []struct {
		cause error
		want  string
	}{
		{nil, "Connection cancelled."},
		{why, "Connection cancelled: the run is over"},
		{context.DeadlineExceeded, transports.TextTimeout},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		link := program(t, false, func(f far) transports.Exit {
			f.takeFlight()
			cancel(tt.cause)
			hear(f.typed)
			return transports.Exit{}
		})
		_, err := transports.Converse(ctx, link, passwordScript(none), boot)
		if err == nil || err.Error() != tt.want {
			t.Errorf("error = %v, want %q", err, tt.want)
		}
		if tt.cause != nil && !errors.Is(err, tt.cause) {
			t.Errorf("%v does not wrap %v", err, tt.cause)
		}
	}
}

func TestNotAnAgent(t *testing.T) {
	frame := func(h wire.Header) []byte {
		b, err := wire.Append(nil, wire.Frame{Header: h})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, tt := range []struct {
		name  string
		bytes []byte
		want  string
	}{
		{"garbage", []byte("ls: not found, and more\n"), "The agent did not answer as one: "},
		{"another role", frame(wire.Hello{Proto: wire.Proto, Role: "worker"}), "The agent did not answer as one of protocol 1."},
		{"another protocol", frame(wire.Hello{Proto: 2, Role: "agent"}), "The agent did not answer as one of protocol 1."},
		{"another kind", frame(wire.Ping{}), "The agent did not answer as one of protocol 1."},
		{"end", nil, transports.TextEOF + "Traceback: no module"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ce := fails(t, false, passwordScript(none), func(f far) transports.Exit {
				go f.takeFlight()
				say(f.out, "%s%s", markerLine, tt.bytes)
				say(f.side, "Traceback: no module\n")
				return transports.Exit{Code: 1}
			})
			if !strings.HasPrefix(ce.Text, tt.want) {
				t.Errorf("text = %q, want %q", ce.Text, tt.want)
			}
		})
	}
}

// After the boot the side is read on, whether anybody listens or not, and nothing there is a prompt or a failure.
func TestSideAfterBoot(t *testing.T) {
	late := make(chan struct{})
	b := boots(t, false, passwordScript(transports.NewSecret("tiger")), func(f far) transports.Exit {
		say(f.side, "before\n")
		say(f.out, "%s%s", markerLine, helloFrame())
		f.takeFlight()
		hear(f.in)
		for i := range 150 {
			say(f.side, "after %d\n", i)
		}
		say(f.out, "%s", pingFrame(1))
		<-late
		for _, line := range []string{"refused: x", "the tiger is out", "secret word:"} {
			say(f.side, "%s\n", line)
		}
		say(f.side, "unfinished")
		return transports.Exit{}
	})
	say(b.Link, "go\n")
	if _, err := b.Frames.Next(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 200)
	b.OnSide(func(line string) { lines <- line })
	close(late)
	var got []string
	for line := range lines {
		got = append(got, line)
		if line == "unfinished" {
			break
		}
	}
	_ = b.Link.Close()
	if n := len(got); n < 104 || got[n-5] != "after 149" {
		t.Fatalf("%d lines: %q", n, got)
	}
	want := []string{"refused: x", "the *** is out", "secret word:", "unfinished"}
	if diff := cmp.Diff(want, got[len(got)-4:]); diff != "" {
		t.Errorf("last lines (-want +got):\n%s", diff)
	}
}

// Endless noise is ended, with and without newlines, and memory stays flat meanwhile.
func TestEndlessNoise(t *testing.T) {
	for _, tt := range []struct {
		name, chunk string
		measure     int // behind so many bytes
	}{
		{"one line", strings.Repeat("x", 8000), 12 << 20},
		{"empty lines", strings.Repeat("\n", 8000), 100_000},
		{"control characters", strings.Repeat("\x1b\xff", 4000) + "\n", 12 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, during runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			sent := 0
			ce := fails(t, false, passwordScript(none), func(f far) transports.Exit {
				for {
					n, err := io.WriteString(f.out, tt.chunk)
					if sent += n; err != nil {
						return transports.Exit{}
					}
					if sent > tt.measure && during.HeapAlloc == 0 {
						runtime.GC()
						runtime.ReadMemStats(&during)
					}
				}
			})
			if !strings.HasPrefix(ce.Text, "More than 16 MiB or 131072 lines of output, and no agent in it; last 100 lines received:\n") {
				t.Errorf("text = %.200q", ce.Text)
			}
			if len(ce.Text) > 1<<20 {
				t.Errorf("a text of %d bytes", len(ce.Text))
			}
			if grown := int64(during.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
				t.Errorf("memory grew by %d bytes", grown)
			}
		})
	}
}

// No part of a secret is left, wherever a long line is cut.
func TestSecretInLongLine(t *testing.T) {
	secret := transports.NewSecret("Tr0ub4dor&3")
	for _, at := range []int{0, 1015, 1020, 1024, 2040, 2048, 61430, 61440, 65530, 65536, 70000} {
		ce := fails(t, false, passwordScript(secret), func(f far) transports.Exit {
			say(f.side, "%s%s", strings.Repeat("-", at), secret.Reveal())
			say(f.side, "%s\n", strings.Repeat("-", 70000))
			say(f.side, "refused: %s%s\n", strings.Repeat("-", at), secret.Reveal())
			return transports.Exit{}
		})
		for i := 3; i <= len(secret.Reveal()); i++ {
			if part := secret.Reveal()[:i]; strings.Contains(ce.Text+strings.Join(ce.Lines, "\n"), part) {
				t.Fatalf("at %d: %q is in the error", at, part)
			}
		}
	}
}

func TestWhereNothingCanBeTyped(t *testing.T) {
	link := program(t, false, func(f far) transports.Exit {
		say(f.side, "secret word:")
		_, _ = io.Copy(io.Discard, f.in)
		return transports.Exit{}
	})
	_, err := transports.Converse(t.Context(), stderrOnly{link}, passwordScript(transports.NewSecret("tiger")), boot)
	if err == nil || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error = %v", err)
	}
}

type stderrOnly struct{ *memory }

func (l stderrOnly) Side() transports.Side { return readOnly{l.memory.Side()} }

type readOnly struct{ transports.Side }

func (readOnly) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }

// FuzzConverse lets a hostile far end say anything on both streams. It gets the password once at most, Converse ends with
// it, and only a marker with HELLO behind it boots.
func FuzzConverse(f *testing.F) {
	hello := string(helloFrame())
	f.Add([]byte("noise\n"+markerLine+hello+string(pingFrame(1))), []byte("motd\nsecret word:"), uint8(7))
	f.Add([]byte("noise"+markerLine+hello[:20]), []byte("secret word:\nno\nsecret word:"), uint8(200))
	f.Add([]byte("SPINDLE0 "+nonce+" no-python\r\n"), []byte("refused: x"), uint8(0))
	f.Add([]byte(markerLine+"\xff\xff\xff\xff"), []byte{}, uint8(3))
	f.Fuzz(func(t *testing.T, out, side []byte, size uint8) {
		var typed strings.Builder
		link := program(t, false, func(f far) transports.Exit {
			var wg, ends sync.WaitGroup
			for w, b := range map[io.Writer][]byte{f.out: out, f.side: side} {
				wg.Go(func() {
					for chunk := range slices.Chunk(b, int(size)+1) {
						if _, err := w.Write(chunk); err != nil {
							return
						}
					}
				})
			}
			stop := make(chan struct{})
			ends.Go(func() { _, _ = io.Copy(&typed, f.typed) })
			ends.Go(func() { f.takeFlight(); close(stop) })
			wg.Wait()
			if bytes.Contains(out, []byte(markerLine+hello)) {
				<-stop
			}
			_ = f.in.(io.Closer).Close()
			_ = f.typed.(io.Closer).Close()
			ends.Wait()
			return transports.Exit{}
		})
		b, err := transports.Converse(t.Context(), link, passwordScript(transports.NewSecret("tiger")), boot)
		if err == nil {
			if !bytes.Contains(out, []byte("SPINDLE1 "+nonce)) {
				t.Error("booted without a marker")
			}
			for {
				if _, err := b.Frames.Next(); err != nil {
					break
				}
			}
		}
		_ = link.Close()
		if n := strings.Count(typed.String(), "tiger"); n > 1 {
			t.Errorf("the password was typed %d times", n)
		}
		var ce *transports.ConnectError
		if err != nil && (!errors.As(err, &ce) || ce.Text == transports.TextTimeout) {
			t.Errorf("error = %v", err)
		}
	})
}
