package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"spindle/actors/tree/treetest"
	"spindle/transports"
	"spindle/transports/wire"
)

func TestCallIsAnsweredWithWhatTheAgentSaid(t *testing.T) {
	b := newBench(t, Heartbeat{})
	hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
		fr := f.Next()
		call := fr.Header.(wire.Call)
		if call.Op != "exec" || call.Context != "" || string(fr.Body) != "{}input" {
			t.Errorf("agent got %+v %q", call, fr.Body)
		}
		f.Send(fr.ID, wire.Result{RC: 3, OutLen: 3, ErrLen: 2}, []byte("outer"))
		treetest.UntilGone(f)
	})
	if want := "tree/ssh:web1/python3"; !strings.HasSuffix(hop.Interpreter.Id, want) {
		t.Errorf("path %q, want it to end in %q", hop.Interpreter.Id, want)
	}
	b.say(hop.Interpreter, &Invoke{Key: 7, Call: wire.Call{Op: "exec", Context: "secret-name", MetaLen: 2}, Body: []byte("{}input")})
	got := expect[*Done](b)
	want := &Done{Key: 7, Result: wire.Result{RC: 3, OutLen: 3, ErrLen: 2}, Body: []byte("outer")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// G1: calls of one requester reach the agent in the order in which they were sent, also when the first of them has to
// wait for its closure's content.
func TestG1_CallsKeepTheirOrderAndBlobsGoAheadOnce(t *testing.T) {
	b := newBench(t, Heartbeat{})
	content := []byte("x = 1\n")
	closure := wire.Sum([]byte("manifest"))
	b.blobs[closure] = []*Blob{{Digest: wire.Sum(content), Size: len(content), Content: content}}
	var order []string
	hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
		for i := 0; i < 4; i++ {
			fr := f.Next()
			switch h := fr.Header.(type) {
			case wire.Blob:
				order = append(order, "blob")
			case wire.Call:
				order = append(order, h.Op)
				f.Send(fr.ID, wire.Result{}, nil)
			}
		}
		treetest.UntilGone(f)
	})
	for i, op := range []string{"one", "two", "three"} {
		b.say(hop.Interpreter, &Invoke{Key: uint32(i + 1), Call: wire.Call{Op: op, Closure: closure, HasClosure: true}})
	}
	for range 3 {
		expect[*Done](b)
	}
	if diff := cmp.Diff([]string{"blob", "one", "two", "three"}, order); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What only Python 2 needs goes to no agent whose Python is known to be another, by itself or in a bundle.
func TestWhatOnlyPython2NeedsGoesToNoOther(t *testing.T) {
	for version, spared := range map[string]int{"3.11.2": 1, "2.7.18": 0, "": 0, "30.1": 0} {
		for _, files := range []int{4, 12} {
			t.Run(fmt.Sprintf("%s,%d", version, files), func(t *testing.T) {
				b := newBench(t, Heartbeat{})
				closure := wire.Sum([]byte("manifest"))
				for i := range files {
					content := []byte{byte(i)}
					b.blobs[closure] = append(b.blobs[closure], &Blob{Digest: wire.Sum(content), Size: 1, Content: content})
				}
				b.python2 = map[wire.Digest]bool{b.blobs[closure][files-1].Digest: true}
				got := 0
				d := &treetest.Dialer{T: t, Label: "web1", Version: version, Joined: &b.wg, Play: func(f *treetest.FarEnd) {
					fr := f.Next()
					for ; fr.Header.Kind() == wire.KindBlob; fr = f.Next() {
						got += fr.Header.(wire.Blob).Size
					}
					f.Send(fr.ID, wire.Result{}, nil)
					treetest.UntilGone(f)
				}}
				b.say(b.tree, &OpenHop{Hop: &Hop{Key: "web1", Dialer: d}, Report: b.client})
				b.say(expect[*HopReady](b).Interpreter, &Invoke{Key: 1, Call: wire.Call{Op: "module", Closure: closure, HasClosure: true}})
				expect[*Done](b)
				want := files - spared
				if want >= bundleLeast {
					want *= 5 // in a bundle each has its length in front of it
				}
				if got != want {
					t.Errorf("%d bytes of content, want %d", got, want)
				}
			})
		}
	}
}

