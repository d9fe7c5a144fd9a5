package bootstrap

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"spindle/transports/wire"
)

// busy gives an agent something of everything that could be left behind.
func (r *remote) busy() {
	r.t.Helper()
	up := func(id uint32) {
		r.t.Helper()
		if f := r.next(id); string(f.Body) != "up\n" {
			r.t.Fatalf("got %#v %q", f.Header, f.Body)
		}
	}
	r.files("", meta{"op": "mkdir", "path": r.facts["tmp"].(string) + "/ansible-tmp-x", "temp": true})
	up(r.begin("exec", meta{"argv": []string{"sh", "-c", "sleep 1000 & echo up; sleep 1000"}}, nil, stream))
	up(r.begin("exec", meta{"argv": []string{"sh", "-c", "trap '' TERM HUP INT; echo up; while :; do sleep 1; done"}}, nil, stream))
	up(r.begin("exec", meta{"argv": []string{"sh", "-c", "echo up; cat"}}, nil, stream, more))
	up(r.spawn(0, meta{"argv": []string{"sh", "-c", "echo up; sleep 1000"}}))
	if r.tg.root == "" {
		up(r.spawn(1, meta{"argv": []string{"sh", "-c", "trap '' HUP; echo up; sleep 1000"}}))
		up(r.spawn(2, meta{"argv": []string{"sh", "-c", "trap '' HUP; echo up; sleep 1000"}}))
	}
	id := r.begin("put", meta{"dest": r.dir + "/dest", "size": 100}, nil, more)
	r.send(id, wire.Data{Channel: 0}, 'x')
	r.shell("until ls -A " + r.dir + " | grep -q ansible_mitogen_transfer; do sleep 0.01; done")
	r.connect(r.byways(id, 2)) // and waits for another
}

// Whatever way an agent ends, nothing of it is left.
func TestEnds(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		for _, tc := range []struct {
			name string
			end  func(r *remote)
			rc   int
		}{
			{"end of stream", func(r *remote) { r.stdin.Close() }, 0},
			{"BYE", func(r *remote) { r.send(0, wire.Bye{Reason: "enough"}) }, 0},
			{"kill -9 of the agent", func(r *remote) { syscall.Kill(r.pid, syscall.SIGKILL) }, 1},
			{"kill of the agent", func(r *remote) { syscall.Kill(r.pid, syscall.SIGTERM) }, 0},
			{"kill -9 of the warden", func(r *remote) { r.cmd.Process.Kill() }, -1},
			{"kill of the warden", func(r *remote) { r.cmd.Process.Signal(syscall.SIGTERM) }, 0},
			{"a task kills its parent", func(r *remote) {
				r.begin("exec", meta{"argv": []string{"sh", "-c", "kill -9 $PPID; sleep 1000"}}, nil)
			}, 1},
			{"protocol error", func(r *remote) { r.send(0, wire.Hello{}) }, 1},
		} {
			t.Run(tc.name, func(t *testing.T) {
				r := boot(t, tg)
				r.busy()
				tc.end(r)
				done := make(chan error, 1)
				go func() { done <- r.cmd.Wait() }()
				select {
				case <-done:
				case <-time.After(patience):
					t.Fatal("the process that was started does not end")
				}
				r.closed = true
				r.stdin.Close()
				if rc := r.cmd.ProcessState.ExitCode(); rc != tc.rc {
					t.Errorf("exit status %d, want %d", rc, tc.rc)
				}
				r.gone()
				if _, err := os.Stat(filepath.Join(r.local, "dest")); err == nil {
					t.Error("half a file was published")
				}
			})
		}
	})
}

// A child is not forgotten for being so young that nobody has heard of it.
func TestEndsRightBehindACall(t *testing.T) {
	for i := range 12 {
		r := boot(t, targets()[0])
		r.begin("exec", meta{"argv": []string{"sleep", "1000"}}, nil)
		switch i % 4 {
		case 0:
			r.stdin.Close()
		case 1:
			r.send(0, wire.Hello{})
		case 2:
			for len(r.children()) == 0 && !r.over() { // from here on, it is a matter of microseconds
			}
			syscall.Kill(r.pid, syscall.SIGKILL)
		case 3:
			for len(r.children()) == 0 && !r.over() {
			}
			r.cmd.Process.Kill()
		}
		r.end()
	}
}

// Whoever shares the agent's stdout does not expect that writing there may fail for want of room.
func TestLinkFlagsAreRestored(t *testing.T) {
	tg := targets()[0]
	o := Options{Candidates: []string{tg.python}, Nonce: nonce(), Title: "t"}
	argv := Argv(o)
	ours, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	fd := theirs.Fd() // asking again would make it block again
	blocks := func() bool {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil {
			t.Fatal(err)
		}
		return flags&unix.O_NONBLOCK == 0
	}
	if !blocks() {
		t.Fatal("does not block to begin with")
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout = theirs
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdin.Write(Flight(o))
	br := bufio.NewReader(ours)
	if _, err := br.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if _, err := wire.NewReader(br).Next(); err != nil {
		t.Fatal(err)
	}
	if blocks() {
		t.Error("the agent may be held up by a slow reader")
	}
	stdin.Close()
	cmd.Wait()
	if !blocks() {
		t.Error("still does not block")
	}
}

func frame(kind byte, id uint32, rest ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(5+len(rest)))
	b = append(b, kind)
	return append(binary.BigEndian.AppendUint32(b, id), rest...)
}

