package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"spindle/benchmarks/meter"
	"spindle/benchmarks/run"
	"spindle/benchmarks/wire"
)

// runLimit bounds one run of any contender but stock Ansible, far from what a run takes: one that hangs must not keep the others waiting.
const runLimit = 20 * time.Minute

// errStopped is why a run was ended that would have taken too long.
var errStopped = errors.New("stopped at the limit")

// bench is one comparison under way, of cases that run one after another.
type bench struct {
	options
	plan
	dir     string
	site    site
	meter   *meter.Listener
	engines []run.Engine
	report  *report
	ready   []oneCase
	save    func(*report) error // called after every run
}

// all does everything and returns what was measured, also when something failed on the way.
func (b *bench) all(ctx context.Context) (r *report, err error) {
	defer func() {
		if b.site != nil {
			err = errors.Join(err, b.site.close())
		}
		if b.meter != nil {
			err = errors.Join(err, b.meter.Close())
		}
	}()
	if err := b.setUp(ctx); err != nil {
		return nil, err
	}
	err = b.measure(ctx)
	return b.report, err
}

func (b *bench) subdirectory(name string) (string, error) {
	dir := filepath.Join(b.dir, name)
	return dir, os.Mkdir(dir, 0o700)
}

func (b *bench) setUp(ctx context.Context) error {
	b.report = &report{Taken: time.Now().UTC().Format("2006-01-02 15:04 MST"), CPUs: runtime.NumCPU()}
	playbooks, err := b.subdirectory("p")
	if err != nil {
		return err
	}
	all, err := newCatalogue(playbooks)
	if err != nil {
		return err
	}
	for _, spec := range b.cases {
		one, err := all.find(spec)
		if err != nil {
			return err
		}
		b.ready = append(b.ready, one)
	}
	if b.root != "" {
		b.site, err = newMachines(b.dir, b.root, b.dockerRoot(), b.python, b.record)
	} else {
		b.site, err = newLoopback(ctx, b.dir, b.python, b.embedded)
	}
	if err != nil {
		return err
	}
	if b.meter, err = meter.Listen(); err != nil {
		b.report.note("No figures by kind of process: %v.", err)
		b.meter = nil
	}
	return b.findEngines(ctx)
}