// What an agent is expected to be asked for goes ahead of its HELLO, and not again; what is for Python 2 alone does not.
func TestWhatIsExpectedGoesAheadOfHello(t *testing.T) {
	for name, late := range map[string]bool{"while it is dialed": true, "beforehand": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Heartbeat{})
			closure := wire.Sum([]byte("manifest"))
			for i := range 12 {
				content := []byte{byte(i)}
				b.blobs[closure] = append(b.blobs[closure], &Blob{Digest: wire.Sum(content), Size: 1, Content: content})
			}
			b.python2 = map[wire.Digest]bool{b.blobs[closure][11].Digest: true}
			var got []any
			d := &treetest.Dialer{T: t, Label: "web1", Version: "3.11.2", Behind: true, Joined: &b.wg, Play: func(f *treetest.FarEnd) {
				fr := f.Next()
				for ; fr.Header.Kind() == wire.KindBlob; fr = f.Next() {
					got = append(got, fr.Header.(wire.Blob).Size)
				}
				f.Send(fr.ID, wire.Result{}, nil)
				treetest.UntilGone(f)
			}}
			wanted, open := &Expect{Closure: closure}, &OpenHop{Hop: &Hop{Key: "web1", Dialer: d}, Report: b.client}
			if late {
				b.say(b.tree, open)
				b.say(b.tree, wanted)
			} else {
				b.say(b.tree, wanted)
				b.say(b.tree, open)
			}
			b.say(expect[*HopReady](b).Interpreter, &Invoke{Key: 1, Call: wire.Call{Op: "module", Closure: closure, HasClosure: true}})
			b.say(b.tree, &Expect{Closure: wire.Sum(nil)}) // of which one that has its agent takes no notice
			if done := expect[*Done](b); done.Result.Status != wire.StatusOK {
				t.Errorf("%+v", done.Result)
			}
			if diff := cmp.Diff([]any{11 * 5}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// An agent comes up whatever was expected: what nobody knows, or too little for a bundle.
func TestExpectingInVain(t *testing.T) {
	b := newBench(t, Heartbeat{})
	few := wire.Sum([]byte("few"))
	b.blobs[few] = []*Blob{{Digest: wire.Sum([]byte("x")), Size: 1, Content: []byte("x")}}
	for i, closure := range []wire.Digest{wire.Sum(nil), few} {
		b.say(b.tree, &Expect{Closure: closure})
		hop := b.open(b.tree, fmt.Sprintf("ssh:web%d", i), func(f *treetest.FarEnd) {
			f.Send(f.Next().ID, wire.Result{}, nil)
			treetest.UntilGone(f)
		})
		b.say(hop.Interpreter, &Invoke{Key: 1, Call: wire.Call{Op: "exec"}})
		expect[*Done](b)
	}
}

func TestUnknownClosureIsSaidSo(t *testing.T) {
	b := newBench(t, Heartbeat{})
	hop := b.open(b.tree, "ssh:web1", treetest.UntilGone)
	b.say(hop.Interpreter, &Invoke{Key: 1, Call: wire.Call{Op: "module", Closure: wire.Sum(nil), HasClosure: true}})
	if got := expect[*Done](b); got.Result.Status != wire.StatusUnknownClosure {
		t.Errorf("status %v", got.Result.Status)
	}
}

// G3: a lost link answers every open call, once, with the contract's text, and the hop is gone.
func TestG3_LostLinkAnswersEveryCallOnce(t *testing.T) {
	b := newBench(t, Heartbeat{})
	hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
		f.Next()
		f.Next() // and then the link ends, with both calls open
	})
	b.sys.Send(b.client, &watch{hop.Hop})
	b.say(hop.Interpreter, &Invoke{Key: 1, Call: wire.Call{Op: "exec"}})
	b.say(hop.Interpreter, &Invoke{Key: 2, Call: wire.Call{Op: "exec"}})
	seen := map[uint32]int{}
	for range 2 {
		d := expect[*Done](b)
		seen[d.Key]++
		if d.Result.Status != wire.StatusUnreachable || !strings.Contains(d.Result.Text, "Mitogen was disconnected from the remote environment while a call was in-progress") {
			t.Errorf("result %+v", d.Result)
		}
	}
	if diff := cmp.Diff(map[uint32]int{1: 1, 2: 1}, seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	expect[*actor.Terminated](b)
}

func TestProtocolViolationsCloseTheHopOnly(t *testing.T) {
	cases := []struct {
		name string
		play func(f *treetest.FarEnd, call wire.Frame)
	}{
		{"frame for an id that was never opened", func(f *treetest.FarEnd, _ wire.Frame) { f.Send(99, wire.Result{}, nil) }},
		{"a controller's frame", func(f *treetest.FarEnd, _ wire.Frame) { f.Send(1, wire.Call{Op: "exec"}, nil) }},
		{"lengths that do not match", func(f *treetest.FarEnd, c wire.Frame) {
			b, _ := wire.Append(nil, wire.Frame{ID: c.ID, Header: wire.Result{OutLen: 1}, Body: []byte("x")})
			b[3]++
			f.Conn.Write(append(b, 'y'))
		}},
		{"data without credit", func(f *treetest.FarEnd, c wire.Frame) {
			for range wire.WindowInitial/wire.ChunkMax + 1 {
				f.Send(c.ID, wire.Data{Channel: 1}, make([]byte, wire.ChunkMax))
			}
		}},
		{"data on a channel that is not output", func(f *treetest.FarEnd, c wire.Frame) { f.Send(c.ID, wire.Data{Channel: 0}, []byte("x")) }},
		{"garbage", func(f *treetest.FarEnd, _ wire.Frame) { f.Conn.Write([]byte("this is no frame at all, is it?")) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Heartbeat{})
			good := b.open(b.tree, "ssh:good", func(f *treetest.FarEnd) {
				fr := f.Next()
				f.Send(fr.ID, wire.Result{RC: 5}, nil)
				treetest.UntilGone(f)
			})
			bad := b.open(b.tree, "ssh:bad", func(f *treetest.FarEnd) {
				c.play(f, f.Next())
				treetest.UntilGone(f)
			})
			b.say(bad.Interpreter, &Invoke{Key: 1, Call: wire.Call{Op: "exec"}})
			for {
				if m := expect[any](b); m != nil {
					d, ok := m.(*Done)
					if !ok {
						continue // output that was within credit
					}
					if d.Result.Status != wire.StatusUnreachable {
						t.Errorf("bad hop: %+v", d.Result)
					}
					break
				}
			}
			b.say(good.Interpreter, &Invoke{Key: 2, Call: wire.Call{Op: "exec"}})
			if d := expect[*Done](b); d.Result.RC != 5 {
				t.Errorf("good hop: %+v", d.Result)
			}
		})
	}
}

