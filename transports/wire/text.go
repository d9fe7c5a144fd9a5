package wire

import "unicode/utf8"

// MaxText is how much of a text [Clip] keeps. Two such texts fit one header.
const MaxText = 24 << 10

// Clip shortens a text of unknown length, such as a traceback or what a login
// printed, to what a header can carry. It cuts out the middle, since first and
// last lines tell most, and leaves whole characters.
func Clip(text string) string {
	if len(text) <= MaxText {
		return text
	}
	const gap = "\n[...]\n"
	head := (MaxText - len(gap)) / 2
	tail := len(text) - head
	// At most three bytes back and forth lead to whole characters; bytes that are no
	// UTF-8 stay as they are.
	for range utf8.UTFMax - 1 {
		if !utf8.RuneStart(text[head]) {
			head--
		}
		if !utf8.RuneStart(text[tail]) {
			tail++
		}
	}
	return text[:head] + gap + text[tail:]
}
