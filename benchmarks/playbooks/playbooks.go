// Package playbooks holds the playbooks that the benchmarks and the demonstration run.
//
// They use nothing but ansible.builtin, so that ansible-core alone runs them, and write only below the variable `playground`, which
// the inventory sets to a directory that is thrown away.
//
//   - demo.yml: the demonstration's, a little of everything;
//   - loop.yml: one command task that loops over 100 items;
//   - tasks.yml: made by Tasks, 100 command tasks one after another;
//   - copy.yml: one large file;
//   - hosts.yml: made by Tasks too, 20 tasks for every host.
//
// Files travel inside the program that uses them (Write lays them out), so that it runs from any directory.
package playbooks

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:embed *.yml templates files
var content embed.FS

// Write lays the playbooks and their files out below an existing directory.
func Write(dir string) error {
	return fs.WalkDir(content, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, path)
		if entry.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		data, err := content.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o600)
	})
}

// Tasks returns a play of n command tasks for all hosts.
func Tasks(n int) string {
	var play strings.Builder
	fmt.Fprintf(&play, "- name: %d command tasks\n  hosts: nodes\n  gather_facts: false\n  tasks:\n", n)
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&play, "    - name: command %d of %d\n      ansible.builtin.command: \"true\"\n", i, n)
	}
	return play.String()
}
