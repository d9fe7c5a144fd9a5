package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"spindle/benchmarks/run"
	"spindle/benchmarks/target"
	"spindle/tests/proxy"
)

// runLimit bounds one run of Ansible. The slowest takes a minute on a slow machine.
const runLimit = 15 * time.Minute

// options are the command line's.
type options struct {
	spindle  string
	rounds   int
	only     string
	engines  string
	json     string
	python   string
	delay    time.Duration
	embedded bool
	count    bool
	keep     bool
}

func main() {
	target.ServeIfAsked()
	var o options
	flag.StringVar(&o.spindle, "spindle", "bin/spindle", "the spindle binary to measure")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each case runs under each engine")
	flag.StringVar(&o.only, "only", "", "comma-separated cases: loop, tasks, ping, hosts, copy, addresses (default: all but addresses)")
	flag.StringVar(&o.engines, "engines", "stock,mitogen,spindle", "comma-separated engines")
	flag.StringVar(&o.json, "json", "", "write every single result to this file")
	flag.StringVar(&o.python, "python", "/usr/bin/python3", "the target's interpreter; empty lets Ansible discover it")
	flag.DurationVar(&o.delay, "delay", 0, "make the line to the target longer by this much in each direction")
	flag.BoolVar(&o.embedded, "embedded", false, "use the built-in SSH server even where there is an sshd")
	flag.BoolVar(&o.count, "count", true, "run one more round through a counting proxy")
	flag.BoolVar(&o.keep, "keep", false, "keep the working directory")
	flag.Parse()
	if flag.NArg() != 0 || o.rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := o.compare(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// compare does all of it.
func (o options) compare(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "spindle-bench-")
	if err != nil {
		return err
	}
	if o.keep {
		fmt.Fprintln(os.Stderr, "working in", dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	b := &bench{options: o, dir: dir, addresses: map[place][]target.Address{}}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.setUp(ctx); err != nil {
		return err
	}
	if err := b.measure(ctx); err != nil {
		return err
	}
	if err := b.count(ctx); err != nil {
		return err
	}
	report := b.report(ctx)
	report.WriteMarkdown(os.Stdout)
	if o.json != "" {
		return report.WriteJSON(o.json)
	}
	return nil
}

// bench is one comparison under way.
type bench struct {
	options
	dir       string
	cleanup   []func() error
	target    *target.Process
	labs      [places]*run.Lab
	counting  [places]*run.Lab
	proxy     *proxy.Proxy
	engines   []run.Engine
	cases     []oneCase
	rows      []row
	notes     []string
	addresses map[place][]target.Address
}

func (b *bench) close() error {
	var all error
	for _, one := range slices.Backward(b.cleanup) {
		all = errors.Join(all, one())
	}
	return all
}

func (b *bench) setUp(ctx context.Context) error {
	for i := range nodes {
		b.addresses[ownAddress] = append(b.addresses[ownAddress], target.Address{Host: fmt.Sprintf("127.0.0.%d", i+1)})
	}
	var hosts []string
	for _, one := range b.addresses[ownAddress] {
		hosts = append(hosts, one.Host)
	}
	keys, err := b.subdirectory("t")
	if err != nil {
		return err
	}
	if b.target, err = target.Spawn(ctx, target.Options{Dir: keys, Embedded: b.embedded, Addresses: hosts}); err != nil {
		return err
	}
	b.cleanup = append(b.cleanup, b.target.Close)
	for i := range b.addresses[ownAddress] {
		b.addresses[ownAddress][i].Port = b.target.Port
	}
	b.addresses[oneNode] = b.addresses[ownAddress][:1]
	b.addresses[oneNodeBulk] = b.addresses[oneNode]
	b.addresses[sameAddress] = slices.Repeat(b.addresses[oneNode], nodes)

	if b.proxy, err = b.target.Proxy(b.delay); err != nil {
		return err
	}
	b.cleanup = append(b.cleanup, func() error { b.proxy.Close(); return nil })
	for p := range places {
		if b.counting[p], err = b.lab(p, "c", true); err != nil {
			return err
		}
		if b.labs[p], err = b.lab(p, "l", b.delay != 0); err != nil {
			return err
		}
	}
	if err := b.findEngines(ctx); err != nil {
		return err
	}
	return b.chooseCases()
}

// lab makes the lab of one place, directly at the target or behind the proxy.
func (b *bench) lab(p place, prefix string, proxied bool) (*run.Lab, error) {
	dir, err := b.subdirectory(fmt.Sprintf("%s%d", prefix, p))
	if err != nil {
		return nil, err
	}
	addresses := slices.Clone(b.addresses[p])
	if proxied {
		for i := range addresses {
			addresses[i] = target.Address{Host: "127.0.0.1", Port: b.proxy.Addr().Port}
		}
	}
	return run.NewLab(run.Options{
		Dir: dir, Target: b.target.Facts, Addresses: addresses, Forks: nodes, Python: b.python, Compression: p != oneNodeBulk,
	})
}

func (b *bench) subdirectory(name string) (string, error) {
	dir := filepath.Join(b.dir, name)
	return dir, os.Mkdir(dir, 0o700)
}

func (b *bench) findEngines(ctx context.Context) error {
	for name := range strings.SplitSeq(b.options.engines, ",") {
		switch name {
		case "stock":
			b.engines = append(b.engines, run.Stock())
		case "mitogen":
			engine, err := run.Mitogen()
			if err != nil {
				b.notes = append(b.notes, "No column for Mitogen: "+err.Error()+".")
				continue
			}
			b.engines = append(b.engines, engine)
		case "spindle":
			dir, err := b.subdirectory("s")
			if err != nil {
				return err
			}
			engine, err := run.Spindle(ctx, b.spindle, dir)
			if err != nil {
				return err
			}
			b.engines = append(b.engines, engine)
		default:
			return fmt.Errorf("there is no engine %q: use stock, mitogen or spindle", name)
		}
	}
	return nil
}

func (b *bench) chooseCases() error {
	wanted := func(name string) bool {
		return slices.Contains(strings.Split(b.only, ","), name)
	}
	dir, err := b.subdirectory("p")
	if err != nil {
		return err
	}
	all, err := makeCases(dir, b.labs[oneNodeBulk].Remote(), b.only == "" || wanted("copy"))
	if err != nil {
		return err
	}
	for _, one := range all {
		if wanted(one.name) || b.only == "" && !one.extra {
			b.cases = append(b.cases, one)
		}
	}
	if len(b.cases) == 0 {
		return fmt.Errorf("--only %s names no case", b.only)
	}
	return nil
}

// measure takes the times, round by round, so that no engine has a quiet machine to itself.
func (b *bench) measure(ctx context.Context) error {
	for _, one := range b.cases {
		b.rows = append(b.rows, newRow(one, b.engines))
	}
	for round := range b.rounds {
		for i, one := range b.cases {
			for j := range b.engines {
				// Each round begins with another engine.
				k := (j + round) % len(b.engines)
				engine := b.engines[k]
				b.progress("round %d of %d: %s, %s", round+1, b.rounds, one.title, engine.Title)
				result, err := b.once(ctx, b.labs[one.place], one, engine)
				if err != nil {
					return err
				}
				b.rows[i].Engines[k].add(result)
			}
		}
	}
	return nil
}

// count runs everything once more through the counting proxy.
func (b *bench) count(ctx context.Context) error {
	if !b.options.count {
		return nil
	}
	for i, one := range b.cases {
		if !one.counted {
			continue
		}
		for k, engine := range b.engines {
			b.progress("counting: %s, %s", one.title, engine.Title)
			b.proxy.Reset()
			if _, err := b.once(ctx, b.counting[one.place], one, engine); err != nil {
				return err
			}
			b.rows[i].Engines[k].Traffic = trafficOf(b.proxy.Counters())
		}
	}
	return nil
}

func (b *bench) once(ctx context.Context, lab *run.Lab, one oneCase, engine run.Engine) (run.Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("took more than %v", runLimit))
	defer cancel()
	result := lab.Run(ctx, engine, one.command, one.args...)
	err := result.Check(one.expect)
	if err == nil && one.after != nil {
		err = one.after()
	}
	if err != nil {
		return result, fmt.Errorf("%s under %s: %w", one.name, engine.Title, err)
	}
	return result, nil
}

func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

func (b *bench) report(ctx context.Context) report {
	r := report{
		Taken:  time.Now().UTC().Format("2006-01-02 15:04 MST"),
		CPUs:   runtime.NumCPU(),
		Server: b.target.Server,
		Rounds: b.rounds,
		Rows:   b.rows,
		Notes:  b.notes,
		Delay:  b.delay.String(),
	}
	r.Ansible = b.labs[oneNode].Says(ctx, "ansible", "--version")
	if binary, err := filepath.Abs(b.spindle); err == nil {
		r.Spindle = b.labs[oneNode].Says(ctx, binary, "version")
	}
	return r
}
