package bootstrap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"spindle/transports/wire"
)

// byways asks for them, and returns the path of the socket as the test sees it, or "".
func (r *remote) byways(id uint32, count int) string {
	r.t.Helper()
	r.send(id, wire.Byway{Count: count})
	var credit []wire.Frame
	defer func() {
		for _, f := range credit {
			r.unread(id, f)
		}
	}()
	for {
		f := r.next(id)
		switch h := f.Header.(type) {
		case wire.Credit:
			credit = append(credit, f)
		case wire.Byway:
			if h.Path == "" {
				if h.Count != 0 {
					r.t.Errorf("%d byways, and no path", h.Count)
				}
				return ""
			}
			if h.Count != count {
				r.t.Errorf("%d byways, want %d", h.Count, count)
			}
			return filepath.Join("/", r.tg.root, h.Path)
		default:
			r.t.Fatalf("got %#v, want BYWAY", h)
		}
	}
}

// connect opens a byway. What leads to a root may be longer than the address of a socket can be.
func (r *remote) connect(path string) net.Conn {
	r.t.Helper()
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		r.t.Fatal(err)
	}
	defer dir.Close()
	c, err := net.Dial("unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	return c
}

func encoded(t *testing.T, frames ...wire.Frame) []byte {
	t.Helper()
	var b []byte
	for _, f := range frames {
		var err error
		if b, err = wire.Append(b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// ended waits until the agent has closed a byway.
func ended(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("%d bytes and %v on a byway, want its end", n, err)
	}
}

// inParts cuts content behind its first bytes into PART frames.
func inParts(id uint32, content []byte, from int) (frames []wire.Frame) {
	for at := from; at < len(content); at += wire.ChunkMax {
		end := min(at+wire.ChunkMax, len(content))
		frames = append(frames, wire.Frame{ID: id, Header: wire.Part{Offset: int64(at), Last: end == len(content)}, Body: content[at:end]})
	}
	return frames
}

// All of an input comes, whichever way and in whatever order its parts do, whole or not, and however often.
func TestByways(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		r.shell("true")
		before := look(t, r.pid)
		const size = 5<<20 + 7
		content := withDigest(pseudo(size))
		id := r.begin("put", meta{"dest": r.dir + "/far", "size": size, "mode": 0o644}, nil, more)
		r.send(id, wire.Data{}, content[:wire.ChunkMax]...)
		path := r.byways(id, 2)
		if st, err := os.Stat(filepath.Dir(path)); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("the socket's directory: %v, %v", st, err)
		}
		ways := []net.Conn{r.connect(path), r.connect(path)}
		for deadline := time.Now().Add(patience); ; r.ping() {
			if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, os.ErrNotExist) {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("the socket is still there: %v", err)
			}
		}
		all := inParts(id, content, wire.ChunkMax)
		order := append([]wire.Frame{}, all...)
		for i := 0; i+4 <= len(order); i += 4 { // pieces overtake each other
			order[i], order[i+3] = order[i+3], order[i]
		}
		order = append(order[:len(order)/2], append(append([]wire.Frame{}, order[:len(order)/4]...), order[len(order)/2:]...)...) // and come twice
		for i, f := range order {
			switch i % 5 {
			case 4:
				r.send(id, f.Header, f.Body...)
			case 3:
				ways[1].Write(encoded(t, f)[:100])
				r.ping() // in the middle of a frame
				ways[1].Write(encoded(t, f)[100:])
			default:
				ways[i%2].Write(encoded(t, f))
			}
		}
		if res := r.finish(id); res != (result{}) {
			t.Fatalf("%+v", res)
		}
		got, err := os.ReadFile(filepath.Join(r.local, "far"))
		if err != nil || !bytes.Equal(got, content[:size]) {
			t.Errorf("%d bytes are there, or others: %v", len(got), err)
		}
		for _, c := range ways {
			ended(t, c)
		}
		r.alone()
		r.ping()
		if after := look(t, r.pid); after.fds > before.fds || after.children > before.children {
			t.Errorf("it held %+v, and holds %+v", before, after)
		}
	})
}

// Packed parts are taken, since the far side of a slow line packs what gets smaller.
func TestPackedParts(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		const size = 2 << 20
		content := withDigest(make([]byte, size))
		id := r.begin("put", meta{"dest": r.dir + "/far", "size": size}, nil, more)
		path := r.byways(id, 1)
		c := r.connect(path)
		for _, f := range inParts(id, content, 0) {
			p, ok, err := wire.PackFresh(f)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				p = f
			}
			c.Write(encoded(t, p))
		}
		if res := r.finish(id); res != (result{}) {
			t.Fatalf("%+v", res)
		}
	})
}

