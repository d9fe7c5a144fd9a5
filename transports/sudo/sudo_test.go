package sudo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spindle/transports"
	"spindle/transports/local"
	"spindle/transports/wire"
)

const nonce = "n4711"

// whoami is a far end that says HELLO with the account's name, 20 characters wide, and then sends back what it gets. Its
// script has what the bootstrap's has: variables, and several lines.
func whoami(t *testing.T) transports.Program {
	t.Helper()
	frame := func(f wire.Frame) []byte {
		b, err := wire.Append(nil, f)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	body := strings.Repeat(" ", 20)
	hello := frame(wire.Frame{Header: wire.Hello{Proto: wire.Proto, Role: "agent", Version: "3.11.2"}, Body: []byte(body)})
	var octal strings.Builder
	for _, c := range hello[:len(hello)-len(body)] {
		fmt.Fprintf(&octal, `\%03o`, c)
	}
	return transports.Program{
		Argv: []string{"/bin/sh", "-c", "who=`id -un`\necho \"a banner for $who\"; echo 'and a warning' >&2\n" +
			"printf 'SPINDLE1 " + nonce + "\\n" + octal.String() + "%-20s' \"$who\"; exec cat"},
		Flight: frame(wire.Frame{Header: wire.Ping{Stamp: 42}}),
		Nonce:  nonce,
	}
}

// become dials with these settings, and returns the account that was reached.
func become(t *testing.T, via transports.Spawner, kwargs map[string]any) (user string, err error) {
	t.Helper()
	if kwargs["connect_timeout"] == nil {
		kwargs["connect_timeout"] = 20
	}
	b, err := json.Marshal(kwargs)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Factory(b)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
	defer cancel()
	up, err := d.Dial(ctx, via, whoami(t))
	if err != nil {
		return "", err
	}
	defer func() {
		if err := up.Link.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	if f, err := up.Frames.Next(); err != nil || f.Header != (wire.Ping{Stamp: 42}) {
		t.Errorf("what came back of the flight: %+v, %v", f, err)
	}
	// Both ways, every byte, and more than pipes hold.
	big := make([]byte, 256<<10)
	for i := range big {
		big[i] = byte(i)
	}
	for range 8 {
		data, err := wire.Append(nil, wire.Frame{ID: 1, Header: wire.Data{Channel: 1}, Body: big[:wire.ChunkMax]})
		if err != nil {
			t.Fatal(err)
		}
		sent := make(chan error, 1)
		go func() { _, err := up.Link.Write(data); sent <- err }()
		f, err := up.Frames.Next()
		if werr := <-sent; err != nil || werr != nil || string(f.Body) != string(big[:wire.ChunkMax]) {
			t.Fatalf("data did not come back: %v, %v", err, werr)
		}
	}
	if err := up.Link.CloseWrite(); err != nil {
		t.Error(err)
	}
	if _, err := up.Frames.Next(); err != io.EOF {
		t.Errorf("end = %v", err)
	}
	if e, err := up.Link.Wait(ctx); err != nil || e.Code != 0 {
		t.Errorf("exit = %+v, %v", e, err)
	}
	return strings.TrimSpace(string(up.Hello.Body)), nil
}

// refusedWith checks the error, and that it did not take the timeout to find it.
func refusedWith(t *testing.T, err error, start time.Time, want string) {
	t.Helper()
	var ce *transports.ConnectError
	if !errors.As(err, &ce) {
		t.Fatalf("error = %v (%T), want a *ConnectError", err, err)
	}
	if ce.Class != transports.BecomeFailed || !strings.Contains(ce.Text, want) {
		t.Errorf("error = %v: %q, want %q in it", ce.Class, ce.Text, want)
	}
	if took := time.Since(start); took > 12*time.Second {
		t.Errorf("took %v", took)
	} else {
		t.Logf("%q after %v", ce.Text, took.Round(time.Millisecond))
	}
	if strings.Contains(fmt.Sprintf("%+v %+v", ce, ce.Lines), secret) {
		t.Error("the password is in the error")
	}
}

const secret = "c0rrect horse"

func TestNoPassword(t *testing.T) {
	user := account(t, "np", "", "%s ALL=(ALL:ALL) NOPASSWD: ALL")
	target := account(t, "to", "")
	for _, tt := range []struct {
		name   string
		kwargs map[string]any
		want   string
	}{
		{"root", map[string]any{"sudo_args": []string{"-H", "-S", "-n"}}, "root"},
		{"another account", map[string]any{"username": target}, target},
		{"login shell", map[string]any{"sudo_args": []string{"-i"}}, "root"},
		{"a password that is not asked for", map[string]any{"password": secret}, "root"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			via := &as{user: user}
			start := time.Now()
			got, err := become(t, via, tt.kwargs)
			if err != nil || got != tt.want {
				t.Errorf("became %q, %v; want %q", got, err, tt.want)
			}
			t.Logf("%v", time.Since(start).Round(time.Millisecond))
			if typed := via.all(); typed != nil {
				t.Errorf("typed %q", typed)
			}
		})
	}
}

func TestPassword(t *testing.T) {
	for _, tt := range []struct{ name, defaults string }{
		{"plain", "Defaults:%s timestamp_timeout=0"},
		{"pwfeedback", "Defaults:%s timestamp_timeout=0, pwfeedback"},
		{"no own pty", "Defaults:%s timestamp_timeout=0, !use_pty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			user := account(t, "pw", secret, "%s ALL=(ALL:ALL) ALL", tt.defaults)
			via := &as{user: user}
			got, err := become(t, via, map[string]any{"password": secret})
			if err != nil || got != "root" {
				t.Errorf("became %q, %v", got, err)
			}
			if typed := via.all(); len(typed) != 1 || typed[0] != secret+"\n" {
				t.Errorf("typed %q, want the password once", typed)
			}
		})
	}
}

