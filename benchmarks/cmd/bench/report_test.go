package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"none", nil, 0},
		{"one", []float64{3}, 3},
		{"odd", []float64{9, 1, 4}, 4},
		{"even", []float64{8, 1, 4, 2}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := median(test.values); got != test.want {
				t.Errorf("median(%v): got %v, want %v", test.values, got, test.want)
			}
		})
	}
}

func TestMarkdown(t *testing.T) {
	r := report{
		Taken: "2026-11-23 12:00 UTC", CPUs: 2, Ansible: "ansible [core 2.14.18]", Spindle: "spindle 0.1.0", Server: "OpenSSH_9.2p1",
		Rounds: 3, Delay: "0s", Rows: []row{{Title: "ping", Engines: []column{
			{Name: "stock", Title: "stock Ansible", Wall: []float64{2, 3, 1}, CPU: []float64{1}},
			{Name: "spindle", Title: "Spindle", Wall: []float64{1, 0.5, 2}, CPU: []float64{2}, Traffic: &traffic{}},
		}}},
	}
	r.Rows[0].Engines[0].Traffic = &traffic{Connections: 1, Up: 2048, Down: 512, RoundTrips: 9}
	want := `2026-11-23 12:00 UTC, 2 CPUs, ansible [core 2.14.18], spindle 0.1.0, OpenSSH_9.2p1; medians of 3 interleaved rounds.

| Wall time, seconds | stock Ansible | Spindle | stock Ansible ÷ Spindle |
| --- | ---: | ---: | ---: |
| ping | 2.00 | 1.00 | 2.00× |

| CPU time on the controller, seconds | stock Ansible | Spindle | stock Ansible ÷ Spindle |
| --- | ---: | ---: | ---: |
| ping | 1.00 | 2.00 | 0.50× |

| On the wire | engine | connections | round trips | KiB to the target | KiB from the target |
| --- | --- | ---: | ---: | ---: | ---: |
| ping | stock Ansible | 1 | 9 | 2.0 | 0.5 |
| ping | Spindle | 0 | 0 | 0.0 | 0.0 |

`
	var got strings.Builder
	r.WriteMarkdown(&got)
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("tables mismatch (-want +got):\n%s", diff)
	}
}