// A byway that is lost, or says what it may not, is no more than that: what has not come can come by way of the link.
func TestLostByways(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		const size = 2 << 20
		content := withDigest(pseudo(size))
		all := inParts(1, content, 0)
		for name, spoil := range map[string]func(id uint32) []byte{
			"half a frame": func(id uint32) []byte { return encoded(t, all[1])[:1000] },
			"garbage":      func(id uint32) []byte { return bytes.Repeat([]byte("garbage "), 100) },
			"another call's": func(id uint32) []byte {
				return encoded(t, wire.Frame{ID: id + 100, Header: wire.Part{}, Body: []byte("x")})
			},
			"another kind": func(id uint32) []byte { return encoded(t, wire.Frame{ID: id, Header: wire.Data{}, Body: []byte("x")}) },
			"another channel": func(id uint32) []byte {
				return encoded(t, wire.Frame{ID: id, Header: wire.Part{Channel: 1}, Body: []byte("x")})
			},
			"packed, not fresh": func(id uint32) []byte { return encoded(t, wire.Frame{Header: wire.Packed{}, Body: []byte{2, 0}}) },
			"packed, no deflate": func(id uint32) []byte {
				return encoded(t, wire.Frame{Header: wire.Packed{Fresh: true}, Body: []byte{7}})
			},
		} {
			id := r.begin("put", meta{"dest": r.dir + "/far", "size": size}, nil, more)
			c := r.connect(r.byways(id, 2))
			all = inParts(id, content, 0)
			c.Write(encoded(t, all[0], all[2]))
			c.Write(spoil(id))
			if name == "half a frame" {
				c.(*net.UnixConn).CloseWrite()
			}
			ended(t, c)
			for _, f := range all {
				r.send(id, f.Header, f.Body...)
			}
			if res := r.finish(id); res != (result{}) {
				t.Errorf("%s: %+v", name, res)
			}
			if got, err := os.ReadFile(filepath.Join(r.local, "far")); err != nil || !bytes.Equal(got, content[:size]) {
				t.Errorf("%s: %d bytes are there, or others: %v", name, len(got), err)
			}
		}
	})
}

func TestBywaysAreForPutsAndForOnce(t *testing.T) {
	r := boot(t, targets()[0])
	cat := r.begin("exec", meta{"argv": []string{"cat"}}, nil, more)
	if r.byways(cat, 2) != "" {
		t.Error("a program's input has byways")
	}
	r.send(cat, wire.EOF{})
	r.finish(cat)
	id := r.begin("put", meta{"dest": r.dir + "/far", "size": 1 << 20}, nil, more)
	for _, count := range []int{0, wire.MaxByways + 1} {
		if r.byways(id, count) != "" {
			t.Errorf("there are %d byways", count)
		}
	}
	if r.byways(id, wire.MaxByways) == "" {
		t.Error("there are none")
	}
	if r.byways(id, 2) != "" {
		t.Error("there are some twice")
	}
	r.send(id, wire.Cancel{Reason: "enough"})
	if res := r.finish(id); res.Status != wire.StatusCancelled {
		t.Errorf("%+v", res)
	}
	r.send(id, wire.Byway{Count: 2}) // late
	r.ping()
}

// Nothing may come by a byway that was not granted.
func TestPartsBeyondCreditEndTheLink(t *testing.T) {
	for name, byway := range map[string]bool{"on the link": false, "on a byway": true} {
		t.Run(name, func(t *testing.T) {
			r := boot(t, targets()[0])
			id := r.begin("put", meta{"dest": r.dir + "/far", "size": 100 << 20}, nil, more)
			f := wire.Frame{ID: id, Header: wire.Part{Offset: 2*wire.WindowBulk + wire.ChunkMax}, Body: []byte("x")}
			if byway {
				r.connect(r.byways(id, 2)).Write(encoded(t, f))
			} else {
				r.send(id, f.Header, f.Body...)
			}
			if h, ok := r.next(0).Header.(wire.Bye); !ok || h.Reason != "PART: more than was granted" {
				t.Errorf("got %+v, want BYE", h)
			}
		})
	}
}

// A put that goes by way of several channels holds no more than was granted for them.
func TestBywaysAreFlat(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		r.shell("true")
		before := peak(t, r.pid)
		const size = 60 << 20
		content := withDigest(pseudo(size))
		id := r.begin("put", meta{"dest": r.dir + "/far", "size": size, "sync": false}, nil, more)
		path := r.byways(id, 2)
		ways := []net.Conn{r.connect(path), r.connect(path)}
		open := int64(wire.WindowInitial)
		for i, f := range inParts(id, content, 0) {
			for f.Header.(wire.Part).Offset+int64(len(f.Body)) > open {
				c, ok := r.next(id).Header.(wire.Credit)
				if !ok {
					t.Fatalf("got %+v, want CREDIT", c)
				}
				open += int64(c.Bytes)
			}
			if _, err := ways[i%2].Write(encoded(t, f)); err != nil {
				t.Fatal(err)
			}
		}
		if res := r.finish(id); res != (result{}) {
			t.Fatalf("%+v", res)
		}
		r.flat(before)
		os.Remove(filepath.Join(r.local, "far"))
	})
}