func TestWrongPassword(t *testing.T) {
	for _, tt := range []struct{ name, account, defaults string }{
		{"three tries", "w3", "Defaults:%s timestamp_timeout=0"},
		{"one try, own words", "w1", "Defaults:%s timestamp_timeout=0, passwd_tries=1, badpass_message=Falsch!"},
		{"asked again, own words", "wo", "Defaults:%s timestamp_timeout=0, badpass_message=Falsch!"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // PAM takes its time
			user := account(t, tt.account, secret, "%s ALL=(ALL:ALL) ALL", tt.defaults)
			via, start := &as{user: user}, time.Now()
			_, err := become(t, via, map[string]any{"password": secret + "!"})
			refusedWith(t, err, start, textIncorrect)
			if typed := via.all(); len(typed) != 1 {
				t.Errorf("typed %q, want the password once", typed)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	asked := account(t, "rq", secret, "%s ALL=(ALL:ALL) ALL", "Defaults:%s timestamp_timeout=0")
	tty := account(t, "ry", "", "%s ALL=(ALL:ALL) NOPASSWD: ALL", "Defaults:%s requiretty")
	some := account(t, "rs", "", "%s ALL=(ALL:ALL) NOPASSWD: ALL, !/bin/sh")
	nobody := account(t, "rn", secret)
	for _, tt := range []struct {
		name   string
		via    *as
		kwargs map[string]any
		want   string
	}{
		{"no password given", &as{user: asked}, map[string]any{"sudo_args": []string{"-n"}}, textRequired},
		{"no terminal to ask on", &as{user: asked, pipes: true}, map[string]any{"password": secret}, "sudo: a terminal is required to read the password"},
		{"requiretty without one", &as{user: tty, pipes: true}, map[string]any{}, "sudo: sorry, you must have a tty to run sudo"},
		{"unknown user", &as{user: tty}, map[string]any{"username": "no-such-user"}, "sudo: unknown user no-such-user"},
		{"command not allowed", &as{user: some}, map[string]any{}, "Sorry, user " + some + " is not allowed to execute"},
		{"not in sudoers", &as{user: nobody}, map[string]any{"password": secret}, nobody + " is not in the sudoers file"},
		{"no such sudo", &as{user: tty}, map[string]any{"sudo_path": "/nonexistent/sudo"}, "No such file or directory"},
		{"what sudo does not know", &as{user: tty}, map[string]any{"sudo_args": []string{"-g", ""}}, "\nusage: sudo "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			_, err := become(t, tt.via, tt.kwargs)
			refusedWith(t, err, start, tt.want)
		})
	}
	t.Run("requiretty with one", func(t *testing.T) {
		if got, err := become(t, &as{user: tty}, map[string]any{}); err != nil || got != "root" {
			t.Errorf("became %q, %v", got, err)
		}
	})
}

// A sudo that asks something else is left at the deadline, and is gone then: also if it runs as root and we do not, so
// that it cannot be signalled. It loses its terminal.
func TestDeadline(t *testing.T) {
	user := account(t, "dl", secret, "%s ALL=(ALL:ALL) ALL", "Defaults:%s timestamp_timeout=0")
	question := fmt.Sprintf("another question %d: ", os.Getpid())
	path := executable(t, "#!/bin/sh\nexec sudo -p '"+question+"' id\n")
	t.Run("as root", func(t *testing.T) {
		start := time.Now()
		_, err := become(t, &as{user: user}, map[string]any{"connect_timeout": 1, "password": secret, "sudo_path": path})
		refusedWith(t, err, start, transports.TextTimeout)
	})
	t.Run("as the user", func(t *testing.T) {
		cmd := exec.Command("setpriv", "--reuid", user, "--regid", user, "--init-groups", "--reset-env", "--", "env",
			"SPINDLE_TEST_UNPRIVILEGED="+path, "GORACE=atexit_sleep_ms=0", copyOfMe(t))
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), transports.TextTimeout+" in time") {
			t.Errorf("%v: %s", err, out)
		}
		t.Logf("%s", out)
	})
	if left := running(t, question); left != nil {
		t.Errorf("left running: %q", left)
	}
}

// unprivileged is TestDeadline in a process of the user.
func unprivileged() {
	d, err := Factory(fmt.Appendf(nil, `{"connect_timeout": 1, "password": "x", "sudo_path": %q}`, os.Getenv("SPINDLE_TEST_UNPRIVILEGED")))
	if err == nil {
		start := time.Now()
		_, err = d.Dial(context.Background(), &local.Spawner{}, transports.Program{Argv: []string{"true"}, Flight: []byte("x"), Nonce: nonce})
		if took := time.Since(start); took < 3*time.Second {
			err = fmt.Errorf("%w in time", err)
		}
	}
	fmt.Println(err, "as uid", os.Getuid())
}

// running lists processes that have text in their command line.
func running(t *testing.T, text string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), text) {
			found = append(found, string(b))
		}
	}
	return found
}

// copyOfMe copies the test binary to where every account gets at it.
func copyOfMe(t *testing.T) string {
	t.Helper()
	me, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(me)
	if err != nil {
		t.Fatal(err)
	}
	return executable(t, string(b))
}

// executable writes an executable file for every account; t.TempDir would be for ours alone.
func executable(t *testing.T, text string) string {
	t.Helper()
	f, err := os.CreateTemp("", "spindle-test-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(f.Name()) })
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Chmod(0o755), f.Close()); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}
