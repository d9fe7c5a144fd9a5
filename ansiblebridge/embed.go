package ansiblebridge

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"spindle/transports/wire"
)

// python holds the plugins. The patterns name sources only, so that compiled files of a development tree stay out.
//
//go:embed python/plugins/*/*.py python/spindle_ansible/*.py
var python embed.FS

// binaryNote is the file that tells the plugins where the spindle program is.
const binaryNote = "spindle_binary"

// Where, below the directory that Unpack returns, plugins are that a user may have to name in ansible.cfg.
const (
	StrategyDir = "plugins/strategy"
	ActionDir   = "plugins/action"   // for playbooks that name an action of ours: Ansible looks those up before any strategy runs
	CallbackDir = "plugins/callback" // for those who keep the stock strategies
)

// Files returns the plugins, and the codec that they share with the agent, by their path below the directory they are unpacked to.
func Files() map[string][]byte {
	files := map[string][]byte{"spindle_wire.py": []byte(wire.PythonSource)}
	err := fs.WalkDir(python, "python", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := python.ReadFile(path)
		files[strings.TrimPrefix(path, "python/")] = content
		return err
	})
	if err != nil {
		panic(err) // reading one's own memory
	}
	return files
}

// FilesDigest names the content of Files, in hex.
func FilesDigest() string {
	files := Files()
	digest := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(files)) {
		sum := sha256.Sum256(files[path])
		fmt.Fprintf(digest, "%s\x00%s", path, sum[:])
	}
	return hex.EncodeToString(digest.Sum(nil))
}

// Release is the version of the program with what names the plugins that belong to it: their directory's name, and what a multiplexer says
// that it is. Plugins that are not of the same release as the program refuse it.
func Release(version string) string { return version + "-" + FilesDigest()[:12] }

// Unpack writes the plugins to base/<version>-<digest>, see [Release], and returns that directory. The directory appears whole or not at all, so a playbook
// that starts meanwhile, or another Unpack at the same time, sees no half of it. One that is there already is kept, and mended where a file
// is missing or changed. In any case the plugins will start the given program, an absolute path, from now on.
func Unpack(base, version, binary string) (string, error) {
	files := Files()
	dir := filepath.Join(base, Release(version))
	if err := os.MkdirAll(base, 0o700); err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		if err := unpackFresh(base, dir, files); err != nil {
			return "", err
		}
	}
	for path, content := range files {
		if err := ensure(filepath.Join(dir, path), content); err != nil {
			return "", err
		}
	}
	return dir, ensure(filepath.Join(dir, binaryNote), []byte(binary+"\n"))
}

// unpackFresh fills a new directory under another name and then renames it.
func unpackFresh(base, dir string, files map[string][]byte) (err error) {
	fresh, err := os.MkdirTemp(base, ".unpacking-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(fresh)) }()
	// MkdirTemp's own mode would keep out other accounts that the administrator lets read the plugins.
	if err := os.Chmod(fresh, 0o755); err != nil {
		return err
	}
	for path, content := range files {
		to := filepath.Join(fresh, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, content, 0o644); err != nil {
			return err
		}
	}
	err = os.Rename(fresh, dir)
	if errors.Is(err, os.ErrExist) {
		return nil // somebody else was quicker, with the same content
	}
	return err
}

// ensure makes a file have the given content. A reader sees the old content or the new one.
func ensure(path string, content []byte) (err error) {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	fresh, err := os.CreateTemp(filepath.Dir(path), ".unpacking-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(fresh.Name()))
		}
	}()
	_, err = fresh.Write(content)
	if err = errors.Join(err, fresh.Chmod(0o644), fresh.Close()); err != nil {
		return err
	}
	return os.Rename(fresh.Name(), path)
}
