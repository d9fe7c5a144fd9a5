package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"spindle/benchmarks/target"
)

// makeRepository makes the repository of a small application as app.git below dir, for the case that deploys it.
func makeRepository(dir string) error {
	work := filepath.Join(dir, "work")
	files := map[string]string{
		"app/__init__.py": "",
		"app/migrate.py":  "import sqlite3, sys\n\nsqlite3.connect(sys.argv[1]).execute('create table visits (at integer)')\n",
		"app/check.py":    "import settings\n\nprint('well' if settings.REVISION else 'unwell')\n",
	}
	for n := range 40 {
		files[fmt.Sprintf("app/views/view%02d.py", n)] = fmt.Sprintf("def view%02d(request):\n    return 'view %d of ' + str(request)\n", n, n)
	}
	for n := range 6 {
		files[fmt.Sprintf("static/style%d.css", n)] = strings.Repeat(fmt.Sprintf("p.n%d { color: black; }\n", n), 50)
		files[fmt.Sprintf("static/script%d.js", n)] = strings.Repeat(fmt.Sprintf("console.log(%d);\n", n), 50)
	}
	for name, text := range files {
		path := filepath.Join(work, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"-C", work, "init", "-q", "-b", "main"},
		{"-C", work, "add", "."},
		{"-C", work, "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-q", "-m", "the application"},
		{"clone", "-q", "--bare", work, filepath.Join(dir, "app.git")},
	} {
		cmd := exec.Command("git", args...)
		// The user's settings take no part.
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
		}
	}
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	// Git takes a repository from nobody but its owner.
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, target.LoginID, target.LoginID)
	})
}
