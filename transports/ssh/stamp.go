package ssh

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A playbook may write ssh_config and go on to hosts of which it speaks, so what ssh has said is remembered for as long as the files are the same.

// lookEvery bounds how often they are looked at. A task that writes one takes longer, and a thousand hosts that are connected to at once cost no more
// than a few looks.
const lookEvery = 5 * time.Millisecond

// watched are the files that answers came from, as far as they are known. It is guarded by the resolver.
type watched struct {
	roots    map[string]string   // what ssh reads first, and how that and all that it includes was
	includes map[string]included // by file
	looked   time.Time
	epoch    int // counts the changes
}

// included are the patterns of the Include lines in a file as it was.
type included struct {
	stamp    string
	patterns []string
}

// look forgets all answers if the files have changed. It returns the epoch: answers that are to be remembered have to be of that.
func (r *resolver) look(options []string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &r.watched
	if w.roots == nil {
		w.roots, w.includes = map[string]string{}, map[string]included{}
		w.add(systemConfig, vendorConfig)
		if _, home, known := account(); known {
			w.add(filepath.Join(home, ".ssh", "config"))
		}
	}
	flags, _ := parseArgs(options)
	for _, f := range flags {
		if f.letter == 'F' && f.value != "none" {
			w.add(f.value)
		}
	}
	if time.Since(w.looked) >= lookEvery && w.changed() {
		w.epoch++
		r.known, r.patterns, r.common = map[string]*config{}, map[string]*pattern{}, nil
	}
	return w.epoch
}

// add watches further files from now on.
func (w *watched) add(roots ...string) {
	for _, root := range roots {
		if _, known := w.roots[root]; !known {
			w.roots[root] = w.stamp(root)
		}
	}
}

// changed looks at all files.
func (w *watched) changed() bool {
	changed := false
	for root, before := range w.roots {
		w.roots[root] = w.stamp(root)
		changed = changed || w.roots[root] != before
	}
	w.looked = time.Now()
	return changed
}

// stamp is that of a file and of those that it includes.
func (w *watched) stamp(root string) string {
	var b strings.Builder
	seen := map[string]bool{}
	var visit func(path string, depth int)
	visit = func(path string, depth int) {
		if seen[path] || depth < 0 {
			return
		}
		seen[path] = true
		stamp := stampOf(path)
		b.WriteString(path + "\x00" + stamp + "\x00")
		in, known := w.includes[path]
		if !known || in.stamp != stamp {
			in = included{stamp, includesOf(path)}
			w.includes[path] = in
		}
		for _, pattern := range in.patterns {
			found, _ := filepath.Glob(pattern)
			for _, f := range found {
				visit(f, depth-1)
			}
		}
	}
	visit(root, includeDepth)
	return b.String()
}

// stampOf changes when a file does; it is empty for none.
func stampOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	var inode uint64
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = st.Ino
	}
	return fmt.Sprintf("%d %d %d", info.Size(), info.ModTime().UnixNano(), inode)
}

// includesOf reads the Include lines of a file. Names without a path are beside the user's file or the system's, whichever this one is.
func includesOf(path string) []string {
	text, err := readSmall(path)
	if err != nil {
		return nil
	}
	_, home, _ := account()
	var patterns []string
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		parts := keyword.FindStringSubmatch(strings.TrimSpace(lines.Text()))
		if parts == nil || !strings.EqualFold(parts[1], "include") {
			continue
		}
		for _, name := range strings.Fields(parts[2]) {
			name = expandHome(strings.Trim(name, `"'`), home)
			if !filepath.IsAbs(name) && strings.HasPrefix(path, filepath.Dir(systemConfig)+"/") {
				name = filepath.Join(filepath.Dir(systemConfig), name)
			} else if !filepath.IsAbs(name) {
				name = filepath.Join(home, ".ssh", name)
			}
			patterns = append(patterns, name)
		}
	}
	return patterns
}
