package parity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Record is one line of the record callback.
type Record struct {
	Playbook string         `json:"playbook"` // its file's name without the ending
	Event    string         `json:"event"`    // ok, failed, skipped, unreachable, item_..., recap, play, handler, notify, and those of announced
	Play     string         `json:"play"`
	Host     string         `json:"host"`
	Task     string         `json:"task"`
	Action   string         `json:"action"`
	Ignored  bool           `json:"ignored"`
	Result   map[string]any `json:"result"`
}

// identity is what makes two records of two runs the same event.
func (r Record) identity() string { return r.Play + " / " + r.Task + " / " + r.Event }

// announced are events that are not results.
var announced = []string{"task", "start", "retry", "diff", "include", "async_ok", "async_failed", "no_hosts_matched", "no_hosts_remaining"}

// Parse reads what the record callback wrote, without what is announced. A last line that was cut off, as by a kill, is left out.
func Parse(b []byte) ([]Record, error) {
	rs, err := ParseAll(b)
	return slices.DeleteFunc(rs, func(r Record) bool { return slices.Contains(announced, r.Event) }), err
}

// ParseAll is [Parse] with all of it.
func ParseAll(b []byte) ([]Record, error) {
	var out []Record
	lines := bytes.SplitAfter(b, []byte("\n"))
	for i, line := range lines {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if !bytes.HasSuffix(line, []byte("\n")) && i == len(lines)-1 {
			break
		}
		var r Record
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&r); err != nil {
			return nil, fmt.Errorf("line %d: %w: %s", i+1, err, line)
		}
		out = append(out, r)
	}
	return out, nil
}

// IsResult says whether it is what became of a task or an item.
func (r Record) IsResult() bool {
	return r.Host != "" && r.Event != "recap" && r.Event != "notify" && !slices.Contains(announced, r.Event)
}

// Of returns the records of one host, in order. The host "" stands for the run itself.
func Of(rs []Record, host string) []Record {
	var out []Record
	for _, r := range rs {
		if r.Host == host {
			out = append(out, r)
		}
	}
	return out
}

// Done returns the records of one host whose work is finished and was successful, items included.
func Done(rs []Record, host string) []Record {
	var out []Record
	for _, r := range Of(rs, host) {
		if r.Event == "ok" || r.Event == "item_ok" {
			out = append(out, r)
		}
	}
	return out
}

// In returns the records of one playbook of a run that had several, in order.
func In(rs []Record, playbook string) []Record {
	var out []Record
	for _, r := range rs {
		if r.Playbook == playbook {
			out = append(out, r)
		}
	}
	return out
}

// Find returns the first record of a host, task and event.
func Find(rs []Record, host, task, event string) (Record, bool) {
	for _, r := range rs {
		if r.Host == host && r.Event == event && (r.Task == task || strings.HasSuffix(r.Task, " : "+task)) {
			return r, true
		}
	}
	return Record{}, false
}
