package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"spindle/benchmarks/run"
	"spindle/tests/proxy"
)

// report is everything one comparison found out.
type report struct {
	Taken   string   `json:"taken"`
	CPUs    int      `json:"cpus"`
	Ansible string   `json:"ansible"`
	Spindle string   `json:"spindle"`
	Server  string   `json:"server"`
	Rounds  int      `json:"rounds"`
	Delay   string   `json:"delay"`
	Notes   []string `json:"notes,omitempty"`
	Rows    []row    `json:"cases"`
}

// row is one case under every engine.
type row struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Engines []column `json:"engines"`
}

// column is one engine's results in one case.
type column struct {
	Name    string    `json:"name"`
	Title   string    `json:"title"`
	Wall    []float64 `json:"wall_seconds"`
	CPU     []float64 `json:"cpu_seconds"`
	Traffic *traffic  `json:"traffic,omitempty"`
}

// traffic is what crossed the wire in one run.
type traffic struct {
	Connections int64 `json:"connections"`
	RoundTrips  int64 `json:"round_trips"`
	Up          int64 `json:"bytes_to_target"`
	Down        int64 `json:"bytes_from_target"`
}

func trafficOf(c proxy.Counters) *traffic {
	return &traffic{Connections: c.Connections, RoundTrips: c.Flights, Up: c.Up, Down: c.Down}
}

func newRow(one oneCase, engines []run.Engine) row {
	r := row{Name: one.name, Title: one.title}
	for _, engine := range engines {
		r.Engines = append(r.Engines, column{Name: engine.Name, Title: engine.Title})
	}
	return r
}

func (c *column) add(result run.Result) {
	c.Wall = append(c.Wall, result.Wall.Round(time.Microsecond).Seconds())
	c.CPU = append(c.CPU, result.CPU.Round(time.Microsecond).Seconds())
}

func (c *column) wall() float64 { return median(c.Wall) }
func (c *column) cpu() float64  { return median(c.CPU) }

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

// WriteJSON writes all single results to a file.
func (r report) WriteJSON(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// WriteMarkdown writes the tables.
func (r report) WriteMarkdown(w io.Writer) {
	fmt.Fprintf(w, "%s, %d CPUs, %s, %s, %s; medians of %d interleaved rounds", r.Taken, r.CPUs, r.Ansible, r.Spindle, r.Server, r.Rounds)
	if r.Delay != "0s" {
		fmt.Fprintf(w, "; %s added in each direction", r.Delay)
	}
	fmt.Fprint(w, ".\n\n")
	for _, note := range r.Notes {
		fmt.Fprintf(w, "%s\n\n", note)
	}
	r.table(w, "Wall time, seconds", (*column).wall)
	r.table(w, "CPU time on the controller, seconds", (*column).cpu)
	r.traffic(w)
}

// table writes one row for each case: each engine's median, and how many times Spindle's the others' are.
func (r report) table(w io.Writer, title string, value func(*column) float64) {
	var head, line strings.Builder
	fmt.Fprintf(&head, "| %s |", title)
	line.WriteString("| --- |")
	engines := r.Rows[0].Engines
	for _, c := range engines {
		fmt.Fprintf(&head, " %s |", c.Title)
		line.WriteString(" ---: |")
	}
	base := slices.IndexFunc(engines, func(c column) bool { return c.Name == "spindle" })
	for i, c := range engines {
		if base >= 0 && i != base {
			fmt.Fprintf(&head, " %s ÷ Spindle |", c.Title)
			line.WriteString(" ---: |")
		}
	}
	fmt.Fprintf(w, "%s\n%s\n", &head, &line)
	for _, row := range r.Rows {
		fmt.Fprintf(w, "| %s |", row.Title)
		for i := range row.Engines {
			fmt.Fprintf(w, " %.2f |", value(&row.Engines[i]))
		}
		for i := range row.Engines {
			if base >= 0 && i != base {
				fmt.Fprintf(w, " %.2f× |", value(&row.Engines[i])/value(&row.Engines[base]))
			}
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}

func (r report) traffic(w io.Writer) {
	counted := slices.ContainsFunc(r.Rows, func(one row) bool { return one.Engines[0].Traffic != nil })
	if !counted {
		return
	}
	fmt.Fprintln(w, "| On the wire | engine | connections | round trips | KiB to the target | KiB from the target |")
	fmt.Fprintln(w, "| --- | --- | ---: | ---: | ---: | ---: |")
	for _, row := range r.Rows {
		for _, c := range row.Engines {
			if t := c.Traffic; t != nil {
				fmt.Fprintf(w, "| %s | %s | %d | %d | %.1f | %.1f |\n", row.Title, c.Title, t.Connections, t.RoundTrips,
					float64(t.Up)/1024, float64(t.Down)/1024)
			}
		}
	}
	fmt.Fprintln(w)
}
