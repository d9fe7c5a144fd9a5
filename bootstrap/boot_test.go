package bootstrap

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"spindle/transports/wire"
)

// run runs a command with an input that ends, and returns what it prints.
func run(t *testing.T, argv []string, input []byte) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = bytes.NewReader(input)
	cmd.Stderr = testWriter{t}
	out, _ := cmd.Output()
	return string(out)
}

// sameProgram says whether a name in PATH leads to a program.
func sameProgram(name, program string) bool {
	path, _ := exec.LookPath(name)
	one, _ := filepath.EvalSymlinks(path)
	other, err := filepath.EvalSymlinks(program)
	return err == nil && one == other
}

// machine is what all have in common whose processes see each other, as this test does those of its agents; nothing in a root without /proc.
func machine(t *testing.T, root string) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(root, "/proc/self")); err != nil {
		return ""
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	space, err := os.Stat("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %d", bytes.TrimSpace(boot), space.Sys().(*syscall.Stat_t).Ino)
}

func TestHello(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		home := r.facts["home"].(string)
		want := map[string]any{
			"user": "root", "uid": 0.0, "gid": 0.0, "home": home, "cwd": r.facts["cwd"], "shell": r.facts["shell"],
			"python": tg.python, "hostname": r.facts["hostname"], "tmp": r.dir + "/base/tmp", "tmp_tried": []any{r.dir + "/base/tmp"},
			"agent": AgentDigest().String(), "env_home": os.Getenv("HOME"), "encoding": r.facts["encoding"], "pythons": r.facts["pythons"],
			"machine": machine(t, tg.root), "utf8_mode": r.facts["utf8_mode"], "coerces": r.facts["coerces"],
		}
		if diff := cmp.Diff(want, r.facts); diff != "" {
			t.Errorf("facts (-want +got):\n%s", diff)
		}
		if host, _ := os.Hostname(); r.facts["hostname"] != host || home != "/root" || !strings.HasPrefix(r.facts["shell"].(string), "/") {
			t.Errorf("facts: %v", r.facts)
		}
		pythons := r.facts["pythons"].([]any)
		if pythons[0] != tg.python || tg.root == "" && slices.Contains(pythons, any("/usr/bin/env python3")) != sameProgram("python3", tg.python) {
			t.Errorf("pythons: %v", pythons)
		}
		if len(r.processes()) != 2 {
			t.Errorf("want a warden and an agent, got %q", r.processes())
		}
		// The title is the last word that ps shows, and neither keeps the directory that it was started in.
		for _, pid := range []int{r.pid, r.cmd.Process.Pid} {
			line, _ := os.ReadFile("/proc/" + itoa(pid) + "/cmdline")
			words := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
			if last := words[len(words)-1]; last != "mitogen:test@"+r.nonce+":1" {
				t.Errorf("title is %q", last)
			}
			if cwd, _ := os.Readlink("/proc/" + itoa(pid) + "/cwd"); cwd != filepath.Join("/", tg.root) {
				t.Errorf("process %d is in %s", pid, cwd)
			}
		}
	})
}

func TestTemporaryDirectorySearch(t *testing.T) {
	tg := targets()[0]
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", dir)
	t.Setenv("SOMEWHERE", "some/where")
	full := filepath.Join(dir, "x")
	for _, tc := range []struct {
		name       string
		candidates []string
		env        map[string]string
		want       string
		tried      []any
	}{
		{"home", []string{"~/.ansible/tmp", "/tmp"}, nil, dir + "/.ansible/tmp", []any{dir + "/.ansible/tmp"}},
		{"variable", []string{"~/$SOMEWHERE/${SOMEWHERE}"}, nil, dir + "/some/where/some/where", []any{dir + "/some/where/some/where"}},
		{"unusable ones", []string{file, file + "/below", "/proc/self/x", "/sys/x", full}, nil, full, []any{file, file + "/below", "/proc/self/x", "/sys/x", full}},
		{"TMPDIR", []string{file}, map[string]string{"TMPDIR": file, "TEMP": full}, full, []any{file, full}},
		{"system", []string{file}, nil, "/tmp", []any{file, "/tmp"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.env == nil {
				t.Setenv("TMPDIR", "")
			}
			r := boot(t, tg, func(o *Options) {
				o.TmpCandidates = tc.candidates
				for k, v := range tc.env {
					o.Env[k] = v
				}
			})
			if r.facts["tmp"] != tc.want {
				t.Errorf("tmp is %v, want %s", r.facts["tmp"], tc.want)
			}
			if diff := cmp.Diff(any(tc.tried), r.facts["tmp_tried"]); diff != "" {
				t.Errorf("tried (-want +got):\n%s", diff)
			}
			if st, err := os.Stat(tc.want); err != nil || tc.want != "/tmp" && st.Mode().Perm() != 0o700 {
				t.Errorf("%v, %v", st.Mode(), err)
			}
			r.end()
			left, _ := filepath.Glob(dir + "/*")
			hidden, _ := filepath.Glob(dir + "/.*")
			if len(left)+len(hidden) != 1 {
				t.Errorf("left: %q %q", left, hidden)
			}
		})
	}
}

