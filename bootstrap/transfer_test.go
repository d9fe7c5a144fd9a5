package bootstrap

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"spindle/transports/wire"
)

// withDigest puts the SHA-256 behind content.
func withDigest(content []byte) []byte {
	sum := sha256.Sum256(content)
	return append(append([]byte{}, content...), sum[:]...)
}

// pseudo returns n bytes that look like noise, the same every time.
func pseudo(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func more(c *wire.Call) { c.Flags |= wire.FlagMore }

// feed sends data as DATA on channel 0 of an id, as credit allows, and EOF. Frames of the id other than CREDIT stay.
func (r *remote) feed(id uint32, credit int, data func() []byte) {
	r.t.Helper()
	for chunk := data(); chunk != nil; chunk = data() {
		for len(chunk) > 0 {
			for credit == 0 {
				f := r.next(id)
				c, ok := f.Header.(wire.Credit)
				if !ok {
					r.unread(id, f)
					return // it has ended
				}
				credit += c.Bytes
			}
			n := min(len(chunk), credit, wire.ChunkMax)
			r.send(id, wire.Data{Channel: 0}, chunk[:n]...)
			credit -= n
			chunk = chunk[n:]
		}
	}
	r.send(id, wire.EOF{Channel: 0})
}

func (r *remote) put(dest string, m meta, content []byte) result {
	r.t.Helper()
	m["dest"] = dest
	if m["size"] == nil {
		m["size"] = len(content)
	}
	return r.call("put", m, withDigest(content))
}

func TestPut(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		read := func(name string) string {
			b, err := os.ReadFile(filepath.Join(r.local, name))
			if err != nil {
				return err.Error()
			}
			return string(b)
		}
		mode := func(name string) os.FileMode {
			st, err := os.Stat(filepath.Join(r.local, name))
			if err != nil {
				t.Fatal(err)
			}
			return st.Mode()
		}
		if res := r.put(r.dir+"/new", meta{"mode": 0o4750, "mtime": 1e9 + 0.5, "atime": 1e9}, []byte("new")); res != (result{}) || read("new") != "new" {
			t.Errorf("%+v, %q", res, read("new"))
		}
		if m := mode("new"); m != 0o750|os.ModeSetuid {
			t.Errorf("mode is %v", m)
		}
		if st, _ := os.Stat(filepath.Join(r.local, "new")); st.ModTime().UnixMilli() != 1e12+500 {
			t.Errorf("mtime is %v", st.ModTime())
		}
		if res := r.put(r.dir+"/new", meta{"sync": false}, []byte("newer")); res != (result{}) || read("new") != "newer" || mode("new") != 0o750|os.ModeSetuid {
			t.Errorf("%+v, %q, %v", res, read("new"), mode("new"))
		}
		if res := r.put(r.dir+"/empty", meta{"umask": 0o77}, nil); res != (result{}) || read("empty") != "" || mode("empty") != 0o600 {
			t.Errorf("%+v, %q, %v", res, read("empty"), mode("empty"))
		}
		// A link is followed, as sftp does.
		r.shell("cd " + r.dir + "; mkdir sub; echo old >sub/target; ln -s sub/target link")
		if res := r.put(r.dir+"/link", meta{}, []byte("through")); res != (result{}) || read("sub/target") != "through" {
			t.Errorf("%+v, %q", res, read("sub/target"))
		}
		if st, _ := os.Lstat(filepath.Join(r.local, "link")); st.Mode()&os.ModeSymlink == 0 {
			t.Errorf("the link is gone: %v", st.Mode())
		}
		interrupted := result{Result: wire.Result{Status: wire.StatusError, Text: "transfer of '" + r.dir + "/new' was interrupted."}}
		for name, input := range map[string][]byte{"short": []byte("12"), "no digest": []byte("1234"), "half a digest": withDigest([]byte("1234"))[:20], "wrong digest": append([]byte("1235"), withDigest([]byte("1234"))[4:]...)} {
			if res := r.call("put", meta{"dest": r.dir + "/new", "size": 4}, input); res != interrupted || read("new") != "newer" {
				t.Errorf("%s: %+v, %q", name, res, read("new"))
			}
		}
		for dest, want := range map[string]string{"/nonexistent/f": "No such file or directory", r.dir: "Is a directory", r.dir + "/new/f": "Not a directory"} {
			if res := r.put(dest, meta{}, []byte("x")); res.Status != wire.StatusError || res.Text != "put "+dest+": "+want {
				t.Errorf("%+v, want %s", res, want)
			}
		}
		// A full disk.
		if tg.root == "" {
			if res := r.put("/dev/full", meta{}, []byte("x")); res.Errno != 28 || res.Text != "put /dev/full: No space left on device" {
				t.Errorf("%+v", res)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(r.local, ".ansible*")); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	})
}