func TestAbortCancelsAndIsAnswered(t *testing.T) {
	b := newBench(t, Heartbeat{})
	hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
		id := f.Next().ID
		if fr := f.Next(); fr.ID != id || fr.Header != (wire.Cancel{Reason: "enough"}) {
			t.Errorf("got %+v", fr)
		}
		f.Send(id, wire.Result{Status: wire.StatusCancelled}, nil)
		treetest.UntilGone(f)
	})
	b.say(hop.Interpreter, &Invoke{Key: 1, Call: wire.Call{Op: "exec"}})
	b.say(hop.Interpreter, &Abort{Key: 1, Reason: "enough"})
	if d := expect[*Done](b); d.Result.Status != wire.StatusCancelled {
		t.Errorf("%+v", d.Result)
	}
}

func TestPutSendsContentAndDigestAgainstCredit(t *testing.T) {
	b := newBench(t, Heartbeat{})
	content := make([]byte, 3*wire.WindowInitial+17)
	rand.New(rand.NewSource(1)).Read(content)
	src := filepath.Join(t.TempDir(), "src")
	if err := os.WriteFile(src, content, 0o640); err != nil {
		t.Fatal(err)
	}
	var got []byte
	hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
		fr := f.Next()
		id := fr.ID
		if !strings.Contains(string(fr.Body), `"mode":416`) {
			t.Errorf("meta %s", fr.Body)
		}
		open := wire.WindowInitial
		for {
			fr := f.Next()
			switch fr.Header.(type) {
			case wire.Data:
				if open -= len(fr.Body); open < 0 {
					t.Error("more than was granted")
				}
				got = append(got, fr.Body...)
				if open < wire.ChunkMax {
					f.Send(id, wire.Credit{Channel: 0, Bytes: 2 * wire.ChunkMax}, nil)
					open += 2 * wire.ChunkMax
				}
				continue
			case wire.EOF:
			default:
				t.Errorf("got %+v", fr.Header)
			}
			break
		}
		f.Send(id, wire.Result{}, nil)
		treetest.UntilGone(f)
	})
	b.say(hop.Interpreter, &Put{Key: 4, Src: src, Dest: "/dest"})
	if d := expect[*Done](b); d.Result.Status != wire.StatusOK || d.Key != 4 {
		t.Fatalf("%+v", d)
	}
	if want := append(append([]byte{}, content...), sumOf(content)...); !bytes.Equal(got, want) {
		t.Errorf("content differs: got %d bytes, want %d", len(got), len(want))
	}
}

