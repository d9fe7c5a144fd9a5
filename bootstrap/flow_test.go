package bootstrap

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"spindle/transports/wire"
)

func stream(c *wire.Call) { c.Flags |= wire.FlagStream }

// drain reads DATA of an id without granting anything, until so many bytes have come.
func (r *remote) drain(id uint32, want int) []byte {
	r.t.Helper()
	var got []byte
	for len(got) < want {
		f := r.next(id)
		if _, ok := f.Header.(wire.Data); !ok {
			r.t.Fatalf("got %#v after %d bytes, want %d", f.Header, len(got), want)
		}
		got = append(got, f.Body...)
	}
	if len(got) != want {
		r.t.Fatalf("got %d bytes, more than %d", len(got), want)
	}
	return got
}

func TestBigOutputIsFlat(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		r.shell("true")
		before := peak(t, r.pid)
		const size = 50 << 20
		id := r.begin("exec", meta{"argv": []string{"head", "-c", fmt.Sprint(size), "/dev/zero"}}, nil)
		received := 0
		for done := false; !done; {
			f := r.next(id)
			received += len(f.Body)
			switch h := f.Header.(type) {
			case wire.Data:
				r.send(id, wire.Credit{Channel: 1, Bytes: len(f.Body)})
			case wire.Result:
				if h.OutLen > wire.InlineMax {
					t.Errorf("%d bytes in RESULT", h.OutLen)
				}
				done = true
			}
		}
		if received != size {
			t.Errorf("received %d bytes, want %d", received, size)
		}
		r.flat(before)
	})
}

func TestInlineOutput(t *testing.T) {
	r := boot(t, targets()[0])
	for _, tc := range []struct {
		out, err int
		inline   bool
	}{
		{wire.InlineMax, 0, true},
		{wire.InlineMax/2 + 1, wire.InlineMax/2 - 1, true},
		{0, wire.InlineMax, true},
		{wire.InlineMax + 1, 0, false},
		{wire.InlineMax/2 + 1, wire.InlineMax / 2, false},
	} {
		id := r.begin("exec", meta{"command": fmt.Sprintf("head -c %d /dev/zero; head -c %d /dev/zero >&2", tc.out, tc.err)}, nil)
		f := r.next(id)
		if _, ok := f.Header.(wire.Result); ok != tc.inline {
			t.Errorf("%+v: first frame is %#v", tc, f.Header)
		}
		r.unread(id, f)
		if res := r.finish(id); len(res.Out) != tc.out || len(res.Err) != tc.err {
			t.Errorf("%+v: got %d and %d bytes", tc, len(res.Out), len(res.Err))
		}
	}
}

func TestCredit(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		id := r.begin("exec", meta{"argv": []string{"sh", "-c", "head -c 1000000 /dev/zero; echo err >&2; read x; head -c 1000000 /dev/zero"}}, nil, stream, more)
		r.drain(id, wire.WindowInitial)
		// Errors have a window of their own, and other calls are not held up.
		r.shell("true")
		r.ping()
		if n := r.pending(id); n != 0 {
			t.Fatalf("%d frames came without credit", n)
		}
		r.send(id, wire.Credit{Channel: 1, Bytes: 7})
		r.drain(id, 7)
		r.ping()
		if n := r.pending(id); n != 0 {
			t.Fatalf("%d frames came for a credit of 7", n)
		}
		r.send(id, wire.Credit{Channel: 1, Bytes: 1 << 20})
		r.feed(id, wire.WindowInitial, func() func() []byte {
			lines := [][]byte{[]byte("go\n"), nil}
			return func() []byte { l := lines[0]; lines = lines[1:]; return l }
		}())
		res := r.finish(id)
		if n := len(res.Out) + wire.WindowInitial + 7; n != 2000000 || res.Err != "err\n" {
			t.Errorf("%d bytes of output, errors %q", n, res.Err)
		}
	})
}

