package become

import (
	"regexp"
	"strings"
)

var plain = regexp.MustCompile(`^[A-Za-z0-9@%+:,./_-]+$`)

// CommandLine writes argv for a shell to read. The words stand in double quotes, but for those characters that mean
// something even there (\ $ " ` and !): they stand between quotes, each behind a backslash. That is the same to every
// POSIX shell as escaping them inside, and it is the only way that the C shell and fish understand too. There is no
// single quote in it unless argv has one.
func CommandLine(argv []string) string {
	var b strings.Builder
	for i, word := range argv {
		if i > 0 {
			b.WriteByte(' ')
		}
		writeWord(&b, word)
	}
	return b.String()
}

func writeWord(b *strings.Builder, word string) {
	if plain.MatchString(word) {
		b.WriteString(word)
		return
	}
	if word == "" {
		b.WriteString(`""`)
	}
	for word != "" {
		n := strings.IndexAny(word, "\\$\"`!")
		switch {
		case n == 0:
			b.WriteByte('\\')
			b.WriteByte(word[0])
			word = word[1:]
			continue
		case n < 0:
			n = len(word)
		}
		b.WriteByte('"')
		b.WriteString(word[:n])
		b.WriteByte('"')
		word = word[n:]
	}
}

// inDouble writes text for the inside of double quotes, inSingle for that of single quotes.
var (
	inDouble = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`")
	inSingle = strings.NewReplacer(`'`, `'"'"'`)
)

// Raw makes program, a shell with its script, set its terminal to raw, without echo. Where there is none, or a raw one
// already, nothing happens.
func Raw(program []string) []string {
	if len(program) < 3 || program[1] != "-c" {
		return program
	}
	raw := append([]string(nil), program...)
	raw[2] = "stty raw -echo 2>/dev/null;" + raw[2]
	return raw
}
