package main

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// initMax is how much one of our packages may allocate before main begins, in bytes. Whoever wants a ping waits for that.
const initMax = 96 << 10

var initLine = regexp.MustCompile(`(?m)^init (\S+) @.* (\d+) bytes, \d+ allocs$`)

// The program starts for every run of ansible-playbook: what is not needed at once is made when it is, a pattern of all that doas may say (a
// megabyte) among it.
func TestStartingMakesLittle(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^$")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ours := 0
	for _, m := range initLine.FindAllStringSubmatch(string(out), -1) {
		if !strings.HasPrefix(m[1], "spindle/") {
			continue
		}
		ours++
		if n, err := strconv.Atoi(m[2]); err != nil || n > initMax {
			t.Errorf("%s makes %s bytes before main begins, want at most %d", m[1], m[2], initMax)
		}
	}
	if ours < 5 {
		t.Errorf("only %d of our packages are in the trace:\n%s", ours, out)
	}
}
