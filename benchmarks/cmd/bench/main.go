package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"spindle/benchmarks/target"
)

// options are the command line's.
type options struct {
	spindle  string
	mitogen  string
	root     string
	docker   string
	rounds   int
	profile  string
	only     string
	side     string
	lines    string
	engines  string
	python   string
	out      string
	json     string
	render   string
	limit    time.Duration
	slow     time.Duration
	embedded bool
	record   bool
	list     bool
	roots    bool
	keep     bool
}

func main() {
	target.ServeIfAsked()
	var o options
	flag.StringVar(&o.spindle, "spindle", "bin/spindle", "the spindle binary to measure")
	flag.StringVar(&o.mitogen, "mitogen", "", "where benchmarks/mitogen.sh has unpacked Mitogen; empty takes what is installed")
	flag.StringVar(&o.root, "root", "", "a Debian root to make machines of, for every run a new one (needs root); empty runs on this machine's loopback")
	flag.StringVar(&o.docker, "docker-root", "", "a Debian root with docker, for machines with containers; empty is the one called engines beside --root")
	flag.IntVar(&o.rounds, "rounds", 0, "how often each case runs under each contender, instead of the profile's number")
	flag.StringVar(&o.profile, "profile", "quick", "which cases, and how often: quick, short, goals, containers, or all")
	flag.StringVar(&o.only, "only", "", "comma-separated cases instead of the profile's, as loop,loop@26ms,copy32@370ms/100M")
	flag.StringVar(&o.side, "side-by-side", "", "cases that run beside each other because they only wait: groups with ; between, instead of the profile's")
	flag.StringVar(&o.lines, "lines", "", "comma-separated round trips (0ms,26ms,370ms,26ms/100M): every case of --only without one runs on each")
	flag.StringVar(&o.engines, "engines", "stock,mitogen,spindle", "comma-separated contenders")
	flag.StringVar(&o.python, "python", "/usr/bin/python3", "the target's interpreter; empty lets Ansible discover it")
	flag.StringVar(&o.out, "out", "", "a path without its end: writes .md, .json and -CASE.svg")
	flag.StringVar(&o.json, "json", "", "write every single result to this file")
	flag.StringVar(&o.render, "render", "", "run nothing: make tables and charts of a JSON file again")
	flag.DurationVar(&o.limit, "limit", 0, "stop a run of stock Ansible that takes longer, and count it as longer, instead of the profile's limit")
	flag.DurationVar(&o.slow, "slow", 0, "a case that stock Ansible needs longer for is run by it in the first round only, instead of the profile's limit")
	flag.BoolVar(&o.embedded, "embedded", false, "on loopback, use the built-in SSH server even where there is an sshd")
	flag.BoolVar(&o.record, "record", true, "record the network with tcpdump")
	flag.BoolVar(&o.list, "list", false, "list the cases and end")
	flag.BoolVar(&o.roots, "roots", false, "print which Debian roots the cases need, by their names in tests/env/roots.sh, and end")
	flag.BoolVar(&o.keep, "keep", false, "keep the working directory")
	flag.Parse()
	if flag.NArg() != 0 || o.rounds < 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// run does what the options ask for.
func (o options) run(ctx context.Context) error {
	switch {
	case o.list:
		fmt.Println(strings.Join((&catalogue{}).names(), "\n"))
		return nil
	case o.render != "":
		r, err := readReport(o.render)
		if err != nil {
			return err
		}
		return o.publish(r)
	}
	plan, err := o.plan()
	if err != nil {
		return err
	}
	if o.roots {
		fmt.Println(strings.Join(plan.roots(), " "))
		return nil
	}
	r, err := o.compare(ctx, plan)
	if r != nil {
		err = errors.Join(err, o.publish(r))
	}
	return err
}

// dockerRoot is the root for machines with containers.
func (o options) dockerRoot() string {
	if o.docker != "" {
		return o.docker
	}
	return filepath.Join(filepath.Dir(filepath.Clean(o.root)), "engines")
}

// publish prints the tables, and writes what the options ask for.
func (o options) publish(r *report) error {
	r.WriteMarkdown(os.Stdout)
	if err := o.save(r); err != nil || o.out == "" {
		return err
	}
	charts, err := r.WriteCharts(o.out)
	return errors.Join(err, r.writeMarkdownFile(o.out+".md", charts))
}

// save writes what was measured so far, so that a comparison that is cut short is not lost: --render makes tables of it.
func (o options) save(r *report) error {
	var all error
	if o.json != "" {
		all = r.WriteJSON(o.json)
	}
	if o.out != "" {
		all = errors.Join(all, os.MkdirAll(filepath.Dir(o.out), 0o755), r.WriteJSON(o.out+".json"))
	}
	return all
}

// compare runs the cases one after another, then the groups that may run beside each other, and puts all results together. What was
// measured before something failed is returned with the error.
func (o options) compare(ctx context.Context, p plan) (*report, error) {
	dir, err := os.MkdirTemp("", "spindle-bench-")
	if err != nil {
		return nil, err
	}
	if o.keep {
		fmt.Fprintln(os.Stderr, "working in", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	var r *report
	if len(p.cases) != 0 {
		b := &bench{options: o, plan: p, dir: dir, save: o.save}
		if r, err = b.all(ctx); r == nil || ctx.Err() != nil {
			return r, err
		}
	}
	r, groupsErr := o.runGroups(ctx, dir, p, r)
	return r, errors.Join(err, groupsErr)
}
