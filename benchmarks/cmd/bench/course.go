package main

import (
	"time"

	"spindle/benchmarks/chart"
	"spindle/benchmarks/wire"
)

// bins is how many parts the time of a run is cut into for its chart.
const bins = 240

// charted are the cases that get a chart.
var charted = []string{"loop", "loop@26ms", "tree1000@26ms", "tree100@370ms", "baseline@370ms", "hosts50", "deploy@26ms", "containers50"}

// timeline is what crossed the wire over the time of a run.
type timeline struct {
	Bin    float64     `json:"bin_seconds"`
	Up     [bins]int64 `json:"bytes_to_target"`
	Down   [bins]int64 `json:"bytes_from_target"`
	Events [bins]int64 `json:"packets_with_data"`
}

func newTimeline(wall float64) *timeline { return &timeline{Bin: max(wall, 0.001) / bins} }

// add counts one packet. Those after the end of the command, when connections close, go into the last part.
func (t *timeline) add(e wire.Event) {
	bin := min(bins-1, max(0, int(e.At.Seconds()/t.Bin)))
	if e.Up {
		t.Up[bin] += int64(e.Bytes)
	} else {
		t.Down[bin] += int64(e.Bytes)
	}
	t.Events[bin]++
}

// WriteCharts writes a chart for every case that gets one and was recorded. The file names begin with the given path.
func (r *report) WriteCharts(path string) ([]string, error) {
	var written []string
	for _, key := range charted {
		var lanes []chart.Lane
		title := ""
		for _, one := range r.Rows {
			if one.Name != key {
				continue
			}
			title = one.Title
			for _, c := range one.Engines {
				if c.Course != nil {
					lanes = append(lanes, chart.Lane{
						Title: c.Title, Bin: time.Duration(c.Course.Bin * float64(time.Second)),
						Up: c.Course.Up[:], Down: c.Course.Down[:], Events: c.Course.Events[:],
					})
				}
			}
		}
		if len(lanes) == 0 {
			continue
		}
		name := path + "-" + fileName(key) + ".svg"
		if err := chart.Write(name, title, lanes); err != nil {
			return written, err
		}
		written = append(written, name)
	}
	return written, nil
}

// fileName makes a case's key fit for a file and a link.
func fileName(key string) string {
	text := []byte(key)
	for i, c := range text {
		if c == '@' || c == '/' {
			text[i] = '-'
		}
	}
	return string(text)
}
