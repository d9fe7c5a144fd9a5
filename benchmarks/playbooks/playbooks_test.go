package playbooks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteLaysEverythingOut(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"demo.yml", "loop.yml", "copy.yml", "templates/service.conf.j2", "files/hello.sh", "tree/lookup_plugins/filetree.py"} {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestTasksMakesThatMany(t *testing.T) {
	if got := strings.Count(Tasks(100), "ansible.builtin.command"); got != 100 {
		t.Errorf("got %d tasks", got)
	}
}

func TestTheBaselineHasItsTasks(t *testing.T) {
	text := Baseline()
	// Gathering facts is a result too.
	if got := strings.Count(text, "\n    - name: "); got != BaselineTasks-1 {
		t.Errorf("got %d tasks, want %d", got, BaselineTasks-1)
	}
	for _, module := range []string{"user", "group", "apt", "cron", "template", "copy", "lineinfile", "blockinfile", "debconf", "getent", "set_fact", "assert"} {
		if !strings.Contains(text, "ansible.builtin."+module+":\n") {
			t.Errorf("no task uses %s", module)
		}
	}
}
