package ssh

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"spindle/transports"
)

// Most configurations say the same of every host but for its name, and ssh -G costs four times as much as the connection itself. So
// where the files are seen to be like that, and two hosts were really asked about and differ in nothing else, other hosts are not asked about. Whatever is
// not understood here counts as being different for each host.

// systemConfig and systemSSH belong together: where another ssh looks is not known. vendorConfig is where some systems (openSUSE) keep what
// is theirs.
const (
	systemConfig = "/etc/ssh/ssh_config"
	vendorConfig = "/usr/etc/ssh/ssh_config"
	systemSSH    = "/usr/bin/ssh"
)

// includeDepth is how deep ssh itself follows Include.
const includeDepth = 16

// pattern is what ssh says of hosts with the same options. It is guarded by the resolver.
type pattern struct {
	host   string // the first one
	config *config
	proved bool // a second host has the same
	broken bool // it has not, or the files may tell hosts apart
}

// plainName is a name in which ssh changes nothing.
var plainName = regexp.MustCompile(`^[a-z][a-z0-9.-]*$`)

// kindOfHost says what ssh takes host for; empty for what it might change.
func kindOfHost(host string) string {
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() && a.String() == host {
		return "address"
	}
	if plainName.MatchString(host) {
		return "name"
	}
	return ""
}

// patternKey names hosts of which the same may be said.
func patternKey(exe string, options []string, host string) string {
	kind := kindOfHost(host)
	if kind == "" {
		return ""
	}
	return strings.Join(append([]string{kind, exe}, options...), "\x00")
}

// derive is the answer about a host that was not asked about; nil if it must be.
func (r *resolver) derive(exe string, options []string, host string) *config {
	key := patternKey(exe, options, host)
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.patterns[key]; p != nil && p.proved && !p.broken {
		return p.about(host)
	}
	return nil
}

// about is what the pattern says of a host.
func (p *pattern) about(host string) *config {
	c := &config{keys: p.config.keys, values: map[string][]string{}, common: p.config}
	for _, key := range []string{"host", "hostname"} {
		if slices.Equal(p.config.all(key), []string{p.host}) {
			c.values[key] = []string{host}
		}
	}
	return c
}

// learn takes a real answer of an epoch into account.
func (r *resolver) learn(epoch int, exe string, options []string, host string, c *config) {
	key := patternKey(exe, options, host)
	if key == "" {
		return
	}
	r.mu.Lock()
	p, late := r.patterns[key], r.watched.epoch != epoch
	if p == nil && !late {
		r.patterns[key] = &pattern{host: host, config: c}
	}
	r.mu.Unlock()
	if late || p == nil || p.host == host {
		return
	}
	same := uniform(exe, options)
	r.mu.Lock()
	defer r.mu.Unlock()
	p.proved = true
	p.broken = p.broken || !same || !p.about(host).equal(c)
}

// equal says whether two configs say the same.
func (c *config) equal(o *config) bool {
	return slices.Equal(c.keys, o.keys) && !slices.ContainsFunc(c.keys, func(key string) bool { return !c.same(o, key) })
}

// tellsApart are words of options, and beginnings of keywords in files, that may make hosts different.
var tellsApart = []string{"%", "proxyjump", "canonical", "match", "hostname"}

// uniform says whether ssh reads nothing that could tell one host from another.
func uniform(exe string, options []string) bool {
	_, home, known := account()
	if !known {
		return false // ssh may know a home that we do not
	}
	files := []string{filepath.Join(home, ".ssh", "config")}
	flags, err := parseArgs(options)
	if err != nil {
		return false
	}
	given := false
	for _, f := range flags {
		text := strings.ToLower(f.value)
		switch {
		case f.letter == 'F':
			given, files = true, []string{f.value}
		case f.letter == 'J', slices.ContainsFunc(tellsApart, func(word string) bool { return strings.Contains(text, word) }):
			return false
		}
	}
	if !given {
		if path, err := transports.LookPath(exe); err != nil || path != systemSSH || !uniformSystem(systemConfig, vendorConfig) {
			return false
		}
	}
	for _, f := range files {
		if f != "none" && !uniformFile(f, includeDepth) {
			return false
		}
	}
	return true
}

// uniformSystem looks at the system's own part. Where its file is missing, ssh may have been built to read another one, and where there is a
// vendor's too, which of them holds is not known.
func uniformSystem(path, vendor string) bool {
	if _, err := os.Stat(vendor); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if _, err := os.Stat(path); err != nil {
		return false
	}
	return uniformFile(path, includeDepth)
}

// keyword is how a line of ssh_config has to begin for us to read it.
var keyword = regexp.MustCompile(`^([A-Za-z0-9]+)(?:[ \t]*=[ \t]*|[ \t]+)(.*)$`)

// uniformFile reads one file, and those that it includes.
func uniformFile(path string, depth int) bool {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil || depth == 0 {
		return false
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); ; {
		if !lines.Scan() {
			return lines.Err() == nil
		}
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if !uniformLine(line, depth) {
			return false
		}
	}
}

func uniformLine(line string, depth int) bool {
	parts := keyword.FindStringSubmatch(line)
	if parts == nil || strings.Contains(line, "%") {
		return false
	}
	word, value := strings.ToLower(parts[1]), strings.TrimSpace(parts[2])
	switch {
	case word == "host":
		return value == "*"
	case word == "match":
		return strings.EqualFold(value, "all")
	case word == "include":
		if !filepath.IsAbs(value) || strings.ContainsAny(value, " \t\"'$~\\#") {
			return false
		}
		included, err := filepath.Glob(value)
		if err != nil {
			return false
		}
		for _, f := range included {
			if !uniformFile(f, depth-1) {
				return false
			}
		}
		return true
	}
	return !slices.ContainsFunc(tellsApart, func(beginning string) bool { return strings.HasPrefix(word, beginning) })
}
