package tree

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"

	"spindle/transports"
	"spindle/transports/local"
	"spindle/transports/wire"
)

// account is a method that leads to this machine's own account, on the kind of streams that it says.
type account struct {
	name string
	mode transports.Mode
}

func (a account) Name() string         { return a.name }
func (account) Timeout() time.Duration { return 10 * time.Second }

func (a account) Dial(ctx context.Context, via transports.Spawner, p transports.Program) (*transports.Booted, error) {
	plan, _ := a.Plan(ctx, via, p.Argv)
	return plan.Dial(ctx, via, p)
}

func (a account) Plan(_ context.Context, _ transports.Spawner, program []string) (transports.Plan, error) {
	return transports.Plan{Command: transports.Command{Argv: program, Mode: a.mode}, How: "test", Why: "why"}, nil
}

// openBare opens a bare hop.
func (b *bench) openBare(parent *actor.PID, d transports.Dialer) *HopReady {
	b.t.Helper()
	b.say(parent, &OpenHop{Hop: &Hop{Key: d.Name(), Dialer: d}, Report: b.client, Bare: true})
	return expect[*HopReady](b)
}

// eachKind runs a test for each kind of streams, below the controller and below an agent.
func eachKind(t *testing.T, test func(t *testing.T, b *bench, sh *actor.PID, mode transports.Mode)) {
	for _, mode := range []transports.Mode{transports.Pipes, transports.ControlTTY, transports.FullTTY} {
		for _, below := range []string{"controller", "agent"} {
			t.Run(mode.String()+" below "+below, func(t *testing.T) {
				b := newBench(t, Heartbeat{})
				parent := realTree(t, b, &local.Spawner{})
				if below == "agent" {
					b.say(parent, &OpenHop{Hop: &Hop{Key: "login", Dialer: localDialer(t, `{}`)}, Report: b.client})
					parent = expect[*HopReady](b).Interpreter
				}
				test(t, b, b.openBare(parent, account{"acct", mode}).Interpreter, mode)
			})
		}
	}
}

func invoke(op string, meta map[string]any, input string) *Invoke {
	m, _ := json.Marshal(meta)
	return &Invoke{Key: 1, Call: wire.Call{Op: op, MetaLen: len(m)}, Body: append(m, input...)}
}

