package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"spindle/benchmarks/meter"
	"spindle/benchmarks/run"
	"spindle/benchmarks/wire"
	"spindle/tests/proxy"
)

// report is everything one comparison found out.
type report struct {
	Taken   string   `json:"taken"`
	CPUs    int      `json:"cpus"`
	Load    string   `json:"load_before"`
	Ansible string   `json:"ansible"`
	Mitogen string   `json:"mitogen,omitempty"`
	Spindle string   `json:"spindle"`
	Server  string   `json:"server"`
	Rounds  int      `json:"rounds"`
	Notes   []string `json:"notes,omitempty"`
	Rows    []row    `json:"cases"`
}

// row is one case under every contender.
type row struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Engines []column `json:"engines"`
}

// column is one contender's results in one case, one of each list for every run.
type column struct {
	Name       string        `json:"name"`
	Title      string        `json:"title"`
	Wall       []float64     `json:"wall_seconds"`
	CPU        []float64     `json:"cpu_seconds"`
	Stopped    int           `json:"stopped_at_the_limit,omitempty"` // how many of the runs
	Failed     bool          `json:"failed,omitempty"`
	Traffic    []traffic     `json:"traffic,omitempty"`
	Controller []meter.Tally `json:"controller,omitempty"`
	Target     []meter.Tally `json:"target,omitempty"`
	Idle       []idle        `json:"idle,omitempty"`
	Course     *timeline     `json:"course,omitempty"` // of the last run
}

// traffic is what crossed the wire in one run.
type traffic = wire.Traffic

func trafficOf(c proxy.Counters) traffic {
	return traffic{Connections: c.Connections, RoundTrips: c.Flights, Up: c.Up, Down: c.Down}
}

func newRow(one oneCase, engines []run.Engine) row {
	r := row{Name: one.key(), Title: one.title}
	if one.line != (line{}) {
		r.Title += " " + strings.Replace(one.line.suffix(), "@", "@ ", 1)
	}
	for _, engine := range engines {
		r.Engines = append(r.Engines, column{Name: engine.Name, Title: engine.Title})
	}
	return r
}

func (c *column) add(result run.Result) {
	c.Wall = append(c.Wall, result.Wall.Round(time.Microsecond).Seconds())
	c.CPU = append(c.CPU, result.CPU.Round(time.Microsecond).Seconds())
}

// median is the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// each takes one figure out of every element.
func each[T any](list []T, of func(T) float64) []float64 {
	figures := make([]float64, 0, len(list))
	for _, one := range list {
		figures = append(figures, of(one))
	}
	return figures
}

// usage is the median of one figure of a kind of process.
func usage(list []meter.Tally, kind string, of func(meter.Usage) float64) float64 {
	return median(each(list, func(t meter.Tally) float64 {
		if t[kind] == nil {
			return 0
		}
		return of(*t[kind])
	}))
}

// column finds a contender's results in a case, or nil.
func (r *report) column(key, engine string) *column {
	for i := range r.Rows {
		if r.Rows[i].Name != key {
			continue
		}
		for j := range r.Rows[i].Engines {
			if r.Rows[i].Engines[j].Name == engine {
				return &r.Rows[i].Engines[j]
			}
		}
	}
	return nil
}

func (r *report) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}

// merge adds another part of the same comparison: its rows, and to rows that are there already its runs.
func (r *report) merge(other *report) {
	for _, theirs := range other.Rows {
		i := slices.IndexFunc(r.Rows, func(ours row) bool { return ours.Name == theirs.Name })
		if i < 0 {
			theirs.Engines = slices.Clone(theirs.Engines) // theirs stays as it is
			r.Rows = append(r.Rows, theirs)
			continue
		}
		for _, c := range theirs.Engines {
			if ours := r.column(theirs.Name, c.Name); ours != nil {
				ours.merge(c)
			} else {
				r.Rows[i].Engines = append(r.Rows[i].Engines, c)
			}
		}
	}
	for _, one := range r.Rows {
		slices.SortStableFunc(one.Engines, func(a, b column) int { return slices.Index(contenders, a.Name) - slices.Index(contenders, b.Name) })
	}
	for _, text := range other.Notes {
		r.note("%s", text)
	}
	r.Rounds = max(r.Rounds, other.Rounds)
}

// contenders are all there are, in the order of tables.
var contenders = []string{"stock", "mitogen", "spindle"}

