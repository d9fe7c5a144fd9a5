package actors

import (
	"fmt"
	"net/url"
	"strings"
)

// Escape makes any text fit for one element of a path: what would read as structure ('/', '~', '%', '$', spaces, control
// characters) becomes %XX. Two texts never become the same name, and no text becomes one that a "~N" suffix makes.
func Escape(name string) string {
	plain := func(b byte) bool { return b > ' ' && b != 0x7f && !strings.ContainsRune("/~%$", rune(b)) }
	var b strings.Builder
	for i := range len(name) {
		if plain(name[i]) {
			b.WriteByte(name[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", name[i])
		}
	}
	return b.String()
}

// Unescape turns an element of a path back into the text it was made from. A "~N" suffix stays.
func Unescape(element string) string {
	name, err := url.PathUnescape(element)
	if err != nil {
		return element
	}
	return name
}