func TestPutOfWhatIsNoFile(t *testing.T) {
	b := newBench(t, Heartbeat{})
	hop := b.open(b.tree, "ssh:web1", treetest.UntilGone)
	dir := t.TempDir()
	b.say(hop.Interpreter, &Put{Key: 1, Src: dir, Dest: "/dest"})
	if d := expect[*Done](b); d.Result.Status != wire.StatusError || !strings.Contains(d.Result.Text, "is not a regular file") {
		t.Errorf("%+v", d.Result)
	}
	b.say(hop.Interpreter, &Put{Key: 2, Src: filepath.Join(dir, "none"), Dest: "/dest"})
	if d := expect[*Done](b); d.Result.Status != wire.StatusError || d.Result.Errno != 2 {
		t.Errorf("%+v", d.Result)
	}
}

// What a file of /proc says of its size is not what is announced of it.
func TestPutOfFilesThatDoNotKnowTheirSize(t *testing.T) {
	for _, src := range []string{"/proc/version", "/proc/kallsyms", "/sys/class/net/lo/address"} {
		t.Run(src, func(t *testing.T) {
			content, err := os.ReadFile(src)
			if err != nil {
				t.Fatal(err)
			}
			b := newBench(t, Heartbeat{})
			hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
				fr := f.Next()
				id, size := fr.ID, fmt.Sprintf(`"size":%d,`, len(content))
				if !strings.Contains(string(fr.Body), size) {
					t.Errorf("meta %s, want %s", fr.Body, size)
				}
				var got []byte
				for fr = f.Next(); fr.Header.Kind() == wire.KindData; fr = f.Next() {
					got = append(got, fr.Body...)
					f.Send(id, wire.Credit{Channel: 0, Bytes: len(fr.Body)}, nil)
				}
				if !bytes.Equal(got, append(content, sumOf(content)...)) {
					t.Errorf("%d bytes have come, want %d", len(got), len(content)+32)
				}
				f.Send(id, wire.Result{}, nil)
				treetest.UntilGone(f)
			})
			b.say(hop.Interpreter, &Put{Key: 1, Src: src, Dest: "/dest"})
			if d := expect[*Done](b); d.Result != (wire.Result{}) {
				t.Errorf("%+v", d.Result)
			}
		})
	}
}

