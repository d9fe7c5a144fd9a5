package parity

import (
	"fmt"
	"strings"
)

// Report is a list of differences in groups, such as results, files and so on.
type Report struct{ groups []group }

type group struct {
	name  string
	lines []string
}

// Add puts lines into a group; without lines it does nothing.
func (r *Report) Add(name string, lines ...string) {
	if len(lines) == 0 {
		return
	}
	for i := range r.groups {
		if r.groups[i].name == name {
			r.groups[i].lines = append(r.groups[i].lines, lines...)
			return
		}
	}
	r.groups = append(r.groups, group{name, lines})
}

// Len is the number of differences.
func (r *Report) Len() int {
	n := 0
	for _, g := range r.groups {
		n += len(g.lines)
	}
	return n
}

// String shows the report, of each group the first lines.
func (r *Report) String() string {
	var b strings.Builder
	for _, g := range r.groups {
		fmt.Fprintf(&b, "%s: %d\n", g.name, len(g.lines))
		fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(Summary(g.lines, 40), "\n", "\n  "))
	}
	return b.String()
}

// Rewrite applies every rule that holds for any text.
func Rewrite(s string, rules []Rule) string { return rewritten(s, rules) }

// Counts describes a run in a few words.
func Counts(rs []Record) string {
	tasks, hosts, results := map[string]bool{}, map[string]bool{}, 0
	for _, r := range rs {
		if !r.IsResult() {
			continue
		}
		results++
		hosts[r.Host] = true
		tasks[r.Playbook+" / "+r.Play+" / "+r.Task] = true
	}
	return fmt.Sprintf("%d results of %d tasks on %d hosts", results, len(tasks), len(hosts))
}
