package bootstrap

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spindle/transports/wire"
)

// spawn starts a program and returns its id.
func (r *remote) spawn(mode int, m meta, input ...byte) uint32 {
	r.t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		r.t.Fatal(err)
	}
	id := r.newID()
	r.send(id, wire.Spawn{Mode: mode, MetaLen: len(b)}, append(b, input...)...)
	return id
}

// relayed is what came of a spawned program.
type relayed struct {
	exit wire.Exit
	out  map[int]string
	eof  map[int]bool
}

// relay collects the output of a program until it has ended, granting credit for all of it.
func (r *remote) relay(id uint32) relayed {
	r.t.Helper()
	got := relayed{out: map[int]string{}, eof: map[int]bool{}}
	for {
		f := r.next(id)
		switch h := f.Header.(type) {
		case wire.Data:
			if got.eof[h.Channel] {
				r.t.Errorf("DATA behind EOF on channel %d", h.Channel)
			}
			got.out[h.Channel] += string(f.Body)
			r.send(id, wire.Credit{Channel: h.Channel, Bytes: len(f.Body)})
		case wire.EOF:
			got.eof[h.Channel] = true
		case wire.Credit:
		case wire.Exit:
			got.exit = h
			return got
		default:
			r.t.Fatalf("%#v from a program", h)
		}
	}
}

// until collects output of a channel until it has the text.
func (r *remote) until(id uint32, channel int, text string) {
	r.t.Helper()
	var got string
	for !strings.Contains(got, text) {
		f := r.next(id)
		if h, ok := f.Header.(wire.Data); ok && h.Channel == channel {
			got += string(f.Body)
		} else if _, ok := f.Header.(wire.Exit); ok {
			r.t.Fatalf("got %#v and %q, want %q", f.Header, got, text)
		}
	}
}

func TestSpawnPipes(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		id := r.spawn(0, meta{"argv": []string{"sh", "-c", "cat; echo $FOO >&2; pwd; exit 7"}, "env": meta{"FOO": "bar"}, "cwd": "/usr"}, []byte("first ")...)
		r.send(id, wire.Data{Channel: 0}, []byte("second\n")...)
		r.send(id, wire.EOF{Channel: 0})
		got := r.relay(id)
		if got.exit != (wire.Exit{RC: 7}) || got.out[1] != "first second\n/usr\n" || got.out[2] != "bar\n" || !got.eof[1] || !got.eof[2] {
			t.Errorf("%+v", got)
		}
		got = r.relay(r.spawn(0, meta{"argv": []string{"/nonexistent"}}))
		if got.exit != (wire.Exit{RC: 127, Text: "exec /nonexistent: No such file or directory"}) {
			t.Errorf("%+v", got)
		}
		got = r.relay(r.spawn(0, meta{"argv": []string{"sh", "-c", "kill -TERM $$"}}))
		if got.exit.RC != -15 || got.exit.Signal != 15 {
			t.Errorf("%+v", got)
		}
		got = r.relay(r.spawn(0, meta{"arg": "nothing"}))
		if got.exit.RC != 127 || got.exit.Text == "" {
			t.Errorf("%+v", got)
		}
	})
}

func TestSpawnIsRelayedWithCredit(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		before := peak(t, r.pid)
		id := r.spawn(0, meta{"argv": []string{"cat"}})
		block := pseudo(1 << 20)
		left := 20
		done := make(chan relayed)
		// Only one goroutine may read frames of an id, so CREDIT is watched by the relay.
		credit := make(chan int, 1000)
		go func() {
			got := relayed{out: map[int]string{}, eof: map[int]bool{}}
			var out bytes.Buffer
			for {
				f, err := r.await(id)
				if err != nil {
					close(done)
					return
				}
				switch h := f.Header.(type) {
				case wire.Data:
					out.Write(f.Body)
					_ = r.trySend(id, wire.Credit{Channel: h.Channel, Bytes: len(f.Body)}, nil)
				case wire.Credit:
					credit <- h.Bytes
				case wire.Exit:
					got.exit = h
					got.out[1] = out.String()
					done <- got
					return
				}
			}
		}()
		have := wire.WindowInitial
		for ; left > 0; left-- {
			for rest := block; len(rest) > 0; {
				for have == 0 {
					have += <-credit
				}
				n := min(len(rest), have, wire.ChunkMax)
				r.send(id, wire.Data{Channel: 0}, rest[:n]...)
				have -= n
				rest = rest[n:]
			}
		}
		r.flat(before)
		r.send(id, wire.EOF{Channel: 0})
		got := <-done
		if got.exit != (wire.Exit{}) || got.out[1] != strings.Repeat(string(block), 20) {
			t.Errorf("%+v, %d bytes", got.exit, len(got.out[1]))
		}
	})
}

