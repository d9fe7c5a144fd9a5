package main

import (
	"fmt"
	"io"
)

// measureOf is one figure of a contender in a case, lower being better, and whether there is one.
type measureOf func(r *report, key, engine string) (value, bool)

// value is a median. atLeast says that runs were stopped before their end, so that the true one is larger.
type value struct {
	median  float64
	atLeast bool
}

// goal is one row of what Spindle must show: ratios of Spindle's figure to those of the others that must not be exceeded. 0 is no goal.
type goal struct {
	name    string
	key     string
	of      measureOf
	mitogen float64
	stock   float64
}

// goals are the rows, in order.
var goals = []goal{
	{"100 × command loop, 0 ms, wall above start-up", "loop", aboveStartUp, 0.5, 0.08},
	{"the same at 26 ms, wall above start-up", "loop@26ms", aboveStartUp, 0.25, 0.07},
	{"the same at 370 ms, wall", "loop@370ms", wall, 0.15, 0},
	{"100 tasks, one host, wall", "tasks", wall, 0.7, 0.25},
	{"1,000-file tree at 26 ms, wall", "tree1000@26ms", wall, 0.15, 0.02},
	{"100-file tree at 370 ms, wall", "tree100@370ms", wall, 0.08, 0},
	{"246-task baseline play at 370 ms, wall", "baseline@370ms", wall, 0.6, 0.15},
	{"20 tasks on 50 hosts, wall", "hosts50", wall, 0.4, 0.15},
	{"20 tasks on 50 hosts, controller CPU", "hosts50", cpu, 0.4, 0},
	{"bytes to the target, 100 × command", "loop", bytesUp, 0.7, 0.01},
	{"320 MiB copy, wall", "copy320", wall, 0.35, 1.0},
	{"one ping", "ping", wall, 0.6, 1.0},
	{"memory of the multiplexer and its SSH clients, per idle host", "idle", perIdleHost, 0.25, 0},
}

// ofRuns is the median of one figure of all runs.
func ofRuns(figures func(c *column) []float64) measureOf {
	return func(r *report, key, engine string) (value, bool) {
		c := r.column(key, engine)
		if c == nil {
			return value{}, false
		}
		all := figures(c)
		return value{median(all), c.Stopped > 0}, len(all) != 0
	}
}

var (
	wall    = ofRuns(func(c *column) []float64 { return c.Wall })
	cpu     = ofRuns(func(c *column) []float64 { return c.CPU })
	bytesUp = ofRuns(func(c *column) []float64 {
		return each(c.Traffic, func(t traffic) float64 { return float64(t.Up) })
	})
)

// aboveStartUp is wall time less that of an empty play under the same contender.
func aboveStartUp(r *report, key, engine string) (value, bool) {
	v, ok := wall(r, key, engine)
	empty, known := wall(r, "empty", engine)
	v.median -= empty.median
	return v, ok && known
}

// perIdleHost is what each idle host adds to the memory of the multiplexer and of the SSH clients that it starts, which Spindle's is itself:
// the difference between many hosts and one.
func perIdleHost(r *report, _, engine string) (value, bool) {
	few, many := r.column("idle1", engine), r.column("idle50", engine)
	if few == nil || many == nil || len(few.Idle) == 0 || len(many.Idle) == 0 {
		return value{}, false
	}
	own := func(i idle) float64 { return float64(i.Anonymous + i.Clients) }
	return value{(median(each(many.Idle, own)) - median(each(few.Idle, own))) / 49, false}, true
}

// writeGoals writes the table of goals: each ratio that was measured beside the one to reach.
func (r *report) writeGoals(w io.Writer) {
	fmt.Fprintln(w, "| what | of Mitogen: goal | measured | | of stock: goal | measured | |")
	fmt.Fprintln(w, "| --- | ---: | ---: | --- | ---: | ---: | --- |")
	for _, g := range goals {
		fmt.Fprintf(w, "| %s |", g.name)
		for _, other := range []struct {
			engine string
			goal   float64
		}{{"mitogen", g.mitogen}, {"stock", g.stock}} {
			own, known := g.of(r, g.key, "spindle")
			base, compared := g.of(r, g.key, other.engine)
			wanted := "–"
			if other.goal != 0 {
				wanted = fmt.Sprintf("≤ %.2f", other.goal)
			}
			fmt.Fprintf(w, " %s | %s |", wanted, verdict(own, base, known && compared, other.goal))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}

// verdict is two cells: the ratio, and whether the goal is reached.
func verdict(own, base value, measured bool, goal float64) string {
	if !measured || base.median <= 0 {
		if goal == 0 {
			return " | "
		}
		return "not measured | "
	}
	ratio := own.median / base.median
	text, said := fmt.Sprintf("%.3f", ratio), ""
	if base.atLeast {
		text = "< " + text // the other one's true figure is larger than where it was stopped
	}
	switch {
	case own.atLeast:
		text, said = "> "+text, "not reached"
	case goal == 0:
	case ratio <= goal:
		said = "reached"
	case base.atLeast:
		said = "not known"
	default:
		said = "not reached"
	}
	return text + " | " + said
}
