package transports

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzScanner cuts a stream at will, and compares the lines with those of the whole stream. What the scanner holds
// stays bounded, and no line shows the secret.
func FuzzScanner(f *testing.F) {
	f.Add([]byte("banner\r\nPassword:\nhunter2\nSPINDLE1 n\n\x00\x00"), uint16(3), uint32(0))
	f.Add([]byte("hunter2\nrest"), uint16(4096), uint32(70000))
	f.Add([]byte("hunter2\n\n"), uint16(1), uint32(1020))
	f.Fuzz(func(t *testing.T, stream []byte, size uint16, pad uint32) {
		stream = append(bytes.Repeat([]byte{'-'}, int(pad%(3*lineMax))), stream...)
		m := newMask([]Prompt{{Answer: NewSecret("hunter2")}})
		s := &scanner{mask: m}
		var got []string
		for b := stream; len(b) > 0; {
			n := min(len(b), int(size)+1)
			for rest := b[:n]; len(rest) > 0; {
				var line []byte
				var ended bool
				line, ended, rest = s.next(rest)
				if ended {
					got = append(got, m.readable(line))
				}
			}
			b = b[n:]
			if len(s.partial) > lineMax || len(s.window()) > window {
				t.Fatalf("holds %d bytes", len(s.partial))
			}
		}
		whole := bytes.Split(stream, []byte{'\n'})
		if len(got) != len(whole)-1 {
			t.Fatalf("%d lines, want %d", len(got), len(whole)-1)
		}
		for i, line := range got {
			if strings.Contains(line, "hunter2") || len(line) > 5*lineKept {
				t.Fatalf("line %d is %q", i, line)
			}
			if !plain(line) && strings.ContainsAny(line, "\x00\x1b\r\n\x7f") {
				t.Fatalf("line %d steers the terminal: %q", i, line)
			}
			if len(whole[i]) < lineMax && line != m.readable(bytes.TrimSuffix(whole[i], []byte{'\r'})) {
				t.Fatalf("line %d is %q, want %q", i, line, whole[i])
			}
		}
	})
}
