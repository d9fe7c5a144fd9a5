package run

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Recap is what Ansible reports of one host at the end of a run.
type Recap struct {
	OK          int `json:"ok"`
	Changed     int `json:"changed"`
	Unreachable int `json:"unreachable"`
	Failed      int `json:"failed"`
	Skipped     int `json:"skipped"`
	Rescued     int `json:"rescued"`
	Ignored     int `json:"ignored"`
}

var recapLine = regexp.MustCompile(`(?m)^(\S+)\s+: (ok=\d+.*)$`)

// ParseRecap reads the recap lines of ansible-playbook's output, by host.
func ParseRecap(output string) map[string]Recap {
	recaps := map[string]Recap{}
	_, behind, _ := strings.Cut(output, "\nPLAY RECAP ")
	for _, line := range recapLine.FindAllStringSubmatch(behind, -1) {
		var r Recap
		fields := map[string]*int{
			"ok": &r.OK, "changed": &r.Changed, "unreachable": &r.Unreachable, "failed": &r.Failed,
			"skipped": &r.Skipped, "rescued": &r.Rescued, "ignored": &r.Ignored,
		}
		for _, pair := range strings.Fields(line[2]) {
			name, value, _ := strings.Cut(pair, "=")
			if field := fields[name]; field != nil {
				*field, _ = strconv.Atoi(value)
			}
		}
		recaps[line[1]] = r
	}
	return recaps
}

// Expect says what a run must have done to count.
type Expect struct {
	Hosts int // how many hosts the recap must name
	OK    int // tasks that every host must have passed
	// Adhoc is for `ansible -m`, which has no recap: the output must hold this text once a host.
	Adhoc string
}

// Check returns why a run does not count, or nil.
func (r Result) Check(want Expect) error {
	if r.Err != nil {
		return r.Err
	}
	if r.FellBack != "" {
		return fmt.Errorf("the run did not go through %s: %s", r.Engine, r.FellBack)
	}
	if want.Adhoc != "" {
		if got := strings.Count(r.Output, want.Adhoc); got != want.Hosts {
			return fmt.Errorf("the output holds %q %d times, not %d", want.Adhoc, got, want.Hosts)
		}
		return nil
	}
	recaps := ParseRecap(r.Output)
	if len(recaps) != want.Hosts {
		return fmt.Errorf("the recap names %d hosts, not %d", len(recaps), want.Hosts)
	}
	for host, recap := range recaps {
		if recap.OK != want.OK || recap.Failed != 0 || recap.Unreachable != 0 {
			return fmt.Errorf("recap of %s is %+v, where ok=%d without failures was expected", host, recap, want.OK)
		}
	}
	return nil
}
