package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/tree"

	"spindle/actors/census"
)

// noticeable is from when on a part's current message is worth a note.
const noticeable = time.Second

// lineLimit cuts notes: an error of many lines belongs into the log, not into a tree.
const lineLimit = 160

// painter turns a census into text.
type painter struct {
	color bool
	now   time.Time
	pumps bool // show pumps, too: most readers have no use for them
}

// branch is a node with those below it. It has no record when only something below it was seen.
type branch struct {
	name   string
	record *census.Node
	below  []*branch
}

// grow makes a tree of the paths. Nodes come with parents first and siblings in order, and stay so.
func grow(nodes []census.Node) *branch {
	root := &branch{}
	for i := range nodes {
		at := root
		for step := range strings.SplitSeq(strings.Trim(nodes[i].Path, "/"), "/") {
			at = at.child(printable(step))
		}
		if at.record != nil { // two parts of one path, one on its way out
			twin := &branch{name: at.name}
			root.below = append(root.below, twin)
			at = twin
		}
		at.record = &nodes[i]
	}
	return root
}

func (b *branch) child(name string) *branch {
	for _, one := range b.below {
		if one.name == name {
			return one
		}
	}
	one := &branch{name: name}
	b.below = append(b.below, one)
	return one
}

// flatten lists the branches in the order in which a tree shows them.
func (b *branch) flatten(list []*branch) []*branch {
	for _, one := range b.below {
		list = one.flatten(append(list, one))
	}
	return list
}

// draw makes the library's tree of it, which knows how to draw lines.
func (b *branch) draw() *tree.Tree {
	t := tree.Root(b.name)
	for _, one := range b.below {
		if len(one.below) == 0 {
			t.Child(one.name)
			continue
		}
		t.Child(one.draw())
	}
	return t
}

var headings = []string{"", "KIND", "STATE", "QUEUE", "RESTARTS", "IN", "OUT", "AGE", "NOTE"}

// right tells which columns hold numbers.
var right = map[int]bool{3: true, 4: true, 5: true, 6: true, 7: true}

// write shows one multiplexer.
func (p painter) write(w io.Writer, m multiplexer) {
	fmt.Fprintf(w, "%s  ", p.paint(fmt.Sprintf("spindle %s, pid %d", m.Version, m.PID), bold))
	fmt.Fprintf(w, "for ansible-playbook %d, %s\n", m.Owner, m.Socket)

	grown := grow(p.shown(m.Nodes))
	var lines []string
	for _, top := range grown.below {
		lines = append(lines, strings.Split(top.draw().String(), "\n")...)
	}
	rows := [][]string{headings}
	for i, one := range grown.flatten(nil) {
		rows = append(rows, append([]string{lines[i]}, p.cells(one.record)...))
	}
	widths := make([]int, len(headings))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], lipgloss.Width(cell))
		}
	}
	for i, row := range rows {
		fmt.Fprintln(w, strings.TrimRight(p.line(row, widths, i == 0), " "))
	}
}

// shown leaves out what the reader did not ask for. A pump with an error is always of interest.
func (p painter) shown(nodes []census.Node) []census.Node {
	if p.pumps {
		return nodes
	}
	return slices.DeleteFunc(slices.Clone(nodes), func(n census.Node) bool { return n.Kind == "pump" && n.LastError == "" })
}

// cells are one node's columns behind its name.
func (p painter) cells(n *census.Node) []string {
	if n == nil {
		return make([]string, len(headings)-1)
	}
	return []string{
		printable(n.Kind), printable(cmp.Or(n.State, "-")), count(n.Queued), count(int64(n.Restarts)), size(n.BytesIn), size(n.BytesOut),
		age(p.now.Sub(n.Born)), note(n),
	}
}

// line aligns one row and colours what deserves a look.
func (p painter) line(row []string, widths []int, heading bool) string {
	var out strings.Builder
	for i, cell := range row {
		padding := strings.Repeat(" ", widths[i]-lipgloss.Width(cell))
		style := plain
		switch {
		case heading:
			style = faint
		case i == 2:
			style = stateStyle(cell)
		case i == 4 && cell != ".", i == 8:
			style = red
		case i == 3 && cell != ".":
			style = yellow
		case i != 0:
			style = faint
		}
		cell = p.paint(cell, style)
		if right[i] {
			out.WriteString(padding + cell)
		} else {
			out.WriteString(cell + padding)
		}
		out.WriteString("  ")
	}
	return out.String()
}

// The sixteen colours of every terminal, as its user has set them.
var (
	plain  = lipgloss.NewStyle()
	bold   = lipgloss.NewStyle().Bold(true)
	faint  = lipgloss.NewStyle().Faint(true)
	green  = lipgloss.NewStyle().Foreground(lipgloss.Green)
	yellow = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	red    = lipgloss.NewStyle().Foreground(lipgloss.Red)
)

func stateStyle(state string) lipgloss.Style {
	switch state {
	case "ready", "running", "idle", "listening":
		return green
	case "dialing", "starting", "restarting", "draining", "stopping":
		return yellow
	case "failed", "lost", "gone", "abandoned":
		return red
	}
	return plain
}

func (p painter) paint(text string, style lipgloss.Style) string {
	if !p.color || text == "" {
		return text
	}
	return style.Render(text)
}

// count shows a dot for zero: what is not zero should stand out.
func count(n int64) string {
	if n == 0 {
		return "."
	}
	return fmt.Sprint(n)
}

// size is a number of bytes in at most seven columns.
func size(n uint64) string {
	if n == 0 {
		return "."
	}
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value := float64(n)
	for _, unit := range []string{"KiB", "MiB", "GiB"} {
		if value /= 1024; value < 1024 {
			return fmt.Sprintf("%.1f %s", value, unit)
		}
	}
	return fmt.Sprintf("%.1f TiB", value/1024)
}

// age is a time span with the precision that its length deserves.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// note is what else there is to say: a long-running message, then the last error.
func note(n *census.Node) string {
	var parts []string
	if n.Busy >= noticeable {
		parts = append(parts, fmt.Sprintf("%s at %s", age(n.Busy), n.LastMessage))
	}
	if n.LastError != "" {
		parts = append(parts, n.LastError)
	}
	text := printable(strings.Join(strings.Fields(strings.Join(parts, "; ")), " "))
	if runes := []rune(text); len(runes) > lineLimit {
		text = string(runes[:lineLimit-1]) + "…"
	}
	return text
}

// printable takes away what could steer a terminal: names and errors may hold what a target wrote.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, text)
}
