package becometest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Secret is the password of accounts that have one. It is in no other place of the machine.
const Secret = "c0rrect horse"

// Unavailable ends a test that cannot run here.
func Unavailable(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("SPINDLE_TEST_REQUIRE") != "" {
		t.Fatalf("this test must run here, but: %s", why)
	}
	t.Skipf("NOT TESTED: %s", why)
}

// Need ends a test that is not root's, or lacks one of these programs.
func Need(t testing.TB, tools ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		Unavailable(t, "only root can make accounts")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			Unavailable(t, "no "+tool+" here")
		}
	}
}

// Account makes an account, with a password unless that is empty, and returns its name, which has name in it.
func Account(t testing.TB, name, password string) string {
	t.Helper()
	Need(t, "useradd", "userdel", "chpasswd", "setpriv")
	user := fmt.Sprintf("spt%d%s", os.Getpid(), name)
	run(t, "", "useradd", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/sh", user)
	t.Cleanup(func() { run(t, "", "userdel", user) })
	if password != "" {
		run(t, user+":"+password, "chpasswd", "-c", "SHA512")
	}
	return user
}

// run runs a tool for accounts. Others may have the account database locked for a moment, and what the link was cut to may
// take one to end: an account with processes cannot be removed.
func run(t testing.TB, stdin string, argv ...string) {
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
		busy := strings.Contains(string(out), "lock") || strings.Contains(string(out), "currently used")
		if try > 50 || !busy {
			t.Fatalf("%q: %v: %s", argv, err, out)
		}
		<-tick.C
	}
}

// Executable writes an executable file that every account can run; t.TempDir would be for ours alone.
func Executable(t testing.TB, text string) string {
	t.Helper()
	f, err := os.CreateTemp("", "spindle-test-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(f.Name()) })
	if _, err = f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Chmod(0o755); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// Sudoers gives an account these lines in sudoers, where %s is its name, until the test ends.
func Sudoers(t testing.TB, user string, lines ...string) {
	t.Helper()
	Need(t, "visudo")
	file := "/etc/sudoers.d/" + user // a name with a dot would be ignored
	text := strings.ReplaceAll(strings.Join(lines, "\n")+"\n", "%s", user)
	t.Cleanup(func() { _ = os.Remove(file) })
	if err := os.WriteFile(file, []byte(text), 0o440); err != nil {
		t.Fatal(err)
	}
	run(t, "", "visudo", "-cqf", file)
}
