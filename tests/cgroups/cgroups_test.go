package cgroups

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestGroupsAreEnteredAndGoWithAllBelow(t *testing.T) {
	g, err := New("spindle-self-test.", "machine", false)
	if err != nil {
		t.Skipf("NOT TESTED: no control groups can be made here: %v", err)
	}
	argv := g.Enter("cat", "/proc/self/cgroup")
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	if want := Top("spindle-self-test.", os.Getpid()) + "/machine"; err != nil || strings.Count(string(out), want) != len(g.Dirs) {
		t.Errorf("%v: not in all of %q:\n%s", err, g.Dirs, out)
	}
	for _, dir := range g.Dirs {
		if err := os.MkdirAll(filepath.Join(dir, "docker/one"), 0o755); err != nil {
			t.Error(err)
		}
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	for _, dir := range g.Dirs {
		if _, err := os.Stat(filepath.Dir(dir)); !os.IsNotExist(err) {
			t.Errorf("%s is still there", filepath.Dir(dir))
		}
	}
}

func TestSweepTakesWhatTheDeadHaveLeft(t *testing.T) {
	const prefix = "spindle-sweep-test."
	hs, err := hierarchies()
	if err != nil || len(hs) == 0 {
		t.Skipf("NOT TESTED: no control groups here: %v", err)
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	left, used := filepath.Join(hs[0].own, Top(prefix, gone.Process.Pid)), filepath.Join(hs[0].own, Top(prefix, os.Getpid()))
	if err := os.MkdirAll(filepath.Join(left, "machine"), 0o755); err != nil {
		t.Skipf("NOT TESTED: no control groups can be made here: %v", err)
	}
	if err := os.Mkdir(used, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(used)
	Sweep(prefix)
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("%s is still there", left)
	}
	if _, err := os.Stat(used); err != nil {
		t.Error(err)
	}
}