func TestGetLandsOnlyWhenSizeAndDigestAreRight(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 40000)
	head := []byte(`{"size":640000,"mode":384,"mtime":1000000000.5,"atime":1000000001}` + "\n")
	cases := []struct {
		name string
		wire []byte
		ok   bool
	}{
		{"right", append(append(append([]byte{}, head...), content...), sumOf(content)...), true},
		{"wrong digest", append(append(append([]byte{}, head...), content...), sumOf(nil)...), false},
		{"short", append(append(append([]byte{}, head...), content[:1000]...), sumOf(content[:1000])...), false},
		{"long", append(append(append([]byte{}, head...), content...), append(sumOf(content), 1)...), false},
		{"no head", content[:100], false},
		{"nothing", nil, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Heartbeat{})
			hop := b.open(b.tree, "ssh:web1", func(f *treetest.FarEnd) {
				id := f.Next().ID
				rest, credit := c.wire, wire.WindowInitial
				for len(rest) > 1000 {
					n := min(wire.ChunkMax, len(rest)-1000)
					for credit < n {
						if cr, ok := f.Next().Header.(wire.Credit); ok {
							credit += cr.Bytes
						}
					}
					f.Send(id, wire.Data{Channel: 1}, rest[:n])
					rest, credit = rest[n:], credit-n
				}
				f.Send(id, wire.Result{OutLen: len(rest)}, rest)
				treetest.UntilGone(f)
			})
			dir := t.TempDir()
			dest := filepath.Join(dir, "dest")
			if err := os.WriteFile(dest, []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			b.say(hop.Interpreter, &Get{Key: 1, Src: "/src", Dest: dest})
			d := expect[*Done](b)
			if ok := d.Result.Status == wire.StatusOK; ok != c.ok {
				t.Errorf("result %+v", d.Result)
			}
			got, err := os.ReadFile(dest)
			if err != nil {
				t.Fatal(err)
			}
			want := []byte("old")
			if c.ok {
				want = content
			}
			if !bytes.Equal(got, want) {
				t.Errorf("destination has %d bytes, want %d", len(got), len(want))
			}
			if left, _ := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
			if info, _ := os.Stat(dest); c.ok && (info.Mode().Perm() != 0o600 || info.ModTime().Unix() != 1000000000) {
				t.Errorf("mode %v, time %v", info.Mode(), info.ModTime())
			}
		})
	}
}

// landAt lands content whose original has a mode.
func landAt(t *testing.T, dest, content string, mode int) error {
	t.Helper()
	feed := make(chan []byte, 1)
	feed <- fmt.Appendf(nil, `{"size":%d,"mode":%d,"mtime":1000000000,"atime":1000000001}`+"\n%s%s", len(content), mode, content, sumOf([]byte(content)))
	close(feed)
	return land(t.Context(), dest, feed, func(int) {})
}

// Who has fetched a file can read it, and write it again, also if the original is closed to all but root.
func TestLandedFilesAreTheirOwners(t *testing.T) {
	for mode, want := range map[int]os.FileMode{0: 0o600, 0o440: 0o640, 0o4755: 0o755} {
		dest := filepath.Join(t.TempDir(), "dest")
		if err := landAt(t, dest, "x", mode); err != nil {
			t.Fatal(err)
		}
		if info, _ := os.Stat(dest); info.Mode() != want {
			t.Errorf("%o became %v, want %v", mode, info.Mode(), want)
		}
	}
}

