package ssh

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	gossh "golang.org/x/crypto/ssh"
)

// knownFile is a known_hosts file as it was when it was last looked at. Files are parsed once, keys when a host asks for
// them: a site's file may have tens of thousands of lines, and one bad line is no reason to distrust the others.
type knownFile struct {
	stamp fileStamp
	lines []knownLine
}

// knownLine is one line: names, and a key not decoded yet.
type knownLine struct {
	marker   string // "", markerAuthority or markerRevoked
	patterns []string
	salt     []byte // hashed names have these two in place of patterns
	hash     []byte
	blob     string
}

const (
	markerAuthority = "@cert-authority"
	markerRevoked   = "@revoked"
)

// fileStamp changes when a file does.
type fileStamp struct {
	size  int64
	mtime int64
	info  fs.FileInfo
}

func (s fileStamp) same(o fileStamp) bool {
	return s.size == o.size && s.mtime == o.mtime && os.SameFile(s.info, o.info)
}

// knownHosts keeps the files that have been read.
type knownHosts struct {
	mu    sync.Mutex
	files map[string]*knownFile

	learning sync.Mutex // held while a key is appended
}

func newKnownHosts() *knownHosts { return &knownHosts{files: map[string]*knownFile{}} }

// file reads name, or remembers it. A file that cannot be read knows nobody, as for ssh.
func (k *knownHosts) file(name string) *knownFile {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return &knownFile{}
	}
	stamp := fileStamp{info.Size(), info.ModTime().UnixNano(), info}
	k.mu.Lock()
	defer k.mu.Unlock()
	if f := k.files[name]; f != nil && f.stamp.same(stamp) {
		return f
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return &knownFile{}
	}
	f := &knownFile{stamp: stamp, lines: parseKnown(text)}
	k.files[name] = f
	return f
}

func parseKnown(text []byte) []knownLine {
	var lines []knownLine
	scan := bufio.NewScanner(bytes.NewReader(text))
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		fields := strings.Fields(scan.Text())
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		var l knownLine
		if fields[0][0] == '@' {
			l.marker, fields = fields[0], fields[1:]
			if l.marker != markerAuthority && l.marker != markerRevoked {
				continue
			}
		}
		if len(fields) < 3 {
			continue
		}
		l.blob = fields[2]
		if strings.HasPrefix(fields[0], "|") {
			part := strings.Split(fields[0], "|")
			if len(part) != 4 || part[1] != "1" {
				continue
			}
			var err error
			if l.salt, err = base64.StdEncoding.DecodeString(part[2]); err != nil {
				continue
			}
			if l.hash, err = base64.StdEncoding.DecodeString(part[3]); err != nil {
				continue
			}
		} else {
			l.patterns = strings.Split(strings.ToLower(fields[0]), ",")
		}
		lines = append(lines, l)
	}
	return lines
}

// matches says whether the line is about name. A negated pattern that matches rules the line out.
func (l *knownLine) matches(name string) bool {
	if l.hash != nil {
		return hmac.Equal(hashName(name, l.salt), l.hash)
	}
	hit := false
	for _, p := range l.patterns {
		negated := strings.HasPrefix(p, "!")
		if !wildcard(strings.TrimPrefix(p, "!"), strings.ToLower(name)) {
			continue
		}
		if negated {
			return false
		}
		hit = true
	}
	return hit
}

// key decodes the line's key. Lines with keys that the library does not know are as good as absent.
func (l *knownLine) key() gossh.PublicKey {
	blob, err := base64.StdEncoding.DecodeString(l.blob)
	if err != nil {
		return nil
	}
	key, err := gossh.ParsePublicKey(blob)
	if err != nil {
		return nil
	}
	return key
}

func hashName(name string, salt []byte) []byte {
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(name))
	return mac.Sum(nil)
}

// wildcard matches * and ? as ssh does: nothing else is special, brackets around a host with port least of all.
func wildcard(pattern, name string) bool {
	if !strings.ContainsAny(pattern, "*?") {
		return pattern == name
	}
	// path.Match stops at slashes, which no host name has, and reads [ and \ in its own way.
	hit, err := path.Match(strings.NewReplacer("[", `\[`, "]", `\]`, `\`, `\\`).Replace(pattern), name)
	return err == nil && hit
}