func TestInputIsHeldUpByItsReader(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		r.shell("mkfifo " + r.dir + "/go")
		before := peak(t, r.pid)
		id := r.begin("exec", meta{"argv": []string{"sh", "-c", "read x <" + r.dir + "/go; cat | wc -c"}}, []byte("inline"), more)
		r.send(id, wire.Data{Channel: 0}, make([]byte, wire.ChunkMax)...)
		r.send(id, wire.Data{Channel: 0}, make([]byte, wire.ChunkMax)...)
		r.ping()
		for r.pending(id) > 0 { // what went into the pipe may have been paid back
			if c, ok := r.next(id).Header.(wire.Credit); !ok || c.Bytes > wire.WindowInitial {
				t.Fatalf("got %#v", c)
			}
		}
		r.shell("echo >" + r.dir + "/go")
		left := 20 << 20
		r.feed(id, 0, func() []byte {
			if left == 0 {
				return nil
			}
			left -= 1 << 20
			return make([]byte, 1<<20)
		})
		if res := r.finish(id); strings.TrimSpace(res.Out) != fmt.Sprint(20<<20+wire.WindowInitial+6) {
			t.Errorf("%+v", res)
		}
		r.flat(before)
	})
}

// Twenty calls run side by side: each says that it is up before any may end.
func TestConcurrency(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		var ids []uint32
		for range 20 {
			ids = append(ids, r.begin("exec", meta{"argv": []string{"sh", "-c", "echo up; read x; echo $x"}}, nil, stream, more))
		}
		for _, id := range ids {
			r.drain(id, 3)
		}
		for i, id := range ids {
			r.send(id, wire.Data{Channel: 0}, []byte(fmt.Sprintf("%d\n", i))...)
		}
		for i, id := range ids {
			if res := r.finish(id); res.Out != fmt.Sprintf("%d\n", i) {
				t.Errorf("call %d: %+v", i, res)
			}
		}
	})
}

// Guarantee G2, on the agent's side.
func TestControlOvertakesBulk(t *testing.T) {
	r := boot(t, targets()[0])
	bulk := r.begin("exec", meta{"argv": []string{"head", "-c", "20000000", "/dev/zero"}}, nil, stream)
	r.send(bulk, wire.Credit{Channel: 1, Bytes: 20000000})
	r.next(bulk)
	// 20 MB are on their way; the answer does not wait for them.
	r.ping()
	if _, ok := last(r, bulk).Header.(wire.Result); ok {
		t.Error("PING was answered behind all of the output")
	}
	total := 0
	for {
		f := r.next(bulk)
		total += len(f.Body)
		if _, ok := f.Header.(wire.Result); ok {
			break
		}
	}
	if total < 19e6 {
		t.Errorf("%d bytes", total)
	}
}

func last(r *remote, id uint32) wire.Frame {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.queues[id]; len(q) > 0 {
		return q[len(q)-1]
	}
	return wire.Frame{}
}

func TestStreamedLinesComeAsTheyAreWritten(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		id := r.begin("exec", meta{"argv": []string{"sh", "-c", "echo one; read x; echo two; read x"}}, nil, stream, more)
		if got := r.drain(id, 4); !bytes.Equal(got, []byte("one\n")) {
			t.Errorf("got %q", got)
		}
		r.send(id, wire.Data{Channel: 0}, '\n')
		if got := r.drain(id, 4); !bytes.Equal(got, []byte("two\n")) {
			t.Errorf("got %q", got)
		}
		r.send(id, wire.EOF{Channel: 0})
		if res := r.finish(id); res.RC != 1 || res.Out != "" {
			t.Errorf("%+v", res)
		}
	})
}

func TestSilence(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg, func(o *Options) { o.Silence = 2 * time.Second })
		r.begin("exec", meta{"command": "sleep 1000"}, nil)
		if f, err := r.await(99); err == nil {
			t.Errorf("got %#v, want the end of the link", f.Header)
		}
		r.gone()
	})
}

// Who asks for no sign of life for a month has an agent all the same: poll(2) takes no such time.
func TestALongSilence(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg, func(o *Options) { o.Silence = 365 * 24 * time.Hour })
		time.Sleep(50 * time.Millisecond) // it sleeps until it is asked
		if res := r.call("exec", meta{"argv": []string{"/bin/echo", "here"}}, nil); res.Out != "here\n" {
			t.Errorf("%+v", res)
		}
	})
}
