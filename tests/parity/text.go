package parity

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// result is what the default callback prints of a result; the records have that already, and by keys.
var result = regexp.MustCompile(`(?s) => (\(item=.*?\) )?(=> )?\{.*?\n?\}$`)

// counted are lines of which a run prints as many as it has to wait.
var counted = regexp.MustCompile(`RETRYING|ASYNC POLL|^\s*$`)

// banner are lines that come again, under strategies other than linear, whenever another host is at another task. Results name their tasks.
var banner = regexp.MustCompile(`^(TASK|RUNNING HANDLER) \[`)

// included is a line that names hosts as they came.
var included = regexp.MustCompile(`^(included: .* for )(.*)$`)

// item is what it has behind some of them.
var item = regexp.MustCompile(` => \(item=[^)]*\)`)

// rewritten applies every rule that holds for any text.
func rewritten(s string, rules []Rule) string {
	for _, r := range compile(rules) {
		if r.from != nil && r.Path == "" && r.Task == "" {
			s = r.from.ReplaceAllString(s, r.To)
		}
	}
	return s
}

// Printed lists how what two runs printed differs, whatever the order: each host's results come as they come. Results themselves do not count here.
func Printed(want, got string, rules []Rule) []string {
	return multiset(lines(want, rules), lines(got, rules), func(s string) string { return s })
}

// Said is [Printed] for standard error, where warnings and errors come in paragraphs, broken at some width.
func Said(want, got string, rules []Rule) []string {
	// Where a long word was broken, rules find it only without the spaces.
	same := func(s string) string { return rewritten(space.ReplaceAllString(s, ""), rules) }
	return multiset(paragraphs(want, rules), paragraphs(got, rules), same)
}

func lines(s string, rules []Rule) []string {
	var out []string
	block := ""
	for line := range strings.Lines(strings.ReplaceAll(s, "\r", "")) {
		line = strings.TrimRight(line, "\n")
		if block == "" && strings.HasSuffix(line, " => {") {
			block = line
			continue
		}
		if block != "" {
			if line != "}" {
				continue
			}
			line, block = block+"}", ""
		}
		line = result.ReplaceAllString(line, " => {}")
		line = rewritten(line, rules)
		if m := included.FindStringSubmatch(item.ReplaceAllString(line, "")); m != nil {
			hosts := strings.Split(m[2], ", ")
			slices.Sort(hosts)
			line = m[1] + strings.Join(hosts, ", ")
		}
		if counted.MatchString(line) || banner.MatchString(line) {
			continue
		}
		out = append(out, line)
	}
	return out
}

// width is where Ansible breaks a paragraph that does not go to a terminal.
const width = 79

func paragraphs(s string, rules []Rule) []string {
	var out []string
	broken := false // the line before ends within a word
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, "\n")
		within := broken
		broken = len(line) == width || strings.HasSuffix(line, "-")
		line = strings.TrimSpace(line)
		switch {
		case line == "":
			out = append(out, "")
		case len(out) == 0 || strings.HasPrefix(line, "["):
			out = append(out, line)
		case out[len(out)-1] == "":
			out[len(out)-1] = line
		case within:
			out[len(out)-1] += line
		default:
			out[len(out)-1] += " " + line
		}
	}
	out = slices.DeleteFunc(out, func(p string) bool { return p == "" })
	for i, p := range out {
		out[i] = rewritten(p, rules)
	}
	return slices.DeleteFunc(out, func(p string) bool { return strings.TrimSpace(p) == "" })
}

// space is where a paragraph may have been broken: between words, and within long ones.
var space = regexp.MustCompile(`\s+`)

// multiset lists what one has more often than the other. The same is what same makes of it.
func multiset(want, got []string, same func(string) string) []string {
	count, text := map[string]int{}, map[string]string{}
	for _, w := range want {
		count[same(w)]++
		text[same(w)] = w
	}
	for _, g := range got {
		count[same(g)]--
		text[same(g)] = g
	}
	var out []string
	for _, s := range slices.Sorted(maps.Keys(count)) {
		for n := count[s]; n > 0; n-- {
			out = append(out, "- "+clip(text[s]))
		}
		for n := count[s]; n < 0; n++ {
			out = append(out, "+ "+clip(text[s]))
		}
	}
	return out
}
