package become

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

// translation reads one text of a GNU message catalogue; "" if it has none.
func translation(t *testing.T, name, id string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < 20 || binary.LittleEndian.Uint32(b) != 0x950412de {
		t.Fatalf("%s is no catalogue", name)
	}
	number := func(at uint32) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	text := func(at uint32) string { return string(b[number(at+4):][:number(at)]) }
	charset := "utf-8"
	for i := range number(8) {
		from, to := number(12)+8*i, number(16)+8*i
		switch text(from) {
		case "":
			charset = strings.ToLower(text(to))
		case id:
			if !strings.Contains(charset, "charset=utf-8") {
				return ""
			}
			return text(to)
		}
	}
	return ""
}
