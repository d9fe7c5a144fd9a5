package become

import (
	"errors"
	"strings"
)

// Placeholder is the word of a plugin's command that the program takes the place of.
const Placeholder = "SPINDLEPROGRAM"

// levels is how deep quotes are followed.
const levels = 8

var (
	errNoPlace = errors.New("its command has no place for the program")
	errTooDeep = errors.New("its command has the program's place inside too many levels of quotes")
	errTwice   = errors.New("its command has the program's place more than once")
)

// place writes program into a command line for a shell, at the placeholder.
func place(command string, program []string) (string, error) {
	switch strings.Count(command, Placeholder) {
	case 0:
		return "", errNoPlace
	case 1:
		return level(command, program, levels)
	}
	return "", errTwice
}

// level does so at one level of quotes, and has the levels below done first.
func level(command string, program []string, depth int) (string, error) {
	if depth == 0 {
		return "", errTooDeep
	}
	at := strings.Index(command, Placeholder)
	word, before, quote := wordAt(command, at)
	var text string
	switch {
	case quote == 0 && word == Placeholder && len(program) > 2 && scriptFollows(before, program):
		text = CommandLine(program[len(program)-1:])
	case quote == 0 && word != Placeholder && depth == levels:
		// A part of a word, such as an option's value, which a shell is to read later: it has to stay in one piece.
		text = CommandLine([]string{CommandLine(program)})
	case quote == 0, word == Placeholder:
		text = CommandLine(program)
	default:
		inner, err := level(word, program, depth-1)
		if err != nil {
			return "", err
		}
		// The words around the placeholder stay as they are written here; only what takes its place is of interest.
		from := strings.Index(word, Placeholder)
		text = inner[from : len(inner)-(len(word)-from-len(Placeholder))]
	}
	switch quote {
	case '\'':
		text = inSingle.Replace(text)
	case '"':
		text = inDouble.Replace(text)
	}
	return command[:at] + text + command[at+len(Placeholder):], nil
}

// scriptFollows says whether what stands before the placeholder is the program's own shell already.
func scriptFollows(before []string, program []string) bool {
	n := len(program) - 1
	if len(before) < n {
		return false
	}
	for i, word := range before[len(before)-n:] {
		if word != program[i] {
			return false
		}
	}
	return true
}

// wordAt reads a command line as a shell does. It returns the word that stands at at, as the shell hands it on, the words
// before it in the same command, and the quotes that are open at at: 0, ' or ".
func wordAt(command string, at int) (word string, before []string, quote byte) {
	var (
		w     strings.Builder
		begun bool
		open  byte
		there bool // w is the word in question
	)
	for i := 0; i < len(command); i++ {
		if i == at {
			there, quote = true, open
		}
		c := command[i]
		switch {
		case open == '\'':
			if c == '\'' {
				open = 0
				continue
			}
		case open == '"':
			switch {
			case c == '"':
				open = 0
				continue
			case c == '\\' && i+1 < len(command) && strings.IndexByte("\\\"$`\n", command[i+1]) >= 0:
				i++
				c = command[i]
			}
		case c == '\'' || c == '"':
			open, begun = c, true
			continue
		case c == '\\' && i+1 < len(command):
			i++
			c = command[i]
		case strings.IndexByte(" \t\n;&|<>()", c) >= 0:
			if there {
				return w.String(), before, quote
			}
			if begun {
				before = append(before, w.String())
			}
			if strings.IndexByte(" \t", c) < 0 {
				before = nil // another command
			}
			w.Reset()
			begun = false
			continue
		}
		w.WriteByte(c)
		begun = true
	}
	return w.String(), before, quote
}