func TestBareHopIsSeenForWhatItIs(t *testing.T) {
	b := newBench(t, Heartbeat{})
	root := realTree(t, b, &local.Spawner{})
	ready := b.openBare(root, account{"acct", transports.Pipes})
	host, _ := os.Hostname()
	if want := `{"bare":true,"hostname":"` + host + `"}`; string(ready.Facts) != want || ready.How != "test" || ready.Why != "why" || ready.Key != "acct" {
		t.Errorf("%+v %s", ready, ready.Facts)
	}
	b.say(ready.Interpreter, invoke("exec", map[string]any{"command": ":"}, ""))
	expect[*Done](b)
	states := map[string]string{}
	for _, n := range b.sys.Census().Snapshot() {
		if (n.Kind == "hop" || n.Kind == "shell") && strings.Contains(n.Path, "acct") {
			states[n.Kind] = n.State
		}
	}
	if diff := cmp.Diff(map[string]string{"hop": "bare", "shell": "bare"}, states); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBareHopRunsCommands(t *testing.T) {
	dir := t.TempDir()
	eachKind(t, func(t *testing.T, b *bench, sh *actor.PID, mode transports.Mode) {
		for _, tt := range []struct {
			name          string
			meta          map[string]any
			input         string
			rc            int
			out, err, tty string // tty: where errors join the output
		}{
			{name: "command", meta: map[string]any{"command": "echo out; echo err >&2; exit 7"}, rc: 7, out: "out\n", err: "err\n", tty: "out\nerr\n"},
			{name: "argv", meta: map[string]any{"argv": []string{"printf", "%s,", "it's", "", "$x"}}, out: "it's,,$x,", tty: "it's,,$x,"},
			{name: "input", meta: map[string]any{"command": "cat"}, input: "a\x00\nb", out: "a\x00\nb", tty: "a\x00\nb"},
			{name: "no input", meta: map[string]any{"command": "wc -c"}, out: "0\n", tty: "0\n"},
			{
				name: "surroundings", out: "v w\nunset\n" + dir + "\n0027\n", tty: "v w\nunset\n" + dir + "\n0027\n",
				meta: map[string]any{"command": "echo $V; echo ${HOME-unset}; pwd; umask", "env": map[string]any{"V": "v w", "HOME": nil}, "cwd": dir, "umask": 0o27},
			},
			{name: "like a terminal", meta: map[string]any{"command": "echo out; echo err >&2; echo out", "tty": true}, out: "out\r\nerr\r\nout\r\n", tty: "out\r\nerr\r\nout\r\n"},
		} {
			b.say(sh, invoke("exec", tt.meta, tt.input))
			d := expect[*Done](b)
			out, errs := string(d.Body[:d.Result.OutLen]), string(d.Body[d.Result.OutLen:])
			want := []string{tt.out, tt.err}
			if mode == transports.FullTTY {
				want = []string{tt.tty, ""}
			}
			if d.Result.Status != wire.StatusOK || d.Result.RC != tt.rc || out != want[0] || errs != want[1] {
				t.Errorf("%s: %+v %q %q", tt.name, d.Result, out, errs)
			}
		}
		for name, call := range map[string]*Invoke{
			"operation 'files' needs Python on the target":                       invoke("files", map[string]any{"ops": []any{}}, ""),
			"operation 'module' needs Python on the target":                      invoke("module", map[string]any{}, ""),
			"exec: file operations ahead of a command need Python on the target": invoke("exec", map[string]any{"command": "true", "pre": []any{map[string]any{}}}, ""),
			"exec: no command":                      invoke("exec", map[string]any{}, ""),
			`exec: "A;b" is no name for a variable`: invoke("exec", map[string]any{"command": "true", "env": map[string]any{"A;b": "c"}}, ""),
		} {
			b.say(sh, call)
			if d := expect[*Done](b); d.Result.Status != wire.StatusError || !strings.HasPrefix(d.Result.Text, name) {
				t.Errorf("%s: %+v", name, d.Result)
			}
		}
	})
}

// Output that is too much for an answer goes ahead of it, against credit; input comes as it is wanted.
func TestBareHopStreams(t *testing.T) {
	b := newBench(t, Heartbeat{})
	sh := b.openBare(realTree(t, b, &local.Spawner{}), account{"acct", transports.Pipes}).Interpreter
	call := invoke("exec", map[string]any{"command": "tee /dev/stderr"}, "")
	call.Call.Flags = wire.FlagMore
	b.say(sh, call)
	block := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	const blocks = 40
	sent, window := 0, wire.WindowInitial
	var got [3]bytes.Buffer
	var ahead, granted [3]int
	for {
		for sent < blocks && window >= len(block) {
			b.say(sh, &Input{Key: 1, Data: block})
			sent, window = sent+1, window-len(block)
			if sent == blocks {
				b.say(sh, &Input{Key: 1, EOF: true})
			}
		}
		switch m := expect[any](b).(type) {
		case *InputCredit:
			window += m.Bytes
			continue
		case *Output:
			got[m.Channel].Write(m.Data)
			ahead[m.Channel] += len(m.Data)
			if ahead[m.Channel]-granted[m.Channel] > wire.WindowInitial {
				t.Fatal("more output than credit")
			}
			b.say(sh, &OutputCredit{Key: 1, Channel: m.Channel, Bytes: len(m.Data)})
			granted[m.Channel] += len(m.Data)
			continue
		case *Done:
			if m.Result.Status != wire.StatusOK || len(m.Body) > wire.InlineMax {
				t.Fatalf("%+v, %d bytes", m.Result, len(m.Body))
			}
			got[1].Write(m.Body[:m.Result.OutLen])
			got[2].Write(m.Body[m.Result.OutLen:])
		default:
			t.Fatalf("%T", m)
		}
		break
	}
	want := bytes.Repeat(block, blocks)
	if !bytes.Equal(got[1].Bytes(), want) || !bytes.Equal(got[2].Bytes(), want) || ahead[1] == 0 {
		t.Errorf("got %d and %d bytes, want %d of each", got[1].Len(), got[2].Len(), len(want))
	}
}

// A command ends by its end, and not by that of whoever has its streams too; or from outside, and is answered at once.
func TestBareHopEndsCommands(t *testing.T) {
	eachKind(t, func(t *testing.T, b *bench, sh *actor.PID, mode transports.Mode) {
		daemon := "sleep 100 & echo $!"
		if mode == transports.FullTTY {
			daemon = "trap '' HUP; " + daemon
		}
		b.say(sh, invoke("exec", map[string]any{"command": daemon}, ""))
		d := expect[*Done](b)
		var pid int
		if _, err := fmt.Sscan(string(d.Body), &pid); err != nil || d.Result.Status != wire.StatusOK {
			t.Fatalf("%+v %q", d.Result, d.Body)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)

		b.say(sh, invoke("exec", map[string]any{"command": "kill -TERM $$"}, ""))
		if d := expect[*Done](b); d.Result.RC != -15 || d.Result.Status != wire.StatusOK {
			t.Errorf("%+v", d.Result)
		}

		witness := filepath.Join(t.TempDir(), "witness")
		for name, end := range map[string]func(*Invoke){
			"abort":   func(m *Invoke) { b.say(sh, m); waitFor(t, witness); b.say(sh, &Abort{Key: 1, Reason: "enough"}) },
			"timeout": func(m *Invoke) { m.Call.Timeout = time.Second; b.say(sh, m) },
		} {
			end(invoke("exec", map[string]any{"command": "echo before; echo $$ > " + witness + "; sleep 100"}, ""))
			d := expect[*Done](b)
			want := map[string]wire.Status{"abort": wire.StatusCancelled, "timeout": wire.StatusTimeout}[name]
			if d.Result.Status != want || name == "timeout" && string(d.Body) != "before\n" {
				t.Errorf("%s: %+v %q", name, d.Result, d.Body)
			}
			var pid int
			text, _ := os.ReadFile(witness)
			if _, err := fmt.Sscan(string(text), &pid); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%s: process %d lives", name, pid)
				}
			}
			_ = os.Remove(witness)
		}
	})
}

