package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// plan is what one call of the program runs.
type plan struct {
	rounds int
	cases  []string       // one after another, those that matter most first
	fewer  map[string]int // cases that are not worth the time of every round
	groups []group        // beside each other and after them
	limit  time.Duration  // of a run of stock Ansible
	slow   time.Duration  // from where on stock Ansible has one run only
}

// group is a part of a plan that runs beside others. Two groups may share a case, and with it its rounds.
type group struct {
	cases   []string
	rounds  int    // 0 for the plan's
	engines string // empty for the plan's
}

// others are the contenders without stock Ansible, for where no goal compares with it, or another group's figure of it is enough.
const others = "mitogen,spindle"

// profiles are the plans with a name. In the groups are cases that wait for the network most of their time, so that running some beside
// each other, where there are CPUs enough, changes little; all contenders of a group take turns in it.
var profiles = map[string]plan{
	"quick": {rounds: 3, cases: []string{"empty", "ping", "loop", "tasks", "hosts20"}, limit: 5 * time.Minute, slow: time.Minute},
	"short": {
		rounds: 3,
		cases:  []string{"empty", "loop", "loop@26ms", "tasks", "ping", "hosts50", "copy320", "idle1", "idle50"},
		fewer:  map[string]int{"hosts50": 2, "copy320": 2, "idle1": 1, "idle50": 1},
		limit:  2 * time.Minute,
		slow:   15 * time.Second,
	},
	"goals": {
		rounds: 5,
		cases:  []string{"empty", "loop", "loop@26ms", "tasks", "hosts50", "copy320", "ping", "idle1", "idle50"},
		fewer:  map[string]int{"hosts50": 3, "copy320": 3, "idle1": 3, "idle50": 3},
		groups: []group{
			{cases: []string{"baseline@370ms"}, rounds: 1, engines: "stock"},
			{cases: []string{"baseline@370ms"}, rounds: 2, engines: others},
			{cases: []string{"baseline@370ms"}, rounds: 1, engines: others},
			{cases: []string{"loop@370ms"}, rounds: 3, engines: others},
			{cases: []string{"tree100@370ms"}, rounds: 2, engines: others},
			{cases: []string{"tree1000@26ms"}, rounds: 1, engines: "stock"},
			{cases: []string{"tree1000@26ms"}, rounds: 2, engines: others},
		},
		limit: 5 * time.Minute,
		slow:  30 * time.Second,
	},
	"containers": {
		rounds: 3,
		cases:  []string{"empty", "containers5", "containers50"},
		fewer:  map[string]int{"containers50": 2},
		limit:  5 * time.Minute,
		slow:   30 * time.Second,
	},
	"all": {
		rounds: 5,
		cases: []string{
			"empty", "ping", "loop", "tasks", "tree100", "tree1000", "baseline", "deploy", "hosts1", "hosts10", "hosts50", "hosts200", "containers50", "facts50",
			"become500", "copy32", "copy32become", "copy320", "copy320become", "fetch", "idle1", "idle50",
			"ping@26ms", "loop@26ms", "copy32@26ms", "copy32@26ms/100M", "hosts50@26ms",
		},
		groups: []group{
			{cases: []string{"baseline@370ms", "ping@370ms"}},
			{cases: []string{"loop@370ms", "tree100@370ms", "deploy@370ms", "copy32@370ms"}},
			{cases: []string{"tree1000@26ms", "tree100@26ms", "baseline@26ms", "deploy@26ms", "tasks@26ms", "tasks@370ms"}},
		},
		limit: 30 * time.Minute,
		slow:  time.Minute,
	},
}