// Files that happen to lie around on a target are not taken for Python's or Ansible's.
func TestStrayModules(t *testing.T) {
	t.Run("in the home directory", func(t *testing.T) {
		modules := controllers[0].modules(t)
		dir := t.TempDir()
		for _, name := range []string{"os", "select", "zlib", "struct", "fcntl", "json", "_json", "pwd", "ansible", "runpy"} {
			if err := os.WriteFile(filepath.Join(dir, name+".py"), []byte("raise SystemExit('stray')"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		t.Chdir(dir)
		r := boot(t, targets()[0])
		if r.facts["cwd"] != dir {
			t.Fatalf("cwd is %v", r.facts["cwd"])
		}
		if res, _ := r.module(modules["ping"], false, nil); res.RC != 0 {
			t.Errorf("%+v", res)
		}
	})
	t.Run("in PYTHONPATH", func(t *testing.T) {
		each(t, func(t *testing.T, tg target) {
			modules := controllers[0].modules(t)
			n := nonce()
			stray := filepath.Join("/", tg.root, "tmp", n, "ansible")
			if err := os.MkdirAll(filepath.Join(stray, "module_utils"), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(filepath.Dir(stray)) })
			for _, name := range []string{"__init__", "module_utils/__init__", "module_utils/basic"} {
				if err := os.WriteFile(filepath.Join(stray, name+".py"), []byte("raise SystemExit('stray')"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			tg.wrap = append([]string{"env", "PYTHONPATH=/tmp/" + n}, tg.wrap...)
			r := boot(t, tg)
			for _, zip := range []bool{false, true} {
				if res, _ := r.module(modules["ping"], zip, nil); res.RC != 0 {
					t.Errorf("%+v", res)
				}
			}
		})
	})
}

func TestFirstStage(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		o := Options{Candidates: []string{tg.python}, Nonce: nonce(), Title: "t"}
		argv := Argv(o)
		if tg.root != "" {
			argv = append([]string{"chroot", tg.root}, argv...)
		}
		// Nobody there: it ends by itself, without burning time.
		for _, input := range [][]byte{nil, Packed()[:1000]} {
			cmd := exec.Command(argv[0], argv[1:]...)
			cmd.Stdin = bytes.NewReader(input)
			out, _ := cmd.Output()
			if string(out) != "SPINDLE1 "+o.Nonce+"\n" || cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("got %q, %v", out, cmd.ProcessState)
			}
		}
		// Bytes that drip into a stdin that does not block.
		fds := make([]int, 2)
		if err := syscall.Pipe2(fds, syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
			t.Fatal(err)
		}
		in, out := os.NewFile(uintptr(fds[0]), "in"), os.NewFile(uintptr(fds[1]), "out")
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin = in
		var got bytes.Buffer
		cmd.Stdout = &got
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		in.Close()
		flight := Flight(o)
		for i := range 50 {
			out.Write(flight[i*100 : (i+1)*100])
			time.Sleep(time.Millisecond) // so that it comes in pieces
		}
		out.Write(flight[5000:])
		out.Close()
		cmd.Wait()
		rest, ok := strings.CutPrefix(got.String(), "SPINDLE1 "+o.Nonce+"\n")
		f, err := wire.NewReader(strings.NewReader(rest)).Next()
		if h, is := f.Header.(wire.Hello); !ok || err != nil || !is || h.Role != "agent" {
			t.Errorf("got %q, %v", got.String(), err)
		}
	})
}