// The terminal is what programs that ask for passwords need: theirs to control, raw, and without echo.
func TestSpawnControllingTerminal(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		if tg.root != "" {
			t.Skip("a chroot has no terminals")
		}
		r := boot(t, tg)
		id := r.spawn(1, meta{"argv": []string{"/bin/sh", "-c", `
			test -t 2 && ! test -t 0 && ! test -t 1 || exit 9
			printf 'Password: ' >/dev/tty
			read -r pw </dev/tty
			echo "got $pw"
			cat
			printf 'a\nb' >&2
			exit 4`}})
		r.until(id, 2, "Password: ")
		r.send(id, wire.Data{Channel: 2}, []byte("s3cret\n")...)
		r.send(id, wire.Data{Channel: 0}, []byte("stdin\x03\x04\x00\n")...)
		r.send(id, wire.EOF{Channel: 0})
		got := r.relay(id)
		if got.exit != (wire.Exit{RC: 4}) || got.out[1] != "got s3cret\nstdin\x03\x04\x00\n" || got.out[2] != "a\nb" {
			t.Errorf("%+v", got)
		}
	})
}

func TestSpawnFullTerminal(t *testing.T) {
	r := boot(t, targets()[0])
	id := r.spawn(2, meta{"argv": []string{"/bin/sh", "-c", `
		test -t 0 && test -t 1 && test -t 2 && test "$(tty)" != "not a tty" && echo streams
		read -r line; echo "$line"; echo err >&2; printf '\003\004\n'; exit 5`}})
	r.until(id, 1, "streams\n")
	r.send(id, wire.Data{Channel: 0}, []byte("in\n")...)
	got := r.relay(id)
	if got.exit != (wire.Exit{RC: 5}) || got.out[1] != "in\nerr\n\x03\x04\n" || got.out[2] != "" {
		t.Errorf("%+v", got)
	}
	// Programs that ask before they throw away what was typed, and turn off the echo, which takes them a moment.
	id = r.spawn(2, meta{"argv": []string{"/bin/sh", "-c", `printf 'Password: '; sleep 0.3; exec "$0" -c '
import sys, termios
old = termios.tcgetattr(0)
new = old[:]
new[3] &= ~termios.ECHO
termios.tcsetattr(0, termios.TCSAFLUSH, new)
line = sys.stdin.readline()
termios.tcsetattr(0, termios.TCSAFLUSH, old)
sys.stdout.write("got " + line)
sys.stdin.readline()
'`, targets()[0].python}})
	r.until(id, 1, "Password: ")
	r.send(id, wire.Data{Channel: 0}, []byte("s3cret\n")...)
	r.until(id, 1, "got s3cret\n") // and not that twice
	r.send(id, wire.Data{Channel: 0}, []byte("more\n")...)
	if got := r.relay(id); got.exit != (wire.Exit{}) || got.out[1] != "" {
		t.Errorf("%+v", got)
	}
	// A terminal that a daemon keeps does not hold up the end.
	id = r.spawn(2, meta{"argv": []string{"/bin/sh", "-c", `trap '' HUP; sleep 1000 & echo $!`}})
	got = r.relay(id)
	if got.exit != (wire.Exit{}) || strings.TrimSpace(got.out[1]) == "" {
		t.Errorf("%+v", got)
	}
	r.shell("kill " + strings.TrimSpace(got.out[1]))
	// EOF is a line that was hung up.
	id = r.spawn(2, meta{"argv": []string{"/bin/sh", "-c", `echo up; read x; read y`}})
	r.until(id, 1, "up")
	r.send(id, wire.EOF{Channel: 0})
	if got := r.relay(id); got.exit.Signal != 1 {
		t.Errorf("%+v", got)
	}
}

func TestSpawnCancel(t *testing.T) {
	for mode := range 3 {
		r := boot(t, targets()[0])
		id := r.spawn(mode, meta{"argv": []string{"/bin/sh", "-c", `trap '' TERM HUP; (trap '' TERM HUP; sleep 1000) & echo up; while :; do sleep 1; done`}})
		r.until(id, 1, "up")
		r.send(id, wire.Cancel{Reason: "enough"})
		if got := r.relay(id); got.exit != (wire.Exit{RC: -9, Signal: 9, Text: "enough"}) {
			t.Errorf("mode %d: %+v", mode, got)
		}
		r.alone()
	}
}

