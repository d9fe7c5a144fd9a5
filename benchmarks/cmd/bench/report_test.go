package main

import (
	"path/filepath"
	"slices"
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

// sample is a report of two contenders in three cases.
func sample() *report {
	columns := func(stock, spindle column) []column {
		stock.Name, stock.Title = "stock", "stock Ansible"
		spindle.Name, spindle.Title = "spindle", "Spindle"
		return []column{stock, spindle}
	}
	return &report{
		Taken: "2026-11-23 12:00 UTC", CPUs: 2, Load: "0.10", Ansible: "ansible [core 2.14.18]", Spindle: "spindle 0.1.0", Server: "OpenSSH_9.2p1",
		Rounds: 3, Rows: []row{
			{Name: "empty", Title: "an empty play", Engines: columns(column{Wall: []float64{0.5, 0.5, 9}}, column{Wall: []float64{0.5, 0.6, 0.4}})},
			{Name: "loop", Title: "a loop", Engines: columns(
				column{Wall: []float64{20.5, 10.5, 10.5}, CPU: []float64{9}, Traffic: []traffic{{Connections: 1, Up: 2048000, Down: 512, RoundTrips: 9}}},
				column{Wall: []float64{1.5, 1, 2.5}, CPU: []float64{2}, Traffic: []traffic{{Up: 1024}, {Up: 3072}, {Up: 2048}}},
			)},
			{Name: "tree1000@26ms", Title: "a tree @ 26ms", Engines: columns(column{Wall: []float64{300}, Stopped: 1}, column{Wall: []float64{3, 3, 3}})},
		},
	}
}

func TestMarkdown(t *testing.T) {
	var got strings.Builder
	sample().WriteMarkdown(&got)
	for _, want := range []string{
		"2026-11-23 12:00 UTC, 2 CPUs (load 0.10 before), ansible [core 2.14.18], spindle 0.1.0, OpenSSH_9.2p1; medians of 3 interleaved rounds.\n",
		"| 100 × command loop, 0 ms, wall above start-up | ≤ 0.50 | not measured |  | ≤ 0.08 | 0.100 | not reached |\n", // 1 ÷ 10
		"| bytes to the target, 100 × command | ≤ 0.70 | not measured |  | ≤ 0.01 | 0.001 | reached |\n",
		"| 1,000-file tree at 26 ms, wall | ≤ 0.15 | not measured |  | ≤ 0.02 | < 0.010 | reached |\n",
		"| loop: a loop | 10.50 | 1.50 | 0.143 |\n",
		"| tree1000@26ms: a tree @ 26ms | > 300.00 (1×) | 3.00 | < 0.010 |\n",
		"| loop | Spindle | 0 | 0 | 2.0 | 0 | 0.0 | 0 |\n",
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("the tables lack\n%s", want)
		}
	}
	if t.Failed() {
		t.Log(got.String())
	}
}