func TestGet(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		content := append(pseudo(1000), "\n"...)
		path := filepath.Join(r.local, "f")
		if err := os.WriteFile(path, content, 0o640); err != nil {
			t.Fatal(err)
		}
		get := func(path string) (map[string]any, []byte, result) {
			res := r.call("get", meta{"path": path}, nil)
			line, rest, _ := strings.Cut(res.Out, "\n")
			var head map[string]any
			json.Unmarshal([]byte(line), &head)
			return head, []byte(rest), res
		}
		head, rest, res := get(r.dir + "/f")
		if res.Status != wire.StatusOK || head["size"] != 1001.0 || head["mode"] != float64(0o640) || !bytes.Equal(rest, withDigest(content)) {
			t.Errorf("%+v", res)
		}
		if _, ok := head["mtime"].(float64); !ok {
			t.Errorf("head is %v", head)
		}
		if _, rest, res := get(r.dir + "/empty"); res.Text != "get "+r.dir+"/empty: No such file or directory" || res.Errno != 2 || len(rest) != 0 {
			t.Errorf("%+v", res)
		}
		r.shell("cd " + r.dir + "; : >empty; mkfifo fifo")
		if head, rest, res := get(r.dir + "/empty"); res.Status != wire.StatusOK || head["size"] != 0.0 || !bytes.Equal(rest, withDigest(nil)) {
			t.Errorf("%+v", res)
		}
		for name, errno := range map[string]int{"/fifo": 22, "": 21} {
			if _, _, res := get(r.dir + name); res.Status != wire.StatusError || res.Errno != errno || res.Text != "'"+r.dir+name+"' is not a regular file." {
				t.Errorf("%+v", res)
			}
		}
		if tg.root == "" { // what /proc has is longer than it says
			if head, rest, _ := get("/proc/self/status"); head["size"] == 0.0 || !bytes.Contains(rest, []byte("VmRSS")) {
				t.Errorf("head %v, %q", head, rest)
			}
			// And what /sys has is shorter.
			const address = "/sys/class/net/lo/address"
			want, err := os.ReadFile(address)
			if err != nil {
				t.Skip(err)
			}
			if head, rest, res := get(address); res.Status != wire.StatusOK || head["size"] != float64(len(want)) || !bytes.Equal(rest, withDigest(want)) {
				t.Errorf("head %v, %q, %+v", head, rest, res)
			}
		}
	})
}

// A name that is no UTF-8 is the same in both directions, and in the texts.
func TestPutAndGetOfNamesThatAreNoText(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		name := json.RawMessage(`"` + r.dir + `/\udce9 \ud83d\ude00"`)
		if res := r.call("put", meta{"dest": name, "size": 3}, withDigest([]byte("new"))); res != (result{}) {
			t.Errorf("%+v", res)
		}
		if got, err := os.ReadFile(filepath.Join(r.local, "\xe9 \U0001f600")); string(got) != "new" {
			t.Errorf("%q, %v", got, err)
		}
		if res := r.call("get", meta{"path": name}, nil); !strings.HasSuffix(res.Out, "\n"+string(withDigest([]byte("new")))) {
			t.Errorf("%+v", res)
		}
		if res := r.call("get", meta{"path": json.RawMessage(`"/none/\udce9"`)}, nil); res.Text != "get /none/\xe9: No such file or directory" {
			t.Errorf("%+v", res)
		}
	})
}

// peak returns the most memory that a process has had, in bytes.
func peak(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	var kb int
	for _, line := range strings.Split(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Sscan(rest, &kb)
		}
	}
	if kb == 0 {
		t.Fatalf("no VmHWM in %s", status)
	}
	return kb << 10
}

// children returns the processes that the agent has forked.
func (r *remote) children() []int {
	var pids []int
	tasks, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", r.pid, r.pid))
	for _, word := range strings.Fields(string(tasks)) {
		var pid int
		fmt.Sscan(word, &pid)
		pids = append(pids, pid)
	}
	return pids
}

// flat fails if the agent or a child needs more than a few megabytes above what the agent had.
func (r *remote) flat(before int) {
	r.t.Helper()
	for _, pid := range append(r.children(), r.pid) {
		if now := peak(r.t, pid); now > before+10<<20 {
			r.t.Errorf("process %d needs %d KiB, and the agent needed %d", pid, now>>10, before>>10)
		}
	}
}

// channelWindow is what OpenSSH's servers let a client send on a channel before they have passed any of it on.
const channelWindow = 2 << 20

// A sender far away must not wait for credit while its SSH channel would still take something: of a large file, the agent has always more open
// than that, however long what it has granted is on its way.
func TestALongLineIsKeptFull(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		const size = 12 << 20
		content := withDigest(pseudo(size))
		id := r.begin("put", meta{"dest": r.dir + "/far", "size": size, "mode": 0o644, "sync": false}, nil, more)
		open := wire.WindowInitial
		for len(content) > 0 {
			for n := min(open, len(content)); n > 0; {
				k := min(n, wire.ChunkMax)
				r.send(id, wire.Data{Channel: 0}, content[:k]...)
				content, open, n = content[k:], open-k, n-k
			}
			// All that was sent is there before anything else is sent: what is open then is what a line can be filled with.
			for len(content) > 0 && open <= channelWindow {
				c, ok := r.next(id).Header.(wire.Credit)
				if !ok {
					t.Fatalf("%d bytes were open, and then came %v", open, c)
				}
				open += c.Bytes
			}
			if open > wire.WindowBulk {
				t.Fatalf("%d bytes are open, want at most %d", open, wire.WindowBulk)
			}
		}
		r.send(id, wire.EOF{Channel: 0})
		if res := r.finish(id); res != (result{}) {
			t.Fatalf("%+v", res)
		}
	})
}