// Who has nothing but a terminal loses that before there is a signal that would have it take its time.
func TestSpawnHangupComesBeforeTerm(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		if tg.root != "" {
			t.Skip("a chroot has no terminals")
		}
		r := boot(t, tg)
		id := r.spawn(2, meta{"cwd": r.dir, "argv": []string{"/bin/sh", "-c", `trap 'echo HUP >>got' HUP; trap 'echo TERM >>got' TERM; echo up; while :; do sleep 0.05; done`}})
		r.until(id, 1, "up")
		r.send(id, wire.Cancel{Reason: "enough"})
		if got := r.relay(id); got.exit != (wire.Exit{RC: -9, Signal: 9, Text: "enough"}) {
			t.Errorf("%+v", got)
		}
		if b, err := os.ReadFile(filepath.Join(r.local, "got")); !strings.HasPrefix(string(b), "HUP\nTERM\n") {
			t.Errorf("%q %v", b, err)
		}
		// What ends by that ends with no signal.
		id = r.spawn(2, meta{"argv": []string{"/bin/sh", "-c", `trap '' HUP TERM; echo up; read x; exit 3`}})
		r.until(id, 1, "up")
		r.send(id, wire.Cancel{Reason: "enough"})
		if got := r.relay(id); got.exit != (wire.Exit{RC: 3, Text: "enough"}) {
			t.Errorf("%+v", got)
		}
		r.alone()
	})
}

// An agent behind an agent, booted from a blob that the first one holds.
func TestSpliceBootsAnotherAgent(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		r.send(0, wire.Blob{Digest: AgentDigest(), Size: PackedSize()}, Packed()...)
		data := r.blob([]byte(strings.Repeat("some blob ", 1000)))
		o := Options{Candidates: []string{tg.python}, Nonce: r.nonce, Title: "second:" + r.nonce}
		id := r.spawn(0, meta{"argv": Argv(o)})
		r.send(id, wire.Splice{Channel: 0, Digest: AgentDigest(), Form: wire.FormContent})
		r.send(id, wire.Data{Channel: 0}, Flight(o)[PackedSize():]...)
		r.send(id, wire.Splice{Channel: 0, Digest: data, Form: wire.FormFrame})
		manifest := `{"files":{"x.py":"` + data.String() + `"},"zip":false}`
		var frames []byte
		for _, f := range []wire.Frame{
			{Header: wire.Blob{Digest: wire.Sum([]byte(manifest)), Size: len(manifest)}, Body: []byte(manifest)},
			{ID: 1, Header: wire.Call{Op: "exec", MetaLen: 21}, Body: []byte(`{"argv":["echo","2"]}`)},
			{ID: 0, Header: wire.Ping{Stamp: 7}},
		} {
			frames, _ = wire.Append(frames, f)
		}
		r.send(id, wire.Data{Channel: 0}, frames...)
		marker := "SPINDLE1 " + r.nonce + "\n"
		var out string
		results := map[string]bool{}
		for len(results) < 3 {
			f := r.next(id)
			if h, ok := f.Header.(wire.Data); !ok || h.Channel != 1 {
				continue
			}
			out += string(f.Body)
			results = map[string]bool{}
			if rest, ok := strings.CutPrefix(out, marker); ok {
				frames := wire.NewReader(strings.NewReader(rest))
				for {
					f, err := frames.Next()
					if err != nil {
						break
					}
					results[f.Header.Kind().String()+" "+string(f.Body)[:min(2, len(f.Body))]] = true
				}
			}
		}
		if !results[`HELLO {"`] || !results["RESULT 2\n"] || !results["PING "] {
			t.Errorf("the second agent said %v", results)
		}
		r.send(id, wire.EOF{Channel: 0})
		if got := r.relay(id); got.exit != (wire.Exit{}) {
			t.Errorf("%+v", got)
		}
		r.alone()
		id = r.spawn(0, meta{"argv": []string{"cat"}})
		r.send(id, wire.Splice{Channel: 0, Digest: wire.Sum(nil)})
		if got := r.relay(id); got.exit.Text != "no such blob" {
			t.Errorf("%+v", got)
		}
	})
}
