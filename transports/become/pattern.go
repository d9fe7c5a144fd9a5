package become

import (
	"fmt"
	"regexp"
	"strings"
)

// tolerated is how many characters may follow a plugin's prompt in its line: plugins name the beginning of one.
const tolerated = `[^\n]{0,80}$`

// promptPattern compiles what a plugin looks for, a regular expression of Python's, for unfinished lines.
func promptPattern(text string) (*regexp.Regexp, error) {
	p, err := regexp.Compile(`(?m:` + fromPython(text) + `)` + tolerated)
	if err != nil {
		return nil, fmt.Errorf("its prompt is no regular expression that can be used here: %w", err)
	}
	return p, nil
}

// fromPython writes Python's regular expressions in Go's syntax, where that can say the same.
func fromPython(text string) string {
	var b strings.Builder
	class := false // inside [ ]
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		switch {
		case rest[0] == '\\' && len(rest) > 1:
			i++
			switch {
			case rest[1] == 'Z' && !class:
				b.WriteString(`\z`)
			case rest[1] == ' ' || rest[1] == '/' || rest[1] == '\'' || rest[1] == '"' || rest[1] >= 0x80:
				i-- // Python drops the backslash, Go does not know it
				text = text[:i] + text[i+1:]
				b.WriteByte(text[i])
			default:
				b.WriteString(rest[:2])
			}
		case class:
			class = rest[0] != ']' || strings.HasSuffix(text[:i], "[") || strings.HasSuffix(text[:i], "[^")
			if rest[0] == '[' && !strings.HasPrefix(rest, "[:") {
				b.WriteByte('\\')
			}
			b.WriteByte(rest[0])
		case rest[0] == '[':
			class = true
			b.WriteByte('[')
		case flags.MatchString(rest):
			m := flags.FindStringSubmatch(rest)
			i += len(m[0]) - 1
			if kept := strings.NewReplacer("a", "", "u", "", "L", "").Replace(m[1]); kept != "" {
				b.WriteString("(?" + kept + m[2])
			} else if m[2] == ":" {
				b.WriteString("(?:")
			}
		default:
			b.WriteByte(rest[0])
		}
	}
	return b.String()
}

// flags begin a group, or stand for themselves. Those about characters (a, u, L) have no meaning to Go.
var flags = regexp.MustCompile(`^\(\?([aiLmsu]+)(\)|:)`)

// containing is the pattern of lines that contain one of the texts, or nil if there is none.
func containing(texts []string) *regexp.Regexp {
	var quoted []string
	for _, t := range texts {
		if t = strings.TrimSpace(t); t != "" {
			quoted = append(quoted, regexp.QuoteMeta(t))
		}
	}
	if quoted == nil {
		return nil
	}
	return regexp.MustCompile(strings.Join(quoted, "|"))
}