// Guarantee G4, on the agent's side: what is not paid for is not held.
func TestBulkPutAndGetAreFlat(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		size := 40 << 20
		if tg.name == "host" {
			size = 200 << 20
		}
		r := boot(t, tg)
		r.shell("true")
		before := peak(t, r.pid)
		block := pseudo(1 << 20)
		sum := sha256.New()
		id := r.begin("put", meta{"dest": r.dir + "/bulk", "size": size, "mode": 0o644, "sync": false}, nil, more)
		sent := 0
		r.feed(id, wire.WindowInitial, func() []byte {
			switch {
			case sent < size:
				sent += len(block)
				sum.Write(block)
				return block
			case sent == size:
				r.flat(before)
				sent++
				return sum.Sum(nil)
			}
			return nil
		})
		if res := r.finish(id); res != (result{}) {
			t.Fatalf("%+v", res)
		}
		r.flat(before)

		id = r.begin("get", meta{"path": r.dir + "/bulk"}, nil)
		got := sha256.New()
		var tail []byte
		received := 0
		for done := false; !done; {
			f := r.next(id)
			body := f.Body
			switch h := f.Header.(type) {
			case wire.Data:
				r.send(id, wire.Credit{Channel: h.Channel, Bytes: len(f.Body)})
			case wire.Result:
				if h.Status != wire.StatusOK {
					t.Fatalf("%+v", h)
				}
				done = true
			}
			if received == 0 {
				_, body, _ = bytes.Cut(body, []byte("\n"))
			}
			received += len(body)
			tail = append(tail, body...)
			if n := len(tail) - 32; n > 0 {
				got.Write(tail[:n])
				tail = append(tail[:0], tail[n:]...)
			}
			if received > size/2 && received < size/2+1<<18 {
				r.flat(before)
			}
		}
		if received != size+32 || !bytes.Equal(got.Sum(nil), sum.Sum(nil)) || !bytes.Equal(tail, sum.Sum(nil)) {
			t.Errorf("received %d bytes, digest %x, want %x", received, got.Sum(nil), sum.Sum(nil))
		}
		r.flat(before)
		os.Remove(filepath.Join(r.local, "bulk"))
	})
}

func TestPutThatFailsTakesTheRest(t *testing.T) {
	r := boot(t, targets()[0])
	id := r.begin("put", meta{"dest": "/nonexistent/f", "size": 10 << 20}, nil, more)
	left := 10 << 20
	r.feed(id, wire.WindowInitial, func() []byte {
		if left == 0 {
			return nil
		}
		left -= 1 << 18
		return make([]byte, 1<<18)
	})
	if res := r.finish(id); res.Text != "put /nonexistent/f: No such file or directory" {
		t.Errorf("%+v", res)
	}
	r.shell("true")
}

func TestCancelledPutLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		if err := os.WriteFile(filepath.Join(r.local, "dest"), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		id := r.begin("put", meta{"dest": r.dir + "/dest", "size": 1 << 20}, nil, more)
		r.send(id, wire.Data{Channel: 0}, make([]byte, 100)...)
		r.shell("until ls -A " + r.dir + " | grep -q ansible_mitogen_transfer; do sleep 0.01; done")
		r.send(id, wire.Cancel{Reason: "enough"})
		if res := r.finish(id); res.Status != wire.StatusCancelled {
			t.Errorf("%+v", res)
		}
		if got := r.shell("cd " + r.dir + "; ls -A; cat dest"); got != "base\ndest\nold" {
			t.Errorf("left: %q", got)
		}
	})
}

// A child that is killed in the middle of a transfer leaves nothing either, although its agent lives on.
func TestKilledPutLeavesNothing(t *testing.T) {
	r := boot(t, targets()[0])
	id := r.begin("put", meta{"dest": r.dir + "/dest", "size": 1 << 20}, nil, more)
	r.send(id, wire.Data{Channel: 0}, make([]byte, 100)...)
	r.shell("until ls -A " + r.dir + " | grep -q ansible_mitogen_transfer; do sleep 0.01; done")
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, r.local+"/.ansible_mitogen_transfer") {
			pid, _ := strconv.Atoi(strings.Split(fd, "/")[2])
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			killed++
		}
	}
	if killed != 1 {
		t.Fatalf("%d processes have the file open, want one", killed)
	}
	if res := r.finish(id); res.RC != -9 {
		t.Errorf("%+v", res)
	}
	if got := r.shell("ls -A " + r.dir); got != "base\n" {
		t.Errorf("left: %q", got)
	}
}