// merge adds the runs of another part.
func (c *column) merge(o column) {
	c.Wall, c.CPU, c.Stopped = slices.Concat(c.Wall, o.Wall), slices.Concat(c.CPU, o.CPU), c.Stopped+o.Stopped
	c.Failed = c.Failed || o.Failed
	c.Traffic, c.Idle = slices.Concat(c.Traffic, o.Traffic), slices.Concat(c.Idle, o.Idle)
	c.Controller, c.Target = slices.Concat(c.Controller, o.Controller), slices.Concat(c.Target, o.Target)
	if c.Course == nil {
		c.Course = o.Course
	}
}

// WriteJSON writes all single results to a file. Whoever reads it meanwhile finds the old ones or the new ones.
func (r *report) WriteJSON(path string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func readReport(path string) (*report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &r, nil
}

// writeMarkdownFile writes the tables, and links to charts.
func (r *report) writeMarkdownFile(path string, charts []string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	r.WriteMarkdown(file)
	for _, chart := range charts {
		name := filepath.Base(chart)
		fmt.Fprintf(file, "![%s](%s)\n\n", strings.TrimSuffix(name, ".svg"), name)
	}
	return file.Close()
}

// WriteMarkdown writes the tables.
func (r *report) WriteMarkdown(w io.Writer) {
	fmt.Fprintf(w, "%s, %d CPUs (load %s before), %s, ", r.Taken, r.CPUs, r.Load, r.Ansible)
	if r.Mitogen != "" {
		fmt.Fprintf(w, "%s, ", r.Mitogen)
	}
	fmt.Fprintf(w, "%s, %s; medians of %d interleaved rounds.\n\n", r.Spindle, r.Server, r.Rounds)
	for _, note := range r.Notes {
		fmt.Fprintf(w, "%s\n\n", note)
	}
	if len(r.Rows) == 0 {
		return
	}
	r.writeGoals(w)
	r.table(w, "Wall time, seconds", wall)
	if r.column("empty", "spindle") != nil {
		r.table(w, "Wall time above start-up, seconds", aboveStartUp)
	}
	r.table(w, "CPU time on the controller, seconds", cpu)
	r.traffic(w)
	r.processes(w)
	r.idle(w)
}

// all are the contenders of any row, in order.
func (r *report) all() []column {
	var all []column
	for _, name := range contenders {
		for _, one := range r.Rows {
			if c := r.column(one.Name, name); c != nil {
				all = append(all, column{Name: c.Name, Title: c.Title})
				break
			}
		}
	}
	return all
}

// table writes one row for each case: each contender's median, and Spindle's as a part of each other's.
func (r *report) table(w io.Writer, title string, of measureOf) {
	engines := r.all()
	var head, under strings.Builder
	fmt.Fprintf(&head, "| %s |", title)
	under.WriteString("| --- |")
	own := slices.ContainsFunc(engines, func(c column) bool { return c.Name == "spindle" })
	for _, c := range engines {
		fmt.Fprintf(&head, " %s |", c.Title)
		under.WriteString(" ---: |")
	}
	for _, c := range engines {
		if own && c.Name != "spindle" {
			fmt.Fprintf(&head, " Spindle ÷ %s |", c.Title)
			under.WriteString(" ---: |")
		}
	}
	fmt.Fprintf(w, "%s\n%s\n", &head, &under)
	for _, one := range r.Rows {
		fmt.Fprintf(w, "| %s: %s |", one.Name, one.Title)
		for _, c := range engines {
			fmt.Fprintf(w, " %s |", r.cell(of, one.Name, c.Name))
		}
		mine, known := of(r, one.Name, "spindle")
		for _, c := range engines {
			if !own || c.Name == "spindle" {
				continue
			}
			base, compared := of(r, one.Name, c.Name)
			if !known || !compared || base.median <= 0 {
				fmt.Fprint(w, "  |")
				continue
			}
			mark := ""
			if base.atLeast {
				mark = "< "
			}
			fmt.Fprintf(w, " %s%.3f |", mark, mine.median/base.median)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}

// cell is one median; runs that were stopped or left out are said.
func (r *report) cell(of measureOf, key, engine string) string {
	v, ok := of(r, key, engine)
	if !ok {
		return ""
	}
	c := r.column(key, engine)
	text := fmt.Sprintf("%.2f", v.median)
	if v.atLeast {
		text = "> " + text
	}
	if len(c.Wall) != 0 && len(c.Wall) < r.Rounds {
		text += fmt.Sprintf(" (%d×)", len(c.Wall))
	}
	return text
}

// section writes a table with a line for each contender of each case that has something in it. figures are as many as head names.
func (r *report) section(w io.Writer, head string, runs func(c column) int, figures func(c column) string) {
	var lines strings.Builder
	for _, one := range r.Rows {
		for _, c := range one.Engines {
			if runs(c) != 0 {
				fmt.Fprintf(&lines, "| %s | %s | %s |\n", one.Name, c.Title, figures(c))
			}
		}
	}
	if lines.Len() == 0 {
		return
	}
	fmt.Fprintf(w, "| %s |\n| --- | --- |%s\n%s\n", head, strings.Repeat(" ---: |", strings.Count(head, "|")-1), &lines)
}

// traffic writes what crossed the wire.
func (r *report) traffic(w io.Writer) {
	r.section(w, "On the wire | contender | connections | round trips | KiB to the target | packets | KiB from the target | packets",
		func(c column) int { return len(c.Traffic) },
		func(c column) string {
			of := func(f func(t traffic) int64) float64 {
				return median(each(c.Traffic, func(t traffic) float64 { return float64(f(t)) }))
			}
			return fmt.Sprintf("%.0f | %.0f | %.1f | %.0f | %.1f | %.0f",
				of(func(t traffic) int64 { return t.Connections }), of(func(t traffic) int64 { return t.RoundTrips }),
				of(func(t traffic) int64 { return t.Up })/1024, of(func(t traffic) int64 { return t.PacketsUp }),
				of(func(t traffic) int64 { return t.Down })/1024, of(func(t traffic) int64 { return t.PacketsDown }))
		})
}

func cpuOf(u meter.Usage) float64     { return u.CPU }
func peakOf(u meter.Usage) float64    { return float64(u.PeakRSS) / (1 << 20) }
func faultsOf(u meter.Usage) float64  { return float64(u.MinorFaults) / 1000 }
func majorOf(u meter.Usage) float64   { return float64(u.MajorFaults) }
func startedOf(u meter.Usage) float64 { return float64(u.Processes) }

// processes writes what the kernel counted of every process, by kind.
func (r *report) processes(w io.Writer) {
	r.section(w, "Controller | contender | CPU s: main | workers | multiplexer | ssh | other | processes | minor faults, thousands | major | multiplexer's peak MiB",
		func(c column) int { return len(c.Controller) },
		func(c column) string {
			u := func(kind string, of func(meter.Usage) float64) float64 { return usage(c.Controller, kind, of) }
			return fmt.Sprintf("%.2f | %.2f | %.2f | %.2f | %.2f | %.0f | %.1f | %.0f | %.1f", u(meter.Main, cpuOf),
				u(meter.Workers, cpuOf), u(meter.Multiplexer, cpuOf), u(meter.SSH, cpuOf), u(meter.Other, cpuOf), u(meter.All, startedOf),
				u(meter.All, faultsOf), u(meter.All, majorOf), u(meter.Multiplexer, peakOf))
		})
	r.section(w, "Target | contender | CPU s: all | sshd | Python | processes | minor faults, thousands | largest Python's peak MiB",
		func(c column) int { return len(c.Target) },
		func(c column) string {
			u := func(kind string, of func(meter.Usage) float64) float64 { return usage(c.Target, kind, of) }
			return fmt.Sprintf("%.2f | %.2f | %.2f | %.0f | %.1f | %.1f", u(meter.All, cpuOf), u("sshd", cpuOf),
				u("python", cpuOf), u(meter.All, startedOf), u(meter.All, faultsOf), u("python", peakOf))
		})
}

// idle writes the memory of what waits.
func (r *report) idle(w io.Writer) {
	r.section(w, "Memory while hosts are idle | contender | multiplexer, MiB | its anonymous, MiB | clients of OpenSSH, MiB",
		func(c column) int { return len(c.Idle) },
		func(c column) string {
			of := func(f func(i idle) float64) float64 { return median(each(c.Idle, f)) / (1 << 20) }
			return fmt.Sprintf("%.1f | %.1f | %.1f", of(func(i idle) float64 { return float64(i.Multiplexer) }),
				of(func(i idle) float64 { return float64(i.Anonymous) }), of(func(i idle) float64 { return float64(i.Clients) }))
		})
}
