package bootstrap

import "strings"

// strip removes from Python source what it does not need to run: comments, docstrings, blank lines, and three of every
// four spaces of indentation. It knows just enough of the language to tell strings from the rest, and leaves alone what
// it does not understand. Docstrings become `0`, since one may be all that a block has.
func strip(source string) string {
	var out strings.Builder
	depth := 0 // of brackets: in them, line ends mean nothing
	joined := false
	for i := 0; i < len(source); {
		// Here a line begins. Its indentation is halved twice, unless it only continues another.
		start := i
		for i < len(source) && source[i] == ' ' {
			i++
		}
		indent := strings.Repeat(" ", (i-start)/4)
		if depth > 0 || joined {
			indent = ""
		}
		if end := docstring(source[i:]); depth == 0 && !joined && end > 0 {
			out.WriteString(indent + "0\n")
			i += end
			continue
		}
		var line strings.Builder
		joined = false
	scan:
		for i < len(source) {
			switch c := source[i]; c {
			case '\n':
				i++
				break scan
			case '#':
				for i < len(source) && source[i] != '\n' {
					i++
				}
			case '"', '\'':
				n := stringLen(source[i:])
				line.WriteString(source[i : i+n])
				i += n
			case '\\':
				// A line that goes on: the backslash has to stay, and the indentation of the next goes.
				joined = i+1 < len(source) && source[i+1] == '\n'
				line.WriteByte(c)
				i++
			default:
				switch c {
				case '(', '[', '{':
					depth++
				case ')', ']', '}':
					depth--
				}
				line.WriteByte(c)
				i++
			}
		}
		if text := strings.TrimRight(line.String(), " "); text != "" {
			out.WriteString(indent + text)
			if depth == 0 {
				out.WriteByte('\n')
			} else if last := text[len(text)-1]; last != '(' && last != '[' && last != '{' {
				out.WriteByte(' ')
			}
		}
	}
	return out.String()
}

// docstring returns the length of the string statement in triple quotes that source begins with, or 0. A line end is
// not part of it.
func docstring(source string) int {
	if !strings.HasPrefix(source, `"""`) {
		return 0
	}
	n := stringLen(source)
	if n < len(source) && source[n] != '\n' {
		return 0
	}
	return n
}

// stringLen returns the length of the string literal that source begins with. Prefixes do not matter: a backslash
// protects the quote behind it in raw strings too.
func stringLen(source string) int {
	quote := source[:1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(source, triple) {
		quote = triple
	}
	for i := len(quote); i < len(source); i++ {
		switch {
		case source[i] == '\\':
			i++
		case strings.HasPrefix(source[i:], quote):
			return i + len(quote)
		}
	}
	return len(source)
}
