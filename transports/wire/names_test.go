package wire

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// docs/protocol.md is the definition: its tables must name the kinds, with as many
// elements, and the statuses that the code has.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	elements := map[string]int{}
	for _, v := range readVectors(t).Frames {
		elements[v.Kind.String()] = len(v.Header)
	}
	var kinds, statuses int
	row := regexp.MustCompile(`(?m)^\| *(\d+) *\| *([A-Z_]+) *\|(.*)\|$`)
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		n, _ := strconv.Atoi(m[1])
		cells := strings.Split(m[3], "|")
		if len(cells) == 1 {
			statuses++
			if got := Status(n).String(); got != m[2] {
				t.Errorf("status %d is %s here, %s in the document", n, got, m[2])
			}
			continue
		}
		kinds++
		if got := Kind(n).String(); got != m[2] {
			t.Errorf("kind %d is %s here, %s in the document", n, got, m[2])
		}
		// Remarks in brackets have commas of their own.
		header := regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(cells[1], "")
		if got := len(strings.Split(header, ",")); got != elements[m[2]] {
			t.Errorf("%s has %d elements here, %d in the document", m[2], elements[m[2]], got)
		}
	}
	if kinds != int(KindPart) || statuses != int(StatusStale)+1 {
		t.Errorf("the document lists %d kinds and %d statuses", kinds, statuses)
	}
}

func TestNames_Unknown(t *testing.T) {
	if got, want := Kind(99).String(), "kind 99"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Status(99).String(), "status 99"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	err := &ProtocolError{Kind: KindCall, ID: 7, Reason: reasonMeta}
	if got, want := err.Error(), "protocol error: CALL (id 7): meta_len does not fit the body"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFlags_Has(t *testing.T) {
	f := FlagMore | FlagStream
	if !f.Has(FlagMore) || !f.Has(FlagMore|FlagStream) || f.Has(FlagNoReply) || f.Has(FlagMore|FlagNoReply) {
		t.Errorf("Has is wrong about %b", f)
	}
}

func TestDigest(t *testing.T) {
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if got := Sum(nil).String(); got != empty {
		t.Errorf("Sum(nil) = %s, want %s", got, empty)
	}
	got, err := ParseDigest(strings.ToUpper(empty))
	if err != nil || got != Sum(nil) {
		t.Errorf("ParseDigest gave %v, %v", got, err)
	}
	for _, bad := range []string{"", empty[1:], empty + "00", "g" + empty[1:]} {
		if _, err := ParseDigest(bad); err == nil {
			t.Errorf("ParseDigest(%q) took it", bad)
		}
	}
	text, err := json.Marshal(map[Digest]Digest{Sum(nil): Sum([]byte("x"))})
	if err != nil {
		t.Fatal(err)
	}
	var back map[Digest]Digest
	if err := json.Unmarshal(text, &back); err != nil || back[Sum(nil)] != Sum([]byte("x")) {
		t.Errorf("from JSON %s: %v, %v", text, back, err)
	}
	if err := json.Unmarshal([]byte(`["abc"]`), &[]Digest{}); err == nil {
		t.Error("a short digest came through JSON")
	}
}

func TestClip(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("x", MaxText)} {
		if got := Clip(text); got != text {
			t.Errorf("Clip changed a text of %d bytes", len(text))
		}
	}
	for _, unit := range []string{"x", "é", "€", "😀", "a€"} {
		for extra := range 4 {
			text := strings.Repeat("y", extra) + strings.Repeat(unit, MaxText+1)
			got := Clip(text)
			if len(got) > MaxText || len(got) < MaxText-10 || !utf8.ValidString(got) || !strings.Contains(got, "\n[...]\n") {
				t.Errorf("Clip of many %q: %d bytes, valid %v", unit, len(got), utf8.ValidString(got))
			}
			if !strings.HasPrefix(text, got[:1000]) || !strings.HasSuffix(text, got[len(got)-1000:]) {
				t.Errorf("Clip of many %q lost an end", unit)
			}
		}
	}
	if got := Clip(strings.Repeat("\x80", 100000)); len(got) > MaxText {
		t.Errorf("%d bytes of noise are left", len(got))
	}
	long := Clip(strings.Repeat("\n", 1<<20))
	b, err := Append(nil, Frame{Header: Log{Logger: long, Text: long}})
	if err != nil {
		t.Fatalf("two clipped texts: %v", err)
	}
	if _, err := NewReader(bytes.NewReader(b)).Next(); err != nil {
		t.Error(err)
	}
}
