package transports

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// linesKept is how many lines an error text shows.
	linesKept = 100
	// lineKept is how much of each.
	lineKept = 1 << 10
)

// mask replaces secrets in text that the far end sent.
type mask struct{ r *strings.Replacer }

func newMask(prompts []Prompt) mask {
	var secrets []string
	for _, p := range prompts {
		if text := p.Answer.Reveal(); text != "" && !p.Public {
			secrets = append(secrets, text)
		}
	}
	if secrets == nil {
		return mask{}
	}
	// The longest first: one may be the beginning of another.
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, text := range secrets {
		pairs = append(pairs, text, masked)
	}
	return mask{strings.NewReplacer(pairs...)}
}

func (m mask) hide(line string) string {
	if m.r == nil {
		return line
	}
	return m.r.Replace(line)
}

// readable makes a line fit to be shown: secrets hidden, no longer than lineKept, and nothing in it that would steer
// the terminal that it may be printed on.
func (m mask) readable(line []byte) string {
	s := m.hide(string(line)) // before cutting, so that no part of a secret is left at the cut
	if len(s) > lineKept {
		s = s[:lineKept] + " ..."
	}
	if plain(s) {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, string(utf8.RuneError)) {
		if r == '\t' || !unicode.IsControl(r) {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRune(r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}

func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// tail keeps the last lines of two streams, in the order of their coming.
type tail struct {
	ring []string
	next int // where the oldest is, once the ring is full
}

func (t *tail) add(line string) {
	if len(t.ring) < linesKept {
		t.ring = append(t.ring, line)
		return
	}
	t.ring[t.next] = line
	t.next = (t.next + 1) % linesKept
}

func (t *tail) lines() []string {
	return append(append([]string(nil), t.ring[t.next:]...), t.ring[:t.next]...)
}
