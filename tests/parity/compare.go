package parity

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Rule says that something of a result may differ, and why.
type Rule struct {
	Why  string
	Doc  string // the heading of docs/differences.md, for what Spindle does otherwise on purpose
	Task string // regular expression on "play / task / event"; "" is every one
	Path string // regular expression on a key's path, as ansible_facts.ansible_env.SHLVL; "" is every path
	From string // regular expression to be rewritten to To; "" drops the key altogether
	To   string
	Set  bool // the order of the list at Path means nothing
	Text bool // holds for what is printed, and not for results
	Gone bool // texts of lists that From matches do not count at all
}

// compiled is a rule ready for use.
type compiled struct {
	Rule
	task, path, from *regexp.Regexp
}

func compile(rules []Rule) []*compiled {
	var out []*compiled
	anchored := func(s string) *regexp.Regexp {
		if s == "" {
			return nil
		}
		return regexp.MustCompile("^(?:" + s + ")$")
	}
	for _, r := range rules {
		c := &compiled{Rule: r, task: anchored(r.Task), path: anchored(r.Path)}
		if r.From != "" {
			c.from = regexp.MustCompile(r.From)
		}
		out = append(out, c)
	}
	return out
}

func (c *compiled) applies(task, path string) bool {
	return (c.task == nil || c.task.MatchString(task)) && (c.path == nil || c.path.MatchString(path))
}

// flatten turns a result into its leaves by path, with the rules applied. An empty list or object is a leaf of its own.
func flatten(out map[string]string, rules []*compiled, task, path string, v any) {
	for _, r := range rules {
		if path != "" && r.from == nil && !r.Set && r.applies(task, path) {
			return
		}
	}
	join := func(key string) string {
		if path == "" {
			return key
		}
		return path + "." + key
	}
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			out[path] = "{}"
		}
		for k, e := range v {
			flatten(out, rules, task, join(k), e)
		}
	case []any:
		if len(v) == 0 {
			out[path] = "[]"
		}
		v = without(v, rules, task, path)
		for _, r := range rules {
			if r.Set && r.applies(task, path) {
				v = slices.Clone(v)
				slices.SortFunc(v, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
		}
		for i, e := range v {
			flatten(out, rules, task, join(fmt.Sprint(i)), e)
		}
	case string:
		for _, r := range rules {
			if r.from != nil && !r.Gone && !r.Text && r.applies(task, path) {
				v = r.from.ReplaceAllString(v, r.To)
			}
		}
		out[path] = fmt.Sprintf("%q", v)
	default:
		b, _ := json.Marshal(v)
		out[path] = string(b)
	}
}

// without leaves out the elements of a list that do not count.
func without(list []any, rules []*compiled, task, path string) []any {
	for _, r := range rules {
		if r.Gone && len(list) > 0 && r.applies(task, path) {
			list = slices.DeleteFunc(slices.Clone(list), func(e any) bool {
				s, ok := e.(string)
				return ok && r.from.MatchString(s)
			})
		}
	}
	return list
}

// Compare lists how the second run differs from the first, one line a difference. The lines name the playbook where a run had several,
// the host, the task and the key.
func Compare(want, got []Record, rules []Rule) []string {
	cs := compile(rules)
	want, got = lastRecaps(want), lastRecaps(got)
	books, hosts := map[string]bool{}, map[string]bool{}
	for _, r := range slices.Concat(want, got) {
		books[r.Playbook], hosts[r.Host] = true, true
	}
	delete(hosts, "") // see Announced
	var out []string
	for _, b := range slices.Sorted(maps.Keys(books)) {
		wantIn, gotIn := In(want, b), In(got, b)
		for _, h := range slices.Sorted(maps.Keys(hosts)) {
			name := h
			if len(books) > 1 {
				name = b + ".yml: " + h
			}
			out = append(out, compareHost(name, Of(wantIn, h), Of(gotIn, h), cs)...)
		}
	}
	return out
}