func (b *bench) findEngines(ctx context.Context) error {
	for _, name := range split(b.options.engines, ",") {
		switch name {
		case "stock":
			b.engines = append(b.engines, run.Stock())
		case "mitogen":
			engine, err := run.Mitogen(b.mitogen)
			if err != nil {
				b.report.note("No column for Mitogen: %v.", err)
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
			return fmt.Errorf("there is no contender %q: use stock, mitogen or spindle", name)
		}
	}
	return nil
}

// measure runs everything, round by round, so that no contender has a quiet machine to itself.
func (b *bench) measure(ctx context.Context) error {
	var failed error
	for _, one := range b.ready {
		b.report.Rows = append(b.report.Rows, newRow(one, b.engines))
	}
	for round := range b.plan.rounds {
		b.report.Rounds = round + 1
		for i, one := range b.ready {
			if fewer, ok := b.plan.fewer[one.key()]; ok && round >= fewer {
				continue
			}
			for j := range b.engines {
				// Each round begins with another contender.
				k := (j + round) % len(b.engines)
				engine, column := b.engines[k], &b.report.Rows[i].Engines[k]
				if column.Failed || engine.Name == "stock" && (one.idle || round > 0 && median(column.Wall) > b.plan.slow.Seconds()) {
					continue // stock Ansible keeps nothing for idle hosts but masters of OpenSSH
				}
				began := time.Now()
				if err := b.once(ctx, one, engine, column); err != nil {
					err = fmt.Errorf("%s under %s: %w", one.key(), engine.Title, err)
					if ctx.Err() != nil {
						return errors.Join(failed, err)
					}
					// The rest is worth having. A contender that fails here is not asked again.
					b.progress("%v", err)
					b.report.note("Failed: %s under %s.", one.key(), engine.Title)
					column.Failed = true
					failed = errors.Join(failed, err, b.save(b.report))
					continue
				}
				if err := b.save(b.report); err != nil {
					return errors.Join(failed, err)
				}
				b.progress("round %d of %d: %s, %s: %.2f s (%.1f s with everything)", round+1, b.plan.rounds, one.key(), engine.Title,
					column.Wall[len(column.Wall)-1], time.Since(began).Seconds())
			}
		}
	}
	return failed
}

// once is one run: a place is made for it, it is run, and all that it cost is added to the column.
func (b *bench) once(ctx context.Context, one oneCase, engine run.Engine, column *column) (err error) {
	v, err := b.site.visit(ctx, one)
	if err != nil {
		return err
	}
	closed := false
	defer func() {
		if !closed {
			err = errors.Join(err, v.close())
		}
	}()
	if b.report.Ansible == "" {
		b.describe(ctx, v.lab)
	}
	limit := runLimit
	if engine.Name == "stock" {
		limit = b.plan.limit
	}
	runCtx, cancel := context.WithTimeoutCause(ctx, limit, errStopped)
	defer cancel()
	look := &watcher{engine: engine.Name}
	args := one.args
	if one.idle {
		if look.dir, err = os.MkdirTemp(v.lab.Dir, "idle-"); err != nil {
			return err
		}
		args = append(args[:len(args):len(args)], "-e", "idle_dir="+look.dir)
		v.lab.Watch = look.watch
	} else {
		v.lab.Watch = nil
	}
	if b.meter != nil {
		b.meter.Take()
	}
	result := v.lab.Run(runCtx, engine, one.command, args...)
	stopped := errors.Is(result.Err, errStopped) && engine.Name == "stock"
	if stopped {
		column.Stopped++
	} else {
		if err := result.Check(one.expect); err != nil {
			return err
		}
		if one.after != nil {
			if err := one.after(v); err != nil {
				return err
			}
		}
		if one.idle {
			if look.err != nil {
				return look.err
			}
			column.Idle = append(column.Idle, look.seen)
		}
	}
	column.add(result)
	if v.capture != nil {
		if err := column.read(v); err != nil {
			return err
		}
	} else if v.proxy != nil {
		column.Traffic = append(column.Traffic, trafficOf(v.proxy.Counters()))
	}
	if v.line != nil {
		v.quiet(5 * time.Second)
	}
	closed = true
	if err := v.close(); err != nil {
		return err
	}
	if b.meter != nil {
		records, lost := b.meter.Take()
		if lost != 0 {
			b.report.note("Some records of ended processes were lost in %s under %s.", one.key(), engine.Title)
		}
		self := os.Getpid()
		own := map[int]bool{result.PID: true}
		kinds := meter.Controller(records, result.PID, self, engine.Name == "mitogen")
		// Orphans come to this process. What else it starts is no part of a run: tools around it have names of their own.
		column.Controller = append(column.Controller, meter.Sum(notOurs(records, self, v), map[int]bool{self: true, result.PID: true}, own, kinds))
		if v.line != nil {
			pid := v.target.PID()
			column.Target = append(column.Target, meter.Sum(v.daemons.Less(records), map[int]bool{pid: true}, nil, meter.Target))
		}
	}
	return nil
}

// notOurs leaves out the records of what the harness itself has started.
func notOurs(records []meter.Record, self int, v *visit) []meter.Record {
	skip := map[int]bool{v.target.PID(): true, v.target.Helper(): true}
	if v.line != nil {
		skip[v.line.Network()] = true
	}
	if v.capture != nil {
		skip[v.capture.PID()] = true
	}
	var rest []meter.Record
	for _, r := range records {
		if !skip[r.Process] && r.Process != self {
			rest = append(rest, r)
		}
	}
	return rest
}

// describe notes once what is compared.
func (b *bench) describe(ctx context.Context, lab *run.Lab) {
	b.report.Ansible = lab.Says(ctx, "ansible", "--version")
	if binary, err := filepath.Abs(b.spindle); err == nil {
		b.report.Spindle = lab.Says(ctx, binary, "version")
	}
	for _, engine := range b.engines {
		if engine.Name == "mitogen" {
			b.report.Mitogen = engine.Version
		}
	}
	b.report.Server = b.site.server()
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		b.report.Load, _, _ = strings.Cut(string(text), " ")
	}
}

// read takes the traffic out of the record of a run, and its course over time.
func (c *column) read(v *visit) error {
	dropped, err := v.capture.Stop()
	if err != nil {
		return err
	}
	defer os.Remove(v.record)
	course := newTimeline(c.Wall[len(c.Wall)-1])
	t, err := wire.Read(v.record, course.add)
	if err != nil {
		return err
	}
	t.Dropped = dropped
	c.Traffic = append(c.Traffic, t)
	c.Course = course
	return nil
}

func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
