package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"spindle/benchmarks/playbooks"
	"spindle/benchmarks/run"
	"spindle/benchmarks/target"
	"spindle/tests/proxy"
)

// runLimit bounds one run of the playbook.
const runLimit = 10 * time.Minute

// The tree is looked at so often, until there was something to see so many times.
const (
	peekEvery = 300 * time.Millisecond
	peeks     = 4
)

type options struct {
	spindle  string
	delay    time.Duration
	embedded bool
}

func main() {
	target.ServeIfAsked()
	var o options
	flag.StringVar(&o.spindle, "spindle", "bin/spindle", "the spindle binary to show")
	flag.DurationVar(&o.delay, "delay", 5*time.Millisecond, "length of the line to the target, in each direction")
	flag.BoolVar(&o.embedded, "embedded", false, "use the built-in SSH server even where there is an sshd")
	flag.Parse()
	if flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := o.show(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// show does all of it.
func (o options) show(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "spindle-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	sub := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"t", "p", "l", "s"} {
		if err := os.Mkdir(sub(name), 0o700); err != nil {
			return err
		}
	}
	machine, err := target.Spawn(ctx, target.Options{Dir: sub("t"), Embedded: o.embedded})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, machine.Close()) }()
	line, err := machine.Proxy(o.delay, 0)
	if err != nil {
		return err
	}
	defer line.Close()
	lab, err := run.NewLab(run.Options{
		Dir: sub("l"), Target: machine.Facts, Addresses: []target.Address{{Host: "127.0.0.1", Port: line.Addr().Port}}, Compression: true,
	})
	if err != nil {
		return err
	}
	if err := playbooks.Write(sub("p")); err != nil {
		return err
	}
	spindle, err := run.Spindle(ctx, o.spindle, sub("s"))
	if err != nil {
		return err
	}
	fmt.Printf("One playbook, twice: %s on a throw-away target, with a round trip of %v to it.\n\n", "benchmarks/playbooks/demo.yml", 2*o.delay)
	fmt.Printf("  target    %s on %s, account %s\n", machine.Server, line.Addr(), machine.User)
	fmt.Printf("  ansible   %s\n\n", lab.Says(ctx, "ansible-playbook", "--version"))

	d := demo{lab: lab, line: line, playbook: filepath.Join(sub("p"), "demo.yml")}
	stock, err := d.run(ctx, run.Stock())
	if err != nil {
		return err
	}
	peek := &peeker{command: spindle.Env, binary: o.spindle}
	lab.Watch = peek.watch
	own, err := d.run(ctx, spindle)
	if err != nil {
		return err
	}
	if stock.recap != own.recap {
		return fmt.Errorf("the results differ: %+v under stock Ansible, %+v under Spindle", stock.recap, own.recap)
	}
	fmt.Println()
	writeComparison(os.Stdout, stock, own)
	if peek.best == "" {
		return errors.New("no tree was seen during the run under Spindle")
	}
	fmt.Printf("\nWhat \"spindle tree\" showed during the run:\n\n%s", indent(peek.best))
	fmt.Println("\nTarget, keys and files of the demonstration are removed. \"make bench-quick\" measures more, and Mitogen too.")
	return nil
}

// demo is what both runs share.
type demo struct {
	lab      *run.Lab
	line     *proxy.Proxy
	playbook string
}

// outcome is one run with what crossed the wire.
type outcome struct {
	run.Result
	title   string
	recap   run.Recap
	traffic proxy.Counters
}

func (d demo) run(ctx context.Context, engine run.Engine) (outcome, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("the playbook took more than %v", runLimit))
	defer cancel()
	fmt.Printf("  under %-14s", engine.Title+" …")
	d.line.Reset()
	result := d.lab.Run(ctx, engine, "ansible-playbook", d.playbook)
	if err := result.Check(run.Expect{Hosts: 1, OK: tasks}); err != nil {
		fmt.Println(" failed")
		return outcome{}, fmt.Errorf("%s: %w", engine.Title, err)
	}
	recap := run.ParseRecap(result.Output)["node1"]
	fmt.Printf(" %6.2f s   ok=%d changed=%d failed=%d rescued=%d\n", result.Wall.Seconds(), recap.OK, recap.Changed, recap.Failed, recap.Rescued)
	return outcome{Result: result, title: engine.Title, recap: recap, traffic: d.line.Counters()}, nil
}

// peeker looks at the tree while a run is under way and keeps the fullest.
type peeker struct {
	binary  string
	command []string // environment
	best    string
	lines   int
}

// watch looks again and again until the context ends, or enough was seen: looking takes time from what it looks at.
func (p *peeker) watch(ctx context.Context) {
	tick := time.NewTicker(peekEvery)
	defer tick.Stop()
	for seen := 0; seen < peeks; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if p.look(ctx) {
				seen++
			}
		}
	}
}

// look reports whether there were connections to see.
func (p *peeker) look(ctx context.Context) bool {
	cmd := exec.CommandContext(ctx, p.binary, "tree")
	cmd.Env = append(os.Environ(), p.command...)
	out, err := cmd.Output()
	if err != nil || !bytes.Contains(out, []byte("interpreter")) {
		return false
	}
	if lines := bytes.Count(out, []byte("\n")); lines >= p.lines {
		p.best, p.lines = string(out), lines
	}
	return true
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ") + "\n"
}