// Announced lists how what is told of no host differs: plays, tasks and handlers that begin, in the order of the playbook where every play is linear. Where
// one is not, their number counts. How often they come depends on the strategy, so that it must be the same but for our prefix.
func Announced(want, got []Record) []string {
	ordered := !slices.ContainsFunc(want, func(r Record) bool { return r.Event == "play" && !strings.HasSuffix(r.Action, "linear") })
	of := func(rs []Record) []Record {
		rs = slices.Clone(Of(rs, ""))
		for i, r := range rs {
			rs[i].Play, rs[i].Action = r.Playbook+": "+r.Play, strings.TrimPrefix(r.Action, "mitogen_")
			if r.Action == "mitogen" { // linear by another name
				rs[i].Action = "linear"
			}
		}
		if !ordered {
			slices.SortStableFunc(rs, func(a, b Record) int { return strings.Compare(a.identity(), b.identity()) })
		}
		return rs
	}
	return compareHost("the run", of(want), of(got), nil)
}

// lastRecaps leaves out all recaps but each host's last. A run has one behind each playbook, and they add up.
func lastRecaps(rs []Record) []Record {
	last := map[string]int{}
	for i, r := range rs {
		if r.Event == "recap" {
			last[r.Host] = i
		}
	}
	var out []Record
	for i, r := range rs {
		if r.Event != "recap" || last[r.Host] == i {
			out = append(out, r)
		}
	}
	return out
}

// compareHost aligns the results of one host: the same event of the same task, in the order in which each came.
func compareHost(host string, want, got []Record, rules []*compiled) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, host+": "+fmt.Sprintf(format, args...)) }
	numbered := func(rs []Record) ([]string, map[string]Record) {
		seen, order, by := map[string]int{}, []string{}, map[string]Record{}
		for _, r := range rs {
			id := r.identity()
			seen[id]++
			key := fmt.Sprintf("%s #%d", id, seen[id])
			order, by[key] = append(order, key), r
		}
		return order, by
	}
	wantOrder, wantBy := numbered(want)
	gotOrder, gotBy := numbered(got)
	var common []string
	for _, key := range wantOrder {
		if g, ok := gotBy[key]; !ok {
			say("%s: missing, was %s", key, short(wantBy[key].Result))
		} else {
			common = append(common, key)
			if d := compareRecord(wantBy[key], g, rules); len(d) > 0 {
				for _, line := range d {
					say("%s: %s", key, line)
				}
			}
		}
	}
	i := 0
	for _, key := range gotOrder {
		if _, ok := wantBy[key]; !ok {
			say("%s: unexpected: %s", key, short(gotBy[key].Result))
			continue
		}
		if common[i] != key {
			say("%s: came where %s was expected", key, common[i])
			break
		}
		i++
	}
	return out
}

func compareRecord(want, got Record, rules []*compiled) []string {
	var out []string
	if want.Ignored != got.Ignored {
		out = append(out, fmt.Sprintf("ignored: %v, want %v", got.Ignored, want.Ignored))
	}
	if want.Action != got.Action {
		out = append(out, fmt.Sprintf("action: %v, want %v", got.Action, want.Action))
	}
	w, g := map[string]string{}, map[string]string{}
	flatten(w, rules, want.identity(), "", want.Result)
	flatten(g, rules, got.identity(), "", got.Result)
	paths := maps.Clone(w)
	maps.Copy(paths, g)
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		wv, inWant := w[p]
		gv, inGot := g[p]
		switch {
		case !inGot:
			out = append(out, fmt.Sprintf("%s: missing, want %s", p, clip(wv)))
		case !inWant:
			out = append(out, fmt.Sprintf("%s: unexpected %s", p, clip(gv)))
		case wv != gv:
			out = append(out, fmt.Sprintf("%s: %s, want %s", p, clip(gv), clip(wv)))
		}
	}
	return out
}

// short shows the beginning of a result that has no counterpart.
func short(v any) string {
	b, _ := json.Marshal(v)
	if len(b) > 160 {
		return string(b[:160]) + "…"
	}
	return string(b)
}

func clip(s string) string {
	if len(s) > 400 {
		return s[:250] + " … " + s[len(s)-140:]
	}
	return s
}

// Summary shortens a list of differences for a failure message: the first of each kind of key, with counts.
func Summary(lines []string, limit int) string {
	if len(lines) <= limit {
		return strings.Join(lines, "\n")
	}
	return strings.Join(lines[:limit], "\n") + fmt.Sprintf("\n… and %d more", len(lines)-limit)
}
