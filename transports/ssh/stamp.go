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
	opaque   bool // there are others, which only ssh can read
}

// opaqueFor is how long the answers hold that may come from files which are not known here.
const opaqueFor = time.Second

// configHome is where ssh looks for the user's own file: at the account's home, which is taken to be $HOME if the account is in no file here.
func configHome() string {
	if _, home, known := account(); known {
		return home
	}
	return homeDir()
}

// look forgets all answers if the files have changed. It returns the epoch: answers that are to be remembered have to be of that.
func (r *resolver) look(options []string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &r.watched
	if w.roots == nil {
		w.roots, w.includes = map[string]string{}, map[string]included{}
		w.add(systemConfig, vendorConfig)
		for _, home := range []string{configHome(), homeDir()} {
			if home != "" {
				w.add(filepath.Join(home, ".ssh", "config"))
			}
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

// started is when the program did, by a clock that nobody sets.
var started = time.Now()

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
			in = includesOf(path)
			in.stamp = stamp
			w.includes[path] = in
		}
		if in.opaque {
			fmt.Fprintf(&b, "at %d\x00", time.Since(started)/opaqueFor)
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

// includeLine returns what stands in an Include line, in any of the forms that ssh takes.
func includeLine(line string) (names string, is bool) {
	const word = "include"
	line = strings.TrimPrefix(strings.TrimSpace(line), `"`)
	if len(line) < len(word) || !strings.EqualFold(line[:len(word)], word) {
		return "", false
	}
	return strings.TrimLeft(strings.TrimPrefix(line[len(word):], `"`), " \t="), true
}

// includesOf reads the Include lines of a file. Names without a path are beside the user's file or the system's, whichever this one is.
func includesOf(path string) included {
	var in included
	text, err := readSmall(path)
	if err != nil {
		return in
	}
	home := configHome()
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		names, is := includeLine(lines.Text())
		if !is {
			continue
		}
		for _, name := range words(names) {
			if full, err := expandVariables(name); err == nil {
				name = full // older versions take it as it is
			}
			in.opaque = in.opaque || strings.Contains(name, "%") || strings.Contains(name, "${")
			name = expandHome(name, home)
			if !filepath.IsAbs(name) && strings.HasPrefix(path, filepath.Dir(systemConfig)+"/") {
				name = filepath.Join(filepath.Dir(systemConfig), name)
			} else if !filepath.IsAbs(name) {
				name = filepath.Join(home, ".ssh", name)
			}
			in.patterns = append(in.patterns, name)
		}
	}
	return in
}

// words splits what stands behind a keyword in ssh_config, where quotes and backslashes keep blanks.
func words(text string) []string {
	var all []string
	var word strings.Builder
	quote, begun := byte(0), false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text) && (strings.IndexByte(`"'\`, text[i+1]) >= 0 || quote == 0 && text[i+1] == ' '):
			i++
			word.WriteByte(text[i])
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == ' ' || c == '\t'):
			if begun {
				all = append(all, word.String())
			}
			word.Reset()
			begun = false
			continue
		default:
			word.WriteByte(c)
		}
		begun = true
	}
	if begun {
		all = append(all, word.String())
	}
	return all
}