// A file that is there keeps its owner and its other names, and may be one that something is mounted on.
func TestLandingOnWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"linked", "owned", "mounted", "below"} {
		if err := os.WriteFile(path(name), []byte("what was there"), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(path("linked"), path("other")); err != nil {
		t.Fatal(err)
	}
	names := []string{"linked"}
	if os.Geteuid() == 0 {
		names = append(names, "owned", "mounted")
		runtime.LockOSThread() // it ends with the test, and nothing else sees what is mounted
		if err := errors.Join(
			os.Chown(path("owned"), 65534, 65534), unix.Unshare(unix.CLONE_NEWNS|unix.CLONE_FS), unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""),
			unix.Mount(path("below"), path("mounted"), "", unix.MS_BIND, ""),
		); err != nil {
			t.Fatal(err)
		}
	}
	defer func() { _ = unix.Unmount(path("mounted"), unix.MNT_DETACH) }()
	for _, name := range names {
		if err := landAt(t, path(name), "new", 0o600); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range append(names, "other") {
		if got, err := os.ReadFile(path(name)); string(got) != "new" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if info, err := os.Stat(path("owned")); os.Geteuid() == 0 && (err != nil || info.Sys().(*syscall.Stat_t).Uid != 65534) {
		t.Errorf("it is another's: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 5 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLandingInPlace(t *testing.T) {
	dir, err := os.MkdirTemp("", "land")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file, closed, fifo := filepath.Join(dir, "file"), filepath.Join(dir, "closed"), filepath.Join(dir, "fifo")
	for path, mode := range map[string]os.FileMode{file: 0o666, closed: 0o444} {
		if err := errors.Join(os.WriteFile(path, []byte("what was there"), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(syscall.Mkfifo(fifo, 0o600), os.Chmod(dir, 0o555)); err != nil {
		t.Fatal(err)
	}
	read := func(path string) string {
		got, _ := os.ReadFile(path)
		return string(got)
	}

	// What is no file is written to.
	if err := landAt(t, fifo, "x", 0o600); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("nobody reads: %v", err)
	}
	reader, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := landAt(t, fifo, "through", 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(reader); string(got) != "through" {
		t.Errorf("%q, %v", got, err)
	}

	if os.Geteuid() == 0 {
		runtime.LockOSThread() // it ends with the test, and nothing else sees with nobody's eyes
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
	}
	// So is a file in a directory where none can be made.
	if err := landAt(t, file, "new", 0o600); err != nil || read(file) != "new" {
		t.Errorf("%v, %q", err, read(file))
	}
	if info, _ := os.Stat(file); info.Mode() != 0o666 {
		t.Errorf("mode %v", info.Mode())
	}
	for _, path := range []string{closed, filepath.Join(dir, "none")} {
		if err := landAt(t, path, "new", 0o600); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v", path, err)
		}
	}
	// What cannot be fetched leaves it as it was.
	feed := make(chan []byte)
	close(feed)
	if err := land(t.Context(), file, feed, func(int) {}); err == nil || read(file) != "new" {
		t.Errorf("%v, %q", err, read(file))
	}
	if left, _ := os.ReadDir(dir); len(left) != 3 {
		t.Errorf("left behind: %v", left)
	}
}

func TestPathsInJSON(t *testing.T) {
	for path, want := range map[Path]string{
		"":                      `""`,
		"/a b/\"\\\n\xe9":       `"/a b/\"\\\n\udce9"`,
		"\xe9\xff":              `"\udce9\udcff"`,
		"ž\U0001f600\ufffd\xf0": "\"ž\U0001f600\ufffd\\udcf0\"",
		"\xed\xb3\xa9":          `"\udced\udcb3\udca9"`, // U+DCE9, as it must not be written
		`\udce9`:                `"\\udce9"`,
	} {
		got, err := json.Marshal(path)
		if err != nil || string(got) != want {
			t.Errorf("%q is %s, want %s: %v", path, got, want, err)
		}
		var back Path
		if err := json.Unmarshal(got, &back); err != nil || back != path {
			t.Errorf("%s is %q, want %q: %v", got, back, path, err)
		}
	}
	for text, want := range map[string]Path{
		`"\u017e\ud83d\ude00\uDCE9"`: "ž\U0001f600\xe9",
		`"\ud800\udc80"`:             "\U00010080", // as a pair, no byte
		`"\ud83d\udc80\udc80"`:       "\U0001f480\x80",
		`"\udc7f\ud800x"`:            "\ufffd\ufffdx",
		`"\\\udce9\/"`:               "\\\xe9/",
		`null`:                       "",
	} {
		var got Path
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s is %q, want %q: %v", text, got, want, err)
		}
	}
	if err := json.Unmarshal([]byte("5"), new(Path)); err == nil {
		t.Error("5 is a path")
	}
}

func FuzzPath(f *testing.F) {
	f.Add("/latin-\xe9\\u")
	f.Fuzz(func(t *testing.T, s string) {
		text, err := json.Marshal(Path(s))
		var back Path
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || string(back) != s {
			t.Errorf("%q by way of %s is %q: %v", s, text, back, err)
		}
	})
}

func TestFailedDialIsReportedWithTheMachineThatTried(t *testing.T) {
	b := newBench(t, Heartbeat{})
	refusal := &transports.ConnectError{Class: transports.BecomeFailed, Text: "sudo password is incorrect"}
	fail := func(parent *actor.PID) *HopFailed {
		b.say(parent, &OpenHop{Hop: &Hop{Key: "k", Dialer: &treetest.Dialer{T: t, Label: "sudo:root", Err: refusal, Joined: &b.wg}}, Report: b.client})
		return expect[*HopFailed](b)
	}
	if got := fail(b.tree).Err.Error(); got != "sudo password is incorrect" {
		t.Errorf("at the controller: %q", got)
	}
	hop := b.open(b.tree, "ssh:web1", treetest.UntilGone)
	err := fail(hop.Interpreter).Err
	var ce *transports.ConnectError
	if !errors.As(err, &ce) || ce.Class != transports.BecomeFailed || ce.Text != "error occurred on host web1: sudo password is incorrect" {
		t.Errorf("behind web1: %v", err)
	}
}

// G5: a subtree is gone before its hop is, when a hop drains.
func TestG5_DrainEndsLeavesFirst(t *testing.T) {
	b := newBench(t, Heartbeat{})
	order := make(chan string, 2)
	bye := func(name string) func(*treetest.FarEnd) {
		return func(f *treetest.FarEnd) {
			treetest.UntilGone(f)
			order <- name
		}
	}
	login := b.open(b.tree, "ssh:web1", bye("login"))
	become := b.open(login.Interpreter, "sudo:root", bye("become"))
	b.sys.Send(b.client, &watch{login.Hop})
	b.sys.Send(b.client, &watch{become.Hop})
	b.sys.Send(b.tree, &Drain{Reason: "test"})
	for range 2 { // in any order: who is told first is not who has ended first
		expect[*actor.Terminated](b)
	}
	if got := <-order + " " + <-order; got != "become login" {
		t.Errorf("agents ended in order %s", got)
	}
}

// G7: an agent that stays silent is given up after Misses intervals.
func TestG7_SilentAgentIsGivenUp(t *testing.T) {
	b := newBench(t, Heartbeat{Interval: 20 * time.Millisecond, Misses: 3})
	hop := b.open(b.tree, "ssh:web1", treetest.Mute)
	b.say(hop.Interpreter, &Invoke{Key: 1, Call: wire.Call{Op: "exec"}})
	if d := expect[*Done](b); d.Result.Status != wire.StatusUnreachable || !strings.Contains(d.Result.Text, "no sign of life") {
		t.Errorf("%+v", d.Result)
	}
}

// A hop may have a heartbeat of its own, which those below it share; its agent is told to wait longer than that.
func TestHeartbeatOfAHop(t *testing.T) {
	b := newBench(t, Heartbeat{})
	quick := Heartbeat{Interval: 100 * time.Millisecond, Misses: 3}
	dialer := &treetest.Dialer{T: t, Label: "ssh:web1", Play: treetest.UntilGone, Joined: &b.wg}
	b.say(b.tree, &OpenHop{Hop: &Hop{Key: "login", Dialer: dialer, Heartbeat: quick}, Report: b.client})
	login := expect[*HopReady](b)
	become := b.open(login.Interpreter, "sudo:root", treetest.Mute)
	b.say(become.Interpreter, &Invoke{Key: 1, Call: wire.Call{Op: "exec"}})
	if d := expect[*Done](b); !strings.Contains(d.Result.Text, "no sign of life from the target for 300ms") {
		t.Errorf("%+v", d.Result)
	}
	if got := []time.Duration{<-b.silences, <-b.silences}; got[0] != 900*time.Millisecond || got[1] != got[0] {
		t.Errorf("agents wait %v, want three times as long as their hops", got)
	}
}