// An agent that is sent nonsense says so and goes.
func TestHostileFrames(t *testing.T) {
	good := func(id uint32, h wire.Header, body ...byte) []byte {
		b, err := wire.Append(nil, wire.Frame{ID: id, Header: h, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const sleep = `{"argv":["sleep","1000"]}`
	call := good(1, wire.Call{Op: "exec", MetaLen: len(sleep), Flags: wire.FlagMore}, []byte(sleep)...)
	chunk := good(1, wire.Data{Channel: 0}, make([]byte, wire.ChunkMax)...)
	digest := wire.Sum([]byte("x"))
	opened := func(blob []byte) []byte { // by who needs what may be in it
		meta := `{"manifest":"` + digest.String() + `"}`
		return append(blob, good(1, wire.Call{Op: "module", MetaLen: len(meta)}, []byte(meta)...)...)
	}
	bundle, inflated := wire.Bundle([][]byte{[]byte("x")})
	for name, tc := range map[string]struct {
		bytes []byte
		want  string
	}{
		"too long":          {[]byte{0xff, 0xff, 0xff, 0xff}, "frame over 1114112 bytes"},
		"too short":         {[]byte{0, 0, 0, 1, 1}, "frame under 6 bytes"},
		"unknown kind":      {frame(77, 0, 0x90), "unknown kind"},
		"header":            {frame(byte(wire.KindCancel), 0, 0xc0), "CANCEL: "},
		"RESULT":            {good(1, wire.Result{}), "RESULT is not for agents"},
		"second READY":      {good(0, wire.Ready{Proto: 1}, '{', '}'), "READY is not for agents"},
		"id twice":          {append(append([]byte{}, call...), call...), "CALL: id is in use"},
		"id 0":              {good(0, wire.Spawn{MetaLen: 2}, '{', '}'), "SPAWN: id is in use"},
		"too much input":    {bytes.Join([][]byte{call, chunk, chunk, chunk, chunk}, nil), "DATA: more than was granted"},
		"DATA behind EOF":   {bytes.Join([][]byte{call, good(1, wire.EOF{Channel: 0}), good(1, wire.Data{Channel: 0}, 'x')}, nil), "DATA: behind EOF"},
		"no such channel":   {append(append([]byte{}, call...), good(1, wire.Data{Channel: 1}, 'x')...), "DATA: no such channel"},
		"blob of lies":      {good(0, wire.Blob{Digest: digest, Size: 1}, 'y'), "BLOB: content is not what the digest names"},
		"blob of less":      {good(0, wire.Blob{Digest: digest, Size: 2}, 'x'), "BLOB: content is not of the size given"},
		"blob that expands": {good(0, wire.Blob{Digest: digest, Size: 1, Encoding: 1}, compress(make([]byte, 100<<20))...), "BLOB: content is not of the size given"},
		"blob of noise":     {good(0, wire.Blob{Digest: digest, Size: 1, Encoding: 1}, 'x', 'y', 'z'), "BLOB: "},
		"bundle of lies":    {opened(good(0, wire.Blob{Digest: digest, Size: inflated, Encoding: 2}, bundle...)), "BLOB: content is not what the digest names"},
		"bundle of more":    {opened(good(0, wire.Blob{Digest: digest, Size: 1, Encoding: 2}, bundle...)), "BLOB: content is not of the size given"},
		"bundle of noise":   {opened(good(0, wire.Blob{Digest: digest, Size: 1, Encoding: 2}, 'x', 'y', 'z')), "BLOB: "},
	} {
		t.Run(name, func(t *testing.T) {
			for _, tg := range targets()[:2] { // a Python 3 and the Python 2
				if tg.skip != "" {
					t.Skip(tg.skip)
				}
				r := boot(t, tg)
				// Nothing that comes may make it allocate much: it could not.
				limit := uint64(size(t, r.pid) + 16<<20)
				if err := unix.Prlimit(r.pid, unix.RLIMIT_AS, &unix.Rlimit{Cur: limit, Max: limit}, nil); err != nil {
					t.Fatal(err)
				}
				go r.stdin.Write(tc.bytes) // it may not be read to the end
				for {
					f, err := r.await(0)
					if err != nil {
						t.Fatalf("the link ended without BYE: %v", err)
					}
					if h, ok := f.Header.(wire.Bye); ok {
						if !strings.HasPrefix(h.Reason, tc.want) {
							t.Errorf("BYE %q, want %q", h.Reason, tc.want)
						}
						break
					}
				}
				if f, err := r.await(0); err == nil {
					t.Errorf("%#v behind BYE", f.Header)
				}
				r.end()
			}
		})
	}
}

// size returns how much address space a process has.
func size(t *testing.T, pid int) int {
	t.Helper()
	statm, err := os.ReadFile("/proc/" + itoa(pid) + "/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[0])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func TestFirstFrameMustBeReady(t *testing.T) {
	tg := targets()[0]
	r := &remote{t: t, tg: tg, nonce: nonce(), queues: map[uint32][]wire.Frame{}}
	o := Options{Candidates: []string{tg.python}, Nonce: r.nonce, Title: r.nonce}
	out := run(t, Argv(o), append(Packed(), frame(byte(wire.KindPing), 0, 0x92, 0xc2, 0)...))
	rest, ok := strings.CutPrefix(out, "SPINDLE1 "+r.nonce+"\n")
	f, err := wire.NewReader(strings.NewReader(rest)).Next()
	if h, is := f.Header.(wire.Bye); !ok || err != nil || !is || h.Reason != "PING ahead of READY" {
		t.Errorf("got %q", out)
	}
}