// plan makes the plan that the options ask for.
func (o options) plan() (plan, error) {
	p, ok := profiles[o.profile]
	if !ok {
		return p, fmt.Errorf("there is no profile %q: use quick, short, goals, containers or all", o.profile)
	}
	if o.only != "" || o.side != "" {
		p.cases, p.groups = split(o.only, ","), nil
		for _, text := range split(o.side, ";") {
			p.groups = append(p.groups, group{cases: split(text, ",")})
		}
	}
	if o.lines != "" {
		var spread []string
		for _, one := range p.cases {
			if strings.Contains(one, "@") {
				spread = append(spread, one)
				continue
			}
			for _, text := range split(o.lines, ",") {
				l, err := parseLine(text)
				if err != nil {
					return p, fmt.Errorf("line %s: %w", text, err)
				}
				spread = append(spread, one+l.suffix())
			}
		}
		p.cases = spread
	}
	if o.rounds != 0 {
		p.rounds = o.rounds
	}
	if o.limit != 0 {
		p.limit = o.limit
	}
	if o.slow != 0 {
		p.slow = o.slow
	}
	if len(p.cases) == 0 && len(p.groups) == 0 {
		return p, errors.New("nothing to run")
	}
	return p, nil
}

// roots are the names of the Debian roots (tests/env/roots.sh) that machines for the plan are made of.
func (p plan) roots() []string {
	names := []string{"workshop"}
	cases := slices.Clone(p.cases)
	for _, one := range p.groups {
		cases = append(cases, one.cases...)
	}
	if slices.ContainsFunc(cases, func(spec string) bool { return strings.HasPrefix(spec, "containers") }) {
		names = append(names, "engines")
	}
	return names
}

// split is strings.Split without empty parts.
func split(text, by string) []string {
	var parts []string
	for part := range strings.SplitSeq(text, by) {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// besides is how many groups run at once: they wait for the line most of their time, but each has work for two CPUs in between.
func besides() int { return max(1, runtime.NumCPU()/2) }

// runGroups runs every group of the plan in a process of its own, some at once: what belongs to which run stays clear that way. It returns what
// was measured before it together with what the groups measure.
func (o options) runGroups(ctx context.Context, dir string, p plan, before *report) (*report, error) {
	if len(p.groups) == 0 {
		return before, nil
	}
	self, err := os.Executable()
	if err != nil {
		return before, err
	}
	ends := make(chan error, len(p.groups))
	turn := make(chan struct{}, besides())
	var files []string
	for i, one := range p.groups {
		rounds, engines := p.rounds, o.engines
		if one.rounds != 0 {
			// Rounds that were asked for are shared out as the profile's are.
			rounds = max(1, one.rounds*p.rounds/profiles[o.profile].rounds)
		}
		if one.engines != "" {
			wanted := split(o.engines, ",")
			engines = strings.Join(slices.DeleteFunc(split(one.engines, ","), func(name string) bool { return !slices.Contains(wanted, name) }), ",")
		}
		if engines == "" {
			continue
		}
		file := filepath.Join(dir, fmt.Sprintf("group%d.json", i))
		files = append(files, file)
		cmd := exec.CommandContext(ctx, self, "--spindle", o.spindle, "--mitogen", o.mitogen, "--root", o.root, "--docker-root", o.docker, "--rounds", fmt.Sprint(rounds),
			"--only", strings.Join(one.cases, ","), "--engines", engines, "--python", o.python, "--json", file, "--limit", p.limit.String(),
			"--slow", p.slow.String(), fmt.Sprintf("--record=%v", o.record))
		cmd.Stderr = os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = time.Minute
		go func() {
			turn <- struct{}{}
			err := cmd.Run()
			<-turn
			if err != nil {
				err = fmt.Errorf("group %s: %w", strings.Join(one.cases, ","), err)
			}
			ends <- err
		}()
	}
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for running := len(files); running > 0; {
		select {
		case ended := <-ends:
			running--
			err = errors.Join(err, ended)
		case <-tick.C:
		}
		if r := together(before, files); r != nil {
			err = errors.Join(err, o.save(r))
		}
	}
	return together(before, files), err
}

// together puts what was measured before with what groups have written so far. It is nil when there is nothing yet.
func together(before *report, files []string) *report {
	var all *report
	add := func(part *report) {
		if all == nil {
			head := *part
			head.Rows, head.Notes = nil, nil
			all = &head
		}
		all.merge(part)
	}
	if before != nil {
		add(before)
	}
	for _, file := range files {
		// A group that has measured nothing yet has no file, and says itself why if it never will.
		if part, err := readReport(file); err == nil {
			add(part)
		}
	}
	return all
}