func waitFor(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(path); err == nil && len(text) > 0 {
			return
		}
	}
	t.Fatalf("%s did not come", path)
}

func TestBareHopCopiesFiles(t *testing.T) {
	eachKind(t, func(t *testing.T, b *bench, sh *actor.PID, mode transports.Mode) {
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		when := time.Date(2020, 2, 29, 1, 2, 3, 0, time.UTC)
		for i, size := range []int{0, 1, 100, 3 << 20} {
			content := make([]byte, size)
			for i := range content {
				content[i] = byte(i * 7)
			}
			src, there, back := at("src"), at(fmt.Sprint("it's $there", i)), at("back")
			if err := os.WriteFile(src, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(src, when.Add(time.Hour), when); err != nil {
				t.Fatal(err)
			}
			m := uint32(0o4751)
			b.say(sh, &Put{Key: 1, Src: src, Dest: there, Mode: &m, Times: true})
			if d := expect[*Done](b); d.Result.Status != wire.StatusOK || d.Result.RC != 0 {
				t.Fatalf("put of %d bytes: %+v", size, d.Result)
			}
			got, err := os.ReadFile(there)
			info, _ := os.Stat(there)
			if err != nil || !bytes.Equal(got, content) || permissions(info.Mode()) != m || !info.ModTime().Equal(when) {
				t.Errorf("put of %d bytes: %d bytes, mode %v, %v, %v", size, len(got), info.Mode(), info.ModTime(), err)
			}
			b.say(sh, &Get{Key: 2, Src: there, Dest: back})
			if d := expect[*Done](b); d.Result.Status != wire.StatusOK || d.Result.RC != 0 {
				t.Fatalf("get of %d bytes: %+v", size, d.Result)
			}
			got, err = os.ReadFile(back)
			info, _ = os.Stat(back)
			if err != nil || !bytes.Equal(got, content) || info.Mode().Perm() != 0o751 || !info.ModTime().Equal(when) {
				t.Errorf("get of %d bytes: %d bytes, mode %v, %v, %v", size, len(got), info.Mode(), info.ModTime(), err)
			}
		}

		// A link is followed, and no mode said is the source's.
		if err := os.WriteFile(at("old"), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("old", at("link")); err != nil {
			t.Fatal(err)
		}
		b.say(sh, &Put{Key: 1, Src: at("src"), Dest: at("link")})
		expect[*Done](b)
		if got, _ := os.ReadFile(at("old")); len(got) != 3<<20 {
			t.Errorf("what a link leads to has %d bytes", len(got))
		}

		// What is no file is not replaced by one.
		if err := os.Symlink("/dev/null", at("null")); err != nil {
			t.Fatal(err)
		}
		b.say(sh, &Get{Key: 2, Src: at("src"), Dest: at("null")})
		expect[*Done](b)
		if to, err := os.Readlink(at("null")); to != "/dev/null" {
			t.Errorf("what leads to a device is %q after a file was written there, %v", to, err)
		}

		for _, tt := range []struct {
			name  string
			m     any
			errno syscall.Errno
			text  string
		}{
			{"no source", &Put{Key: 1, Src: at("none"), Dest: at("x")}, syscall.ENOENT, "no such file"},
			{"no directory", &Put{Key: 1, Src: at("src"), Dest: at("none/x")}, syscall.ENOENT, "put " + at("none/x") + ": No such file or directory"},
			{"onto a directory", &Put{Key: 1, Src: at("src"), Dest: dir}, syscall.EISDIR, "put " + dir + ": Is a directory"},
			{"read only", &Put{Key: 1, Src: at("src"), Dest: "/proc/x"}, 0, "put /proc/x: "},
			{"get nothing", &Get{Key: 1, Src: at("none"), Dest: at("x")}, syscall.ENOENT, "get " + at("none") + ": No such file or directory"},
			{"get a directory", &Get{Key: 1, Src: dir, Dest: at("x")}, syscall.EISDIR, "get " + dir + ": Is a directory"},
			{"get to nowhere", &Get{Key: 1, Src: at("src"), Dest: at("none/x")}, syscall.ENOENT, "no such file or directory"},
		} {
			b.say(sh, tt.m)
			if d := expect[*Done](b); d.Result.Status != wire.StatusError || syscall.Errno(d.Result.Errno) != tt.errno || !strings.Contains(d.Result.Text, tt.text) {
				t.Errorf("%s: %+v", tt.name, d.Result)
			}
		}
		if left, _ := filepath.Glob(at(".ansible_mitogen*")); left != nil {
			t.Errorf("left behind: %v", left)
		}
	})
}

// A file that is sent to a link that breaks is the old one or the new one, and nothing is left beside it.
func TestBarePutThatIsCut(t *testing.T) {
	b := newBench(t, Heartbeat{})
	sh := b.openBare(realTree(t, b, &local.Spawner{}), account{"acct", transports.Pipes}).Interpreter
	dir := t.TempDir()
	src, dest := filepath.Join(t.TempDir(), "src"), filepath.Join(dir, "dest")
	if err := os.WriteFile(dest, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(src)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(20 << 30); err != nil { // takes long
		t.Fatal(err)
	}
	b.say(sh, &Put{Key: 1, Src: src, Dest: dest})
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if left, _ := filepath.Glob(filepath.Join(dir, ".*.tmp")); left != nil {
			break
		}
	}
	b.say(sh, &Abort{Key: 1, Reason: "enough"})
	if d := expect[*Done](b); d.Result.Status != wire.StatusCancelled {
		t.Errorf("%+v", d.Result)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		left, _ := os.ReadDir(dir)
		if len(left) == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("left behind: %v", left)
		}
	}
	if got, _ := os.ReadFile(dest); string(got) != "old" {
		t.Errorf("destination: %q", got)
	}
}

// Hops start from a bare one like from any other: bare, or with an agent.
func TestHopsBehindABareOne(t *testing.T) {
	b := newBench(t, Heartbeat{})
	outer := b.openBare(realTree(t, b, &local.Spawner{}), account{"outer", transports.Pipes})
	inner := b.openBare(outer.Interpreter, account{"inner", transports.ControlTTY}).Interpreter
	b.say(inner, invoke("exec", map[string]any{"command": "echo in"}, ""))
	if d := expect[*Done](b); string(d.Body) != "in\n" {
		t.Errorf("%+v %q", d.Result, d.Body)
	}
	b.say(outer.Interpreter, &OpenHop{Hop: &Hop{Key: "agent", Dialer: localDialer(t, `{}`)}, Report: b.client})
	agent := expect[*HopReady](b).Interpreter
	b.say(agent, invoke("exec", map[string]any{"argv": []string{"echo", "agent"}}, ""))
	if d := expect[*Done](b); string(d.Body) != "agent\n" {
		t.Errorf("%+v %q", d.Result, d.Body)
	}
	b.say(outer.Interpreter, &OpenHop{Hop: &Hop{Key: "no", Dialer: account{"failing", 7}}, Report: b.client, Bare: true})
	host, _ := os.Hostname()
	if err := expect[*HopFailed](b).Err; !strings.HasPrefix(err.Error(), "error occurred on host "+host+": ") {
		t.Errorf("%v", err)
	}
	b.sys.Send(b.client, &watch{outer.Hop})
	b.sys.Send(outer.Hop, &Drain{Reason: "test"})
	expect[*actor.Terminated](b)
}
