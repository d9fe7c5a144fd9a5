package sudo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"spindle/transports"
	"spindle/transports/local"
)

// account makes an account for this test, with these lines in sudoers, where %s is its name. Both go at the end.
func account(t *testing.T, name, password string, sudoers ...string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: no accounts can be made")
	}
	for _, tool := range []string{"sudo", "useradd", "userdel", "chpasswd", "visudo", "setpriv"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s here", tool)
		}
	}
	user := fmt.Sprintf("spt%d%s", os.Getpid(), name)
	run(t, "", "useradd", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/sh", user)
	t.Cleanup(func() { run(t, "", "userdel", user) })
	if password != "" {
		run(t, user+":"+password, "chpasswd", "-c", "SHA512")
	}
	if sudoers == nil {
		return user
	}
	file := "/etc/sudoers.d/" + user // a name with a dot would be ignored
	text := strings.ReplaceAll(strings.Join(sudoers, "\n")+"\n", "%s", user)
	t.Cleanup(func() { _ = os.Remove(file) })
	if err := os.WriteFile(file, []byte(text), 0o440); err != nil {
		t.Fatal(err)
	}
	run(t, "", "visudo", "-cqf", file)
	return user
}

// run runs a tool for accounts. Others may have the account database locked for a moment.
func run(t *testing.T, stdin string, argv ...string) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for try := 0; ; try++ {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err == nil {
			return
		}
		if try > 50 || !strings.Contains(string(out), "lock") {
			t.Fatalf("%q: %v: %s", argv, err, out)
		}
		<-tick.C
	}
}

// as starts programs as another user, in another mode if asked to, and keeps what is typed on their terminals.
type as struct {
	user  string
	pipes bool

	mu    sync.Mutex
	typed []string
}

func (a *as) Spawn(ctx context.Context, c transports.Command) (transports.Link, error) {
	c.Argv = append([]string{"setpriv", "--reuid", a.user, "--regid", a.user, "--init-groups", "--reset-env", "--"}, c.Argv...)
	if a.pipes {
		c.Mode = transports.Pipes
	}
	l, err := (&local.Spawner{}).Spawn(ctx, c)
	if err != nil {
		return nil, err
	}
	return typedLink{l, a}, nil
}

func (a *as) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.typed
}

type typedLink struct {
	transports.Link
	a *as
}

func (l typedLink) Side() transports.Side { return typedSide{l.Link.Side(), l.a} }

type typedSide struct {
	transports.Side
	a *as
}

func (s typedSide) Write(p []byte) (int, error) {
	s.a.mu.Lock()
	s.a.typed = append(s.a.typed, string(p))
	s.a.mu.Unlock()
	return s.Side.Write(p)
}
