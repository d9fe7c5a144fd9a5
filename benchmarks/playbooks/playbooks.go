package playbooks

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:embed *.yml templates files tree
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
