package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"spindle/transports/become/becometest"
	"spindle/transports/wire"
)

// textRow is one line of tests/texts.txt.
type textRow struct{ section, by, text string }

func textRows(t *testing.T) (rows []textRow) {
	t.Helper()
	b, err := os.ReadFile("../../tests/texts.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSuffix(line, "\n"); line == "" || line[0] == '#' {
			continue
		}
		f := strings.SplitN(line, " | ", 3)
		if len(f) != 3 {
			t.Fatalf("no row: %q", line)
		}
		rows = append(rows, textRow{f[0], f[1], strings.ReplaceAll(f[2], `\n`, "\n")})
	}
	return rows
}

// textWords matches a text word for word, but where the row says that it varies; textPattern, that and nothing else.
func textWords(text string) string { return strings.ReplaceAll(regexp.QuoteMeta(text), "…", ".*") }

func textPattern(text string) *regexp.Regexp {
	return regexp.MustCompile(`(?s)^` + textWords(text) + `$`)
}

// muxUnderTest is the whole program, and a worker of it, as the plugins have them.
type muxUnderTest struct {
	t      *testing.T
	socket string
}

// startServe starts the multiplexer, behind other words if there are any.
func startServe(t *testing.T, before ...string) *muxUnderTest {
	t.Helper()
	dir, err := os.MkdirTemp("", "spindle-test-") // sockets have short names only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "lifeline"), os.NewFile(uintptr(pair[1]), "lifeline")
	m := &muxUnderTest{t: t, socket: filepath.Join(dir, "run", "sock")}
	argv := append(before, "spindle", "serve", "--socket", m.socket, "--lifeline", "3")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.ExtraFiles, cmd.Stderr = []*os.File{theirs}, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	t.Cleanup(func() {
		ours.Close()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(ours).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return m
}

type muxWorker struct {
	t    *testing.T
	conn net.Conn
	in   *wire.Reader
	last uint32
}

func (m *muxUnderTest) worker(t *testing.T) *muxWorker {
	t.Helper()
	conn, err := net.Dial("unix", m.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	w := &muxWorker{t: t, conn: conn, in: wire.NewReader(conn)}
	w.send(0, wire.Hello{Proto: wire.Proto, Role: "worker", PID: os.Getpid()}, nil)
	if f, err := w.in.Next(); err != nil || f.Header.Kind() != wire.KindReady {
		t.Fatalf("%+v, %v", f, err)
	}
	return w
}

func (w *muxWorker) send(id uint32, h wire.Header, body []byte) {
	w.t.Helper()
	b, err := wire.Append(nil, wire.Frame{ID: id, Header: h, Body: body})
	if err == nil {
		_, err = w.conn.Write(b)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *muxWorker) begin(op, context string, meta any) {
	w.t.Helper()
	b, err := json.Marshal(meta)
	if err != nil {
		w.t.Fatal(err)
	}
	w.last++
	w.send(w.last, wire.Call{Op: op, Context: context, MetaLen: len(b)}, b)
}

func (w *muxWorker) end() (wire.Result, []byte) {
	w.t.Helper()
	for {
		f, err := w.in.Next()
		if err != nil {
			w.t.Fatal(err)
		}
		if r, ok := f.Header.(wire.Result); ok && f.ID == w.last {
			return r, f.Body
		}
	}
}

func (w *muxWorker) call(op, context string, meta any) (wire.Result, []byte) {
	w.t.Helper()
	w.begin(op, context, meta)
	return w.end()
}

// connect is what a worker hears when it asks for these hops: the error, or nothing.
func (w *muxWorker) connect(hops ...any) (context, text string) {
	w.t.Helper()
	r, body := w.call("connect", "", map[string]any{"hops": hops})
	if r.Status != wire.StatusOK {
		return "", r.Text
	}
	var got struct{ Context string }
	if err := json.Unmarshal(body, &got); err != nil || got.Context == "" {
		w.t.Fatalf("%s, %v", body, err)
	}
	return got.Context, ""
}

type settingsOf map[string]any

// hopBy describes a hop. What the test does not say is as in an ordinary play.
func hopBy(method string, kwargs settingsOf) map[string]any {
	k := settingsOf{"connect_timeout": 60}
	switch method {
	case "ssh":
		k["hostname"] = "web1"
	case "sudo", "su", "doas":
		k["username"] = "root"
	}
	maps.Copy(k, kwargs)
	return map[string]any{"method": method, "kwargs": k, "python": []string{"/usr/bin/python3"}}
}

// The stubs: each says what the test wants, on the terminal if it has one, and then does what the real program does.
const (
	talk   = "#!/bin/sh\nask() { printf '%s' \"$1\" >&2; read -r answer 2>/dev/null </dev/tty || sleep 60; }\nsay() { printf '%s\\n' \"$*\" >&2; }\n"
	asSSH  = "while [ \"$1\" != web1 ]; do shift; done; shift; "
	runSSH = "\neval \"$*\"\n"
	asSudo = "while [ \"$1\" != -- ]; do shift; done; shift; "
	runIt  = "\nexec \"$@\"\n"
	asSu   = "shift 2; "
	runSu  = "\nexec /bin/sh -c \"$1\"\n"
)

// said makes a hop of a stub that says something.
func said(t *testing.T, method, words string, kwargs settingsOf) map[string]any {
	t.Helper()
	script := map[string]string{
		"ssh": talk + asSSH + words + runSSH, "sudo": talk + asSudo + words + runIt, "doas": talk + asSudo + words + runIt, "su": talk + asSu + words + runSu,
	}[method]
	if script == "" {
		script = talk + words + runIt
	}
	key := map[string]string{"lxc": "lxc_attach_path", "lxd": "lxc_path"}[method]
	if key == "" {
		key = method + "_path"
	}
	if kwargs["path"] != nil {
		key = kwargs["path"].(string)
	}
	k := settingsOf{key: becometest.Executable(t, script)}
	for name, value := range kwargs {
		if name != "path" {
			k[name] = value
		}
	}
	return hopBy(method, k)
}

// What every prompt and failure of the contract's §1.9 and §1.10 comes to, for a worker of the real multiplexer. The rows are in tests/texts.txt;
// what lies behind each is tested where it is, word by word and with the real programs.
func TestTexts(t *testing.T) {
	m := startServe(t)
	type settings = settingsOf
	sesame := settings{"password": "sesame"}
	container := settings{"container": "c1"}
	setns := func(kind, path string) settings { return settings{"container": "c1", "kind": kind, "path": path} }
	const (
		sshWrong, sshNeeded = "SSH password is incorrect", "SSH password was requested, but none specified"
		sshRefused          = "SSH authentication is incorrect"
		hostKey             = "Host key checking is enabled, and SSH reported an unrecognized or mismatching host key."
		sure                = "Are you sure you want to continue connecting (yes/no)? "
	)
	eof := func(lines string) string { return "EOF on stream; last 100 lines received:\n" + lines }

	// A row of §1.9 is what the program says, and want what comes of it: nothing, if it comes up. A row of §1.10 is what is wanted.
	cases := []struct {
		row, method, words string
		kwargs             settings
		want               string
	}{
		{"password", "ssh", `ask "me@web1's password: "`, sesame, ""},
		{"password", "ssh", `ask "PASSWORD:"`, sesame, ""},
		{"password", "ssh", `ask "me@web1's password: "`, nil, sshNeeded},
		{"password", "ssh", `ask "me@web1's password: "; ask "me@web1's password: "`, sesame, sshWrong},
		{"are you sure you want to continue connecting (yes/no)?", "ssh", `ask "` + sure + `"`, sesame, hostKey},
		{"are you sure you want to continue connecting (yes/no/[fingerprint])?", "ssh", `ask "` + strings.Replace(sure, "no)", "no/[fingerprint])", 1) + `"`, sesame, hostKey},
		{"host key verification failed.", "ssh", `say "Host key verification failed."; exit 255`, nil, hostKey},
		{"Permission denied", "ssh", `say "Permission denied (publickey)."; exit 255`, nil, sshRefused},
		{"Permission denied", "ssh", `say "Permission denied (publickey,password)."; exit 255`, nil, sshNeeded},
		{"…@…: Permission denied", "ssh", `say "me@web1: Permission denied (publickey)."; exit 255`, nil, sshRefused},
		{"cd: permission denied", "ssh", `say "sh: 1: cd: Permission denied"`, nil, ""},
		{"Permission denied, please try again.", "ssh", `ask "me@web1's password: "; say "Permission denied, please try again."; sleep 60`, sesame, sshWrong},
		{"debug1:", "ssh", `say "debug1: Next authentication method: password"`, sesame, ""},
		{"debug2:", "ssh", `say "debug2: Permission denied"`, sesame, ""},
		{"debug3:", "ssh", `say "debug3: host key verification failed."`, sesame, ""},
		{"mitogen-sudo-prompt:", "sudo", `ask mitogen-sudo-prompt:; [ "$answer" = sesame ] || exit 1`, sesame, ""},
		{"mitogen-sudo-prompt:", "sudo", `ask mitogen-sudo-prompt:; ask mitogen-sudo-prompt:`, sesame, "sudo password is incorrect"},
		{"[sudo: mitogen-sudo-prompt:] …", "sudo", `ask "[sudo: mitogen-sudo-prompt:] Mot de passe : "; [ "$answer" = sesame ] || exit 1`, sesame, ""},
		{"[sudo: mitogen-sudo-prompt:] …", "sudo", `ask "[sudo: mitogen-sudo-prompt:] heslo"`, nil, "sudo password is required"},
		{"password:", "su", `ask "Password: "; [ "$answer" = sesame ] || exit 1`, sesame, ""},
		{"su: sorry", "su", `ask "Password:"; say "su: Sorry"; sleep 60`, sesame, "su password is incorrect"},
		{"su: authentication failure", "su", `ask "Password:"; say "su: Authentication failure"; sleep 60`, sesame, "su password is incorrect"},
		{"su: incorrect password", "su", `ask "Password:"; say "su: incorrect password"; sleep 60`, sesame, "su password is incorrect"},
		{"authentication is denied", "su", `ask "Password:"; say "Authentication is denied."; sleep 60`, sesame, "su password is incorrect"},
		{"Password:", "doas", `ask "Password:"; [ "$answer" = sesame ] || exit 1`, sesame, ""},
		{"doas: authentication failed", "doas", `ask "Password:"; say "doas: authentication failed"; sleep 60`, sesame, "doas password is incorrect"},
		{"doas: Authorization failed", "doas", `ask "Password:"; say "doas: Authorization failed"; sleep 60`, sesame, "doas password is incorrect"},
		{row: sshWrong, method: "ssh", words: `ask "Password: "; say "Permission denied, please try again."; sleep 60`, kwargs: sesame},
		{row: sshNeeded, method: "ssh", words: `say "me@web1: Permission denied (publickey,password)."; exit 255`},
		{row: sshRefused, method: "ssh", words: `say "me@web1: Permission denied (publickey)."; exit 255`, kwargs: sesame},
		{row: hostKey, method: "ssh", words: `say "Host key verification failed."; exit 255`},
		{row: "SSH requested permission to accept unknown host key, but check_host_keys=ignore. …", method: "ssh", words: `ask "` + sure + `"`, kwargs: settings{"check_host_keys": "ignore"}},
		{row: "sudo password is required", method: "sudo", words: `ask mitogen-sudo-prompt:`},
		{row: "sudo password is incorrect", method: "sudo", words: `ask mitogen-sudo-prompt:; say "Sorry, try again."; sleep 60`, kwargs: sesame},
		{row: "su password is required", method: "su", words: `ask "Password:"`},
		{row: "su password is incorrect", method: "su", words: `ask "Password:"; say "su: Authentication failure"; exit 1`, kwargs: sesame},
		{row: "doas password is required", method: "doas", words: `ask "doas (me@web1) password: "`},
		{row: "doas password is incorrect", method: "doas", words: `ask "Password:"; say "doas: Authorization failed"; exit 1`, kwargs: sesame},
		{row: "Connection timed out.", method: "ssh", words: "exec sleep 60", kwargs: settings{"connect_timeout": 1}},
		{row: "Connection timed out.", method: "lxc", words: "exec sleep 60", kwargs: settings{"container": "c1", "connect_timeout": 1}},
		{row: "EOF on stream; last 100 lines received:\n…", method: "docker", words: `say "Error: No such container: c1"; exit 1`, kwargs: container, want: eof("Error: No such container: c1")},
		{row: "EOF on stream; last 100 lines received:\n…", method: "lxc", words: `say "no"; exit 1`, kwargs: container, want: eof("no\n\nNote: lxc-attach seldom tells why …")},
		{row: "EOF on stream; last 100 lines received:\n…", method: "lxd", words: `say "no"; exit 1`, kwargs: container, want: eof("no\n\nNote: lxc seldom tells why …")},
		{row: "EOF on stream; last 100 lines received:\n…", method: "incus", words: `say "no"; exit 1`, kwargs: container, want: eof("no\n\nNote: incus seldom tells why …")},
		{row: "Child start failed: …. Command was: …", method: "podman", kwargs: settings{"container": "c1", "podman_path": "/nonexistent/podman"}, want: "Child start failed: [Errno 2] No such file or directory: '/nonexistent/podman'. Command was: /nonexistent/podman exec …"},
		{row: "…unsupported container kind: '…'…", method: "setns", kwargs: settings{"container": "c1", "kind": "jar"}, want: "setns: kind: unsupported container kind: 'jar' (there are docker, incus, lxc, lxd, machinectl, podman)"},
		{row: "could not execute …: …", method: "setns", kwargs: settings{"container": "c1", "kind": "docker", "docker_path": "/nonexistent/d"}, want: "could not execute /nonexistent/d inspect '--format={{.State.Pid}}' c1: [Errno 2] No such file or directory: '/nonexistent/d'"},
		{row: "… exitted with status …: …", method: "setns", words: `say "no such object"; exit 3`, kwargs: setns("docker", "docker_path"), want: "… inspect '--format={{.State.Pid}}' c1 exitted with status 3: no such object"},
		{row: "could not find PID from docker output.…", method: "setns", words: "exit 0", kwargs: setns("docker", "docker_path"), want: "could not find PID from docker output."},
		{row: "could not find PID from docker output.…", method: "setns", words: "echo 0; exit", kwargs: setns("docker", "docker_path"), want: "could not find PID from docker output. The container is not running."},
		{row: "could not find PID from lxc-info output.", method: "setns", words: "exit 0", kwargs: setns("lxc", "lxc_info_path")},
		{row: "could not find PID from lxc output.", method: "setns", words: "exit 0", kwargs: setns("lxd", "lxc_path")},
		{row: "could not find PID from machinectl output.", method: "setns", words: "exit 0", kwargs: setns("machinectl", "machinectl_path")},
		{row: "sudo: no such option: --derps", method: "sudo", kwargs: settings{"sudo_args": []string{"--derps"}}},
		{row: "unsupported sudo arguments:[…]", method: "sudo", kwargs: settings{"sudo_args": []string{"stray"}}, want: "unsupported sudo arguments:['stray']"},
	}
	heard := map[string]bool{}
	for _, tt := range cases {
		heard[tt.row] = true
	}
	t.Run("said", func(t *testing.T) {
		for i, tt := range cases {
			t.Run(fmt.Sprintf("%02d %s", i, tt.method), func(t *testing.T) {
				t.Parallel()
				hop := hopBy(tt.method, tt.kwargs)
				if tt.words != "" {
					hop = said(t, tt.method, tt.words, tt.kwargs)
				}
				_, got := m.worker(t).connect(hop)
				if section19(t, tt.row) {
					if !regexp.MustCompile(`(?i)` + textWords(tt.row)).MatchString(tt.words) {
						t.Errorf("this is not about %q: %s", tt.row, tt.words)
					}
				} else {
					if tt.want == "" {
						tt.want = tt.row
					}
					if !textPattern(tt.row).MatchString(got) {
						t.Errorf("%q, want %q", got, tt.row)
					}
				}
				if !textPattern(tt.want).MatchString(got) {
					t.Errorf("%q, want %q", got, tt.want)
				}
			})
		}
	})

	for row, hear := range map[string]func(t *testing.T) string{
		"error occurred on host …: …": func(t *testing.T) string {
			_, got := m.worker(t).connect(hopBy("local", nil), said(t, "sudo", "ask mitogen-sudo-prompt:", nil))
			host, _ := os.Hostname()
			if want := "error occurred on host " + host + ": sudo password is required"; got != want {
				t.Errorf("%q, want %q", got, want)
			}
			return got
		},
		"Channel was disconnected while connection attempt was in progress; this may be caused by an abnormal Ansible exit, or due to an unreliable target.": func(t *testing.T) string {
			w, login := m.worker(t), hopBy("local", settings{"title": "interrupted"})
			login["title"] = "interrupted" // a host of its own
			context, text := w.connect(login)
			if text != "" {
				t.Fatal(text)
			}
			begun := filepath.Join(t.TempDir(), "begun")
			w.begin("connect", "", map[string]any{"hops": []any{login, said(t, "sudo", ": >"+begun+"; exec sleep 60", nil)}})
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
				if _, err := os.Stat(begun); err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("it was never begun")
				}
			}
			killAgent(m.worker(t), login)
			_ = context
			r, _ := w.end()
			return strings.TrimPrefix(r.Text, "error occurred on host "+hostname(t)+": ")
		},
		"Mitogen was disconnected from the remote environment while a call was in-progress. If you feel this is in error, please file a bug. Original error was: …": func(t *testing.T) string {
			login := hopBy("local", nil)
			login["title"] = "disconnected"
			return killAgent(m.worker(t), login)
		},
		"'…' is not a regular file.": func(t *testing.T) string {
			w := m.worker(t)
			context, text := w.connect(hopBy("local", nil))
			if text != "" {
				t.Fatal(text)
			}
			r, _ := w.call("put", context, map[string]any{"src": "/dev/null", "dest": filepath.Join(t.TempDir(), "to"), "mode": 0o600})
			return r.Text
		},
		"Failed to create a PTY: …. It is likely the maximum number of PTYs has been reached.…": func(t *testing.T) string {
			becometest.Need(t, "unshare", "mount")
			poor := startServe(t, "unshare", "-m", "sh", "-c", `mount --bind /dev/null /dev/ptmx && exec "$@"`, "sh")
			// On a host on the way it is the agent that opens one.
			_, far := poor.worker(t).connect(hopBy("local", nil), said(t, "sudo", "", nil))
			far, ok := strings.CutPrefix(far, "error occurred on host "+hostname(t)+": ")
			if want := "Failed to create a PTY: …. It is likely the maximum number of PTYs has been reached.…"; !ok || !textPattern(want).MatchString(far) {
				t.Errorf("from an agent: %q, want %q", far, want)
			}
			_, here := poor.worker(t).connect(said(t, "sudo", "", nil))
			return here
		},
	} {
		heard[row] = true
		t.Run(row[:min(len(row), 40)], func(t *testing.T) {
			if got := hear(t); !textPattern(row).MatchString(got) {
				t.Errorf("%q, want %q", got, row)
			}
		})
	}

	about, err := os.ReadFile("../../docs/differences.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range textRows(t) {
		by := strings.Fields(row.by)
		switch ours := slices.Contains(by, "go"); {
		case ours && !heard[row.text]:
			t.Errorf("nobody tests %q", row.text)
		case row.by == "none" && !strings.Contains(string(about), row.text):
			t.Errorf("docs/differences.md does not say why there is no %q", row.text)
		case ours:
			delete(heard, row.text)
		}
	}
	for row := range heard {
		t.Errorf("tests/texts.txt has no %q for this test", row)
	}
}

func section19(t *testing.T, text string) bool {
	t.Helper()
	return slices.ContainsFunc(textRows(t), func(r textRow) bool { return r.section == "1.9" && r.text == text })
}

func hostname(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// killAgent kills the agent at the end of these hops from within a call, and returns what the call's worker hears.
func killAgent(w *muxWorker, hops ...any) string {
	w.t.Helper()
	context, text := w.connect(hops...)
	if text != "" {
		w.t.Fatal(text)
	}
	r, _ := w.call("exec", context, map[string]any{"argv": []string{"/bin/sh", "-c", `kill -9 $(sed -n 's/^PPid:\t//p' /proc/$PPID/status); exec sleep 60`}})
	return r.Text
}