func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		name      string
		own, base value
		measured  bool
		goal      float64
		want      string
	}{
		{"reached exactly", value{1, false}, value{2, false}, true, 0.5, "0.500 | reached"},
		{"not reached", value{1.1, false}, value{2, false}, true, 0.5, "0.550 | not reached"},
		{"no goal", value{1, false}, value{2, false}, true, 0, "0.500 | "},
		{"not measured", value{1, false}, value{}, false, 0.5, "not measured | "},
		{"the other was stopped, and it is enough", value{1, false}, value{10, true}, true, 0.5, "< 0.100 | reached"},
		{"the other was stopped, and it is not enough to say", value{9, false}, value{10, true}, true, 0.5, "< 0.900 | not known"},
		{"stopped itself", value{9, true}, value{100, false}, true, 0.5, "> 0.090 | not reached"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := verdict(test.own, test.base, test.measured, test.goal); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestIdleMemoryIsTheDifferenceForEachHost(t *testing.T) {
	r := &report{Rows: []row{
		{Name: "idle1", Engines: []column{{Name: "spindle", Idle: []idle{{Anonymous: 10 << 20}}}}},
		{Name: "idle50", Engines: []column{{Name: "spindle", Idle: []idle{{Anonymous: 10<<20 + 49*1024, Clients: 49 * 3072}}}}},
	}}
	if got, ok := perIdleHost(r, "", "spindle"); !ok || got.median != 4096 {
		t.Errorf("got %v, %v", got, ok)
	}
}

func TestEveryGoalsCaseIsInTheProfile(t *testing.T) {
	planned := map[string]string{} // the contenders by case
	for _, one := range profiles["goals"].cases {
		planned[one] = "stock,mitogen,spindle"
	}
	for _, group := range profiles["goals"].groups {
		for _, one := range group.cases {
			planned[one] += "," + group.engines
		}
	}
	for _, g := range goals {
		key := g.key
		if key == "idle" {
			key = "idle50"
		}
		for _, engine := range []string{"stock", "mitogen", "spindle"} {
			wanted := map[string]bool{"stock": g.stock != 0, "mitogen": g.mitogen != 0, "spindle": true}[engine]
			if wanted && !slices.Contains(split(planned[key], ","), engine) {
				t.Errorf("nothing in the profile measures %q under %s", g.name, engine)
			}
		}
	}
}

func TestCasesAreNamedAsTheyAreFound(t *testing.T) {
	all, err := newCatalogue(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range []string{"loop", "loop@26ms", "tree100@370ms", "deploy@26ms/100M", "loop@0s/8M", "loop@0s", "containers50@26ms"} {
		one, err := all.find(spec)
		if want := strings.TrimSuffix(spec, "@0s"); err != nil || one.key() != want {
			t.Errorf("%s: found %q, %v", spec, one.key(), err)
		}
	}
	if _, err := all.find("nothing"); err == nil {
		t.Error("a case that there is not was found")
	}
	for _, spec := range []string{"loop@fast", "loop@26ms/much"} {
		if _, err := all.find(spec); err == nil {
			t.Errorf("%s was found", spec)
		}
	}
}

func TestContainersNeedARootWithAnEngine(t *testing.T) {
	for _, test := range []struct {
		options options
		want    []string
	}{
		{options{profile: "goals"}, []string{"workshop"}},
		{options{profile: "all"}, []string{"workshop", "engines"}},
		{options{profile: "goals", only: "loop,containers5@26ms"}, []string{"workshop", "engines"}},
		{options{profile: "goals", side: "loop@370ms;containers50@370ms"}, []string{"workshop", "engines"}},
	} {
		p, err := test.options.plan()
		if diff := cmp.Diff(test.want, p.roots()); err != nil || diff != "" {
			t.Errorf("%+v: %v (-want +got):\n%s", test.options, err, diff)
		}
	}
	if got := (options{root: "/roots/workshop/"}).dockerRoot(); got != "/roots/engines" {
		t.Errorf("got %s", got)
	}
}

func TestAReportSurvivesItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	want := sample()
	if err := want.WriteJSON(path); err != nil {
		t.Fatal(err)
	}
	got, err := readReport(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report mismatch (-want +got):\n%s", diff)
	}
}

func TestWhatGroupsHaveWrittenSoFarIsPutTogether(t *testing.T) {
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "first"), filepath.Join(dir, "nothing yet"), filepath.Join(dir, "third")}
	part := func(name string, wall ...float64) *report {
		return &report{Rounds: len(wall), Rows: []row{{Name: "a", Engines: []column{{Name: name, Wall: wall}}}}}
	}
	if got := together(nil, files); got != nil {
		t.Errorf("out of nothing came %v", got)
	}
	for i, r := range map[int]*report{0: part("spindle", 3), 2: part("mitogen", 7)} {
		if err := r.WriteJSON(files[i]); err != nil {
			t.Fatal(err)
		}
	}
	before := part("spindle", 1, 2)
	want := &report{Rounds: 2, Rows: []row{{Name: "a", Engines: []column{{Name: "mitogen", Wall: []float64{7}}, {Name: "spindle", Wall: []float64{1, 2, 3}}}}}}
	// It is put together again and again, so the parts must stay as they are.
	for range 2 {
		if diff := cmp.Diff(want, together(before, files)); diff != "" {
			t.Errorf("report mismatch (-want +got):\n%s", diff)
		}
	}
}

func TestPartsOfAComparisonAreOne(t *testing.T) {
	part := func(rows ...row) *report { return &report{Rounds: 2, Rows: rows} }
	r := part(row{Name: "a", Engines: []column{{Name: "mitogen", Wall: []float64{1}}, {Name: "spindle", Wall: []float64{2, 3}, Stopped: 1}}})
	r.merge(part(
		row{Name: "a", Engines: []column{{Name: "stock", Wall: []float64{9}}, {Name: "spindle", Wall: []float64{4}}}},
		row{Name: "b", Engines: []column{{Name: "spindle", Wall: []float64{5}}}},
	))
	want := part(
		row{Name: "a", Engines: []column{
			{Name: "stock", Wall: []float64{9}},
			{Name: "mitogen", Wall: []float64{1}},
			{Name: "spindle", Wall: []float64{2, 3, 4}, Stopped: 1},
		}},
		row{Name: "b", Engines: []column{{Name: "spindle", Wall: []float64{5}}}},
	)
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("merged report mismatch (-want +got):\n%s", diff)
	}
}
