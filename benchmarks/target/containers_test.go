package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// containersVariable makes this test program one that has a machine with containers, says where it is, and waits to be killed.
const containersVariable = "SPINDLE_TEST_CONTAINERS"

// found is what that program prints.
type found struct {
	Machine int
	Groups  []string
}

func waitToBeKilled(wish string) {
	var options Options
	if err := json.Unmarshal([]byte(wish), &options); err != nil {
		panic(err)
	}
	os.Unsetenv(containersVariable)
	one, err := Spawn(context.Background(), options)
	if err != nil {
		panic(err)
	}
	json.NewEncoder(os.Stdout).Encode(found{one.PID(), groupsOf(one.keeper.PID())})
	select {}
}

// groupsOf are the control groups that a keeper has made.
func groupsOf(keeper int) []string {
	var dirs []string
	for _, pattern := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*", "/sys/fs/cgroup/*/*/*"} {
		some, _ := filepath.Glob(filepath.Join(pattern, groupsPrefix+strconv.Itoa(keeper)))
		dirs = append(dirs, some...)
	}
	return dirs
}

// containerOptions are for a small machine, in tests that have what it takes.
func containerOptions(t *testing.T) Options {
	t.Helper()
	roots := os.Getenv("SPINDLE_TEST_ROOTS")
	options := Options{Dir: t.TempDir(), Root: filepath.Join(roots, "engines"), Inner: filepath.Join(roots, "workshop"), Containers: 2}
	for _, root := range []string{options.Root, options.Inner} {
		if _, err := os.Stat(root + "/usr/bin"); roots == "" || err != nil || os.Geteuid() != 0 {
			t.Skipf("NOT TESTED: it takes root, and the Debian roots that `make roots` builds, in SPINDLE_TEST_ROOTS")
		}
	}
	return options
}

// still says what is left of a machine with containers, or nothing.
func still(f found) string {
	left := slices.DeleteFunc(slices.Clone(f.Groups), func(dir string) bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err)
	})
	if err := syscall.Kill(f.Machine, 0); !errors.Is(err, syscall.ESRCH) {
		return fmt.Sprintf("the machine's process %d, and groups %q", f.Machine, left)
	}
	return strings.Join(left, " ")
}

func TestTheLoginEntersContainersWhichGoWithTheirMachine(t *testing.T) {
	one, err := Spawn(t.Context(), containerOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	at := found{one.PID(), groupsOf(one.Helper())}
	cmd := exec.Command("nsenter", "-t", strconv.Itoa(one.PID()), "-m", "-u", "-i", "-n", "-p", "-C", "-S", strconv.Itoa(LoginID), "-G", strconv.Itoa(LoginID), "--",
		"/usr/bin/docker", "exec", "--interactive", ContainerName(2), "python3", "-c", "import os, sys; print(os.uname()[1], os.getuid(), sys.version_info[:2])")
	cmd.Env = []string{"HOME=/home/" + Login}
	out, err := cmd.CombinedOutput()
	if want := ContainerName(2) + " 0 (3, 11)\n"; err != nil || string(out) != want {
		t.Errorf("%v: in the container: got %q, want %q", err, out, want)
	}
	if err := one.Close(); err != nil {
		t.Error(err)
	}
	if left := still(at); left != "" || len(at.Groups) == 0 {
		t.Errorf("of %v there still are: %s", at, left)
	}
}

func TestContainersEndWithAProgramThatIsKilled(t *testing.T) {
	wish, err := json.Marshal(containerOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), containersVariable+"="+string(wish))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var at found
	err = json.NewDecoder(out).Decode(&at)
	cmd.Process.Kill()
	cmd.Wait()
	if err != nil || len(at.Groups) == 0 {
		t.Fatalf("%v: got %v", err, at)
	}
	for deadline := time.Now().Add(30 * time.Second); still(at) != ""; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there still are: %s", still(at))
		}
	}
}
