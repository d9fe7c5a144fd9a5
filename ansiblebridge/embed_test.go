package ansiblebridge

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// onDisk reads every file below dir, but for the program's path.
func onDisk(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == binaryNote {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		found[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func embedded() map[string]string {
	files := map[string]string{}
	for path, content := range Files() {
		files[path] = string(content)
	}
	return files
}

func TestEverySourceFileIsEmbedded(t *testing.T) {
	files := Files()
	err := filepath.WalkDir("python", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == "tests" {
			return filepath.SkipDir
		}
		name, _ := filepath.Rel("python", path)
		if _, there := files[name]; strings.HasSuffix(path, ".py") && !there {
			t.Errorf("%s would be missing from the binary: add its directory to the go:embed patterns", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range files {
		if strings.Contains(name, "__pycache__") || strings.HasPrefix(name, "tests/") {
			t.Errorf("%s has no place in the binary", name)
		}
	}
}

func TestUnpackTwiceChangesOnlyTheProgram(t *testing.T) {
	base := t.TempDir()
	first, err := Unpack(base, "1.2.3", "/opt/one/spindle")
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(base, Release("1.2.3")); first != want {
		t.Errorf("directory: got %s, want %s", first, want)
	}
	if diff := cmp.Diff(embedded(), onDisk(t, first)); diff != "" {
		t.Errorf("content mismatch (-want +got):\n%s", diff)
	}
	before, err := os.Stat(filepath.Join(first, "spindle_wire.py"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := Unpack(base, "1.2.3", "/opt/two/spindle")
	if err != nil || second != first {
		t.Fatalf("second Unpack: got %s, %v, want %s", second, err, first)
	}
	after, err := os.Stat(filepath.Join(first, "spindle_wire.py"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("an unchanged file was written again (%v)", err)
	}
	if note, err := os.ReadFile(filepath.Join(first, binaryNote)); string(note) != "/opt/two/spindle\n" {
		t.Errorf("program: got %q, %v", note, err)
	}
}

func TestUnpackMendsWhatWasDamaged(t *testing.T) {
	base := t.TempDir()
	dir, err := Unpack(base, "1.2.3", "/opt/spindle")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "spindle_wire.py"), []byte("half a fi"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "plugins")); err != nil {
		t.Fatal(err)
	}
	if _, err := Unpack(base, "1.2.3", "/opt/spindle"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(embedded(), onDisk(t, dir)); diff != "" {
		t.Errorf("content mismatch (-want +got):\n%s", diff)
	}
}

func TestUnpackAtTheSameTime(t *testing.T) {
	base := t.TempDir()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			dir, err := Unpack(base, "1.2.3", "/opt/spindle")
			if err != nil {
				t.Error(err)
				return
			}
			// Whoever returns must find everything, whoever wrote it.
			for path := range Files() {
				if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	entries, err := os.ReadDir(base)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestUnpackIntoAPlaceThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Unpack(file, "1.2.3", "/opt/spindle"); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error does not name %s: %v", file, err)
	}
}
