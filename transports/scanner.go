package transports

import "bytes"

const (
	// lineMax bounds the unfinished line that is held. Of a longer one the beginning and the end are kept.
	lineMax = 64 << 10
	// window is how much of an unfinished line's end is looked at for prompts.
	window = 1 << 10
)

// scanner cuts a stream into lines. It holds the one unfinished line, which is where prompts stand.
type scanner struct {
	mask    mask
	partial []byte
	taken   bool // the line's beginning was a prompt, and has been dealt with
}

// next takes bytes from chunk up to and with the first newline. It returns the line that this ended, without
// its newline, and the rest of chunk; ended is false, and the rest is empty, when no line has ended. The line is valid
// until the next call.
func (s *scanner) next(chunk []byte) (line []byte, ended bool, rest []byte) {
	i := bytes.IndexByte(chunk, '\n')
	if i < 0 {
		s.hold(chunk)
		return nil, false, nil
	}
	if len(s.partial) == 0 && i <= lineMax {
		line = chunk[:i]
	} else {
		s.hold(chunk[:i])
		line = s.partial
		s.partial = nil // long ones are rare, and a side lives long
	}
	return bytes.TrimSuffix(line, []byte{'\r'}), true, chunk[i+1:]
}

// hold appends to the unfinished line and keeps it within lineMax.
func (s *scanner) hold(b []byte) {
	for len(b) > 0 {
		n := min(len(b), lineMax-len(s.partial))
		s.partial = append(s.partial, b[:n]...)
		b = b[n:]
		if len(s.partial) < lineMax {
			return
		}
		// Secrets are hidden before the middle is dropped: a part of one would not be known for what it is. What is
		// at the end may be the beginning of one, and stays whole.
		end := len(s.partial) - 4*window
		head := s.mask.hide(string(s.partial[:end]))
		head = head[:min(len(head), 2*lineKept)]
		s.partial = append([]byte(head), s.partial[end:]...)
	}
}

// window returns the end of the unfinished line.
func (s *scanner) window() []byte { return s.partial[max(0, len(s.partial)-window):] }

// take ends the unfinished line by hand, because it was a prompt that has been answered.
func (s *scanner) take() {
	s.partial = s.partial[:0]
	s.taken = true
}

// leftover says whether line is only the newline behind an answered prompt; it may be asked once for each line.
func (s *scanner) leftover(line []byte) bool {
	was := s.taken
	s.taken = false
	return was && len(line) == 0
}
