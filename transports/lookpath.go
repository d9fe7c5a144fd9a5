package transports

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// defaultPath is where execvp(3) and Python's subprocess look for programs when there is no PATH.
var defaultPath = []string{"/bin", "/usr/bin"}

// LookPath finds a program by its name as execvp(3) would, and so as stock Ansible has it found: unlike [exec.LookPath] it also takes what
// stands in a relative directory of PATH, and does without a PATH. A name with a slash in it is a path already, and is checked.
//
// Errors are those of [exec.LookPath].
func LookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil || errors.Is(err, exec.ErrDot) {
		return path, nil
	}
	if _, set := os.LookupEnv("PATH"); !set && !strings.Contains(name, "/") {
		for _, dir := range defaultPath {
			if found, e := exec.LookPath(filepath.Join(dir, name)); e == nil {
				return found, nil
			}
		}
	}
	return "", err
}
