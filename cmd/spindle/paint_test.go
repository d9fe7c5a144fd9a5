package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"spindle/actors/census"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestPaint(t *testing.T) {
	m := multiplexer{PID: 77, Owner: 42, Version: "0.0.7", Socket: "/run/user/1000/spindle/42-abc.sock", Nodes: []census.Node{
		{Path: "spindle", Kind: "root", State: "running", Born: noon.Add(-90 * time.Second)},
		{Path: "spindle/tree", Kind: "tree", State: "running", Born: noon.Add(-90 * time.Second)},
		{
			Path: "spindle/tree/ssh:deploy@web1", Kind: "hop", State: "ready", Queued: 3, Restarts: 1, BytesIn: 2048, BytesOut: 5 << 20,
			LastError: "connection\nreset", LastMessage: "Frame", Busy: 2 * time.Second, Born: noon.Add(-time.Minute),
		},
		{Path: "spindle/tree/ssh:deploy@web1/reader", Kind: "pump", State: "running"},
		{Path: "spindle/tree/ssh:deploy@web1/sudo:root", Kind: "hop", State: "dialing", Born: noon.Add(-100 * time.Millisecond)},
		{Path: "spindle/tree/ssh:\x1b[31mevil", Kind: "hop", State: "gone", LastError: "\x1b]0;title\a", Born: noon.Add(-26 * time.Hour)},
	}}
	want := `spindle 0.0.7, pid 77  for ansible-playbook 42, /run/user/1000/spindle/42-abc.sock
                         KIND  STATE    QUEUE  RESTARTS       IN      OUT     AGE  NOTE
spindle                  root  running      .         .        .        .   1m30s
└── tree                 tree  running      .         .        .        .   1m30s
    ├── ssh:deploy@web1  hop   ready        3         1  2.0 KiB  5.0 MiB    1m0s  2s at Frame; connection reset
    │   └── sudo:root    hop   dialing      .         .        .        .   100ms
    └── ssh:·[31mevil    hop   gone         .         .        .        .  26h00m  ·]0;title·
`
	var plain, colored strings.Builder
	painter{now: noon}.write(&plain, m)
	if diff := cmp.Diff(want, plain.String()); diff != "" {
		t.Errorf("tree mismatch (-want +got):\n%s", diff)
	}
	painter{now: noon, color: true, pumps: true}.write(&colored, m)
	if !strings.Contains(colored.String(), "── reader ") {
		t.Errorf("no pump is shown though they were asked for: %q", colored.String())
	}
	if !strings.Contains(colored.String(), "\x1b[32mready") {
		t.Errorf("a ready hop is not green: %q", colored.String())
	}
}

func TestPaintOrphansAndTwins(t *testing.T) {
	grown := grow([]census.Node{
		{Path: "spindle/tree/ssh:a/python3", Kind: "interpreter"}, // its parents went meanwhile
		{Path: "spindle/bridge", Kind: "bridge", State: "stopping"},
		{Path: "spindle/bridge", Kind: "bridge", State: "running"},
	})
	var names []string
	for _, one := range grown.flatten(nil) {
		names = append(names, one.name)
	}
	want := []string{"spindle", "tree", "ssh:a", "python3", "bridge", "bridge"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("branches mismatch (-want +got):\n%s", diff)
	}
}

func TestSizeAndAge(t *testing.T) {
	for n, want := range map[uint64]string{0: ".", 1023: "1023 B", 1024: "1.0 KiB", 3 << 30: "3.0 GiB", 5 << 40: "5.0 TiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d): got %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 1234 * time.Millisecond: "1.2s", 61 * time.Second: "1m1s", 90 * time.Minute: "1h30m",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%v): got %q, want %q", d, got, want)
		}
	}
}
