package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"spindle/benchmarks/meter"
	"spindle/benchmarks/run"
	"spindle/benchmarks/target"
	"spindle/benchmarks/wire"
	"spindle/tests/proxy"
)

// visit is one run's place: a lab, and a target at the end of a line.
type visit struct {
	lab     *run.Lab
	target  *target.Process
	line    *target.Line  // nil on loopback
	capture *wire.Capture // nil where it is not recorded
	record  string        // its file
	proxy   *proxy.Proxy  // nil but on loopback
	daemons meter.Living  // what the target runs by itself, as it was before the run
	close   func() error
}

// path is the path on this machine of a file on the target.
func (v *visit) path(name string) string { return v.target.Path(name) }

// site is where runs happen.
type site interface {
	// visit makes everything ready for one run of a case.
	visit(ctx context.Context, one oneCase) (*visit, error)
	server() string
	close() error
}

// labKey tells which cases can share a lab.
type labKey struct {
	hosts  int
	bulk   bool
	behind bool
	line   line
}

// machines is a site with a new machine, out of namespaces, for every run: nothing of one run is seen by another, and this machine's
// accounts, files and services take no part. It needs root.
type machines struct {
	dir     string
	root    string
	docker  string // a root that has it
	python  string
	record  bool
	labs    map[labKey]*run.Lab
	keys    string
	version string
	files   map[string]string // by case
}

func newMachines(dir, root, docker, python string, record bool) (*machines, error) {
	m := &machines{dir: dir, root: root, docker: docker, python: python, record: record, labs: map[labKey]*run.Lab{}, files: map[string]string{}}
	m.keys = filepath.Join(dir, "t")
	return m, os.Mkdir(m.keys, 0o700)
}

func (m *machines) server() string { return m.version }
func (m *machines) close() error   { return nil }

// shown makes the files that a case wants on the machine, once.
func (m *machines) shown(one oneCase) (string, error) {
	if one.files == nil {
		return "", nil
	}
	if dir := m.files[one.name]; dir != "" {
		return dir, nil
	}
	dir := filepath.Join(m.dir, "files-"+one.name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	m.files[one.name] = dir
	return dir, one.files(dir)
}

func (m *machines) visit(ctx context.Context, one oneCase) (*visit, error) {
	files, err := m.shown(one)
	if err != nil {
		return nil, err
	}
	v := &visit{}
	options := target.Options{Dir: m.keys, Root: m.root, Files: files, Become: one.become}
	if one.behind {
		options.Root, options.Inner, options.Containers = m.docker, m.root, one.hosts
	}
	v.target, err = target.Spawn(ctx, options)
	if err != nil {
		return nil, err
	}
	m.version = v.target.Server
	v.close = v.target.Close
	v.line, err = target.SpawnLine(ctx, target.LineOptions{Target: v.target.PID(), Delay: one.line.trip / 2, Rate: one.line.rate})
	if err != nil {
		return nil, errors.Join(err, v.close())
	}
	v.close = func() error { return errors.Join(v.target.Close(), v.line.Close()) }
	key := labKey{one.hosts, one.bulk, one.behind, line{}}
	if v.lab = m.labs[key]; v.lab == nil {
		if v.lab, err = m.makeLab(key, v.target.Facts); err != nil {
			return nil, errors.Join(err, v.close())
		}
		m.labs[key] = v.lab
	}
	v.lab.Enter = v.line.Enter()
	v.daemons = meter.Below(v.target.PID())
	if m.record {
		v.record = filepath.Join(m.dir, "capture.pcap")
		if v.capture, err = wire.Start(ctx, v.line.Network(), target.Device, v.record); err != nil {
			return nil, errors.Join(err, v.close())
		}
	}
	return v, nil
}

func (m *machines) makeLab(key labKey, facts target.Facts) (*run.Lab, error) {
	dir := filepath.Join(m.dir, fmt.Sprintf("l%d", len(m.labs)))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	options := run.Options{Dir: dir, Target: facts, Forks: forks, Python: m.python, Compression: !key.bulk}
	count := key.hosts
	if key.behind {
		options.Containers, count = &run.Containers{Tools: m.docker}, 1
		for n := range key.hosts {
			options.Containers.Names = append(options.Containers.Names, target.ContainerName(n+1))
		}
	}
	for n := range count {
		options.Addresses = append(options.Addresses, target.Address{Host: target.HostAddress(n + 1), Port: facts.Port})
	}
	return run.NewLab(options)
}

// loopback is a site for everybody: this machine itself is the target, over an sshd of our own, and a proxy makes the line longer.
type loopback struct {
	dir    string
	python string
	target *target.Process
	labs   map[labKey]*run.Lab
	lines  map[line]*proxy.Proxy
}

func newLoopback(ctx context.Context, dir, python string, embedded bool) (*loopback, error) {
	l := &loopback{dir: dir, python: python, labs: map[labKey]*run.Lab{}, lines: map[line]*proxy.Proxy{}}
	keys := filepath.Join(dir, "t")
	if err := os.Mkdir(keys, 0o700); err != nil {
		return nil, err
	}
	var addresses []string
	for n := range forks {
		addresses = append(addresses, fmt.Sprintf("127.0.0.%d", n+1))
	}
	var err error
	l.target, err = target.Spawn(ctx, target.Options{Dir: keys, Embedded: embedded, Addresses: addresses})
	return l, err
}

func (l *loopback) server() string { return l.target.Server }

func (l *loopback) close() error {
	for _, one := range l.lines {
		one.Close()
	}
	return l.target.Close()
}

func (l *loopback) visit(_ context.Context, one oneCase) (*visit, error) {
	if one.machine {
		return nil, fmt.Errorf("%s needs a machine of its own: run it as root, with --root", one.name)
	}
	v := &visit{target: l.target, proxy: l.lines[one.line], close: func() error { return nil }}
	if v.proxy == nil {
		var err error
		if v.proxy, err = l.target.Proxy(one.line.trip/2, one.line.rate); err != nil {
			return nil, err
		}
		l.lines[one.line] = v.proxy
	}
	key := labKey{one.hosts, one.bulk, false, one.line}
	if v.lab = l.labs[key]; v.lab == nil {
		dir := filepath.Join(l.dir, fmt.Sprintf("l%d", len(l.labs)))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
		var addresses []target.Address
		for range one.hosts {
			addresses = append(addresses, target.Address{Host: "127.0.0.1", Port: v.proxy.Addr().Port})
		}
		lab, err := run.NewLab(run.Options{
			Dir: dir, Target: l.target.Facts, Addresses: addresses, Forks: forks, Python: l.python, Compression: !one.bulk,
		})
		if err != nil {
			return nil, err
		}
		v.lab, l.labs[key] = lab, lab
	}
	v.proxy.Reset()
	return v, nil
}

// quiet waits until nothing is left on a target but what it runs by itself, so that all it did is counted.
func (v *visit) quiet(limit time.Duration) {
	deadline := time.Now().Add(limit)
	for time.Now().Before(deadline) && !v.daemons.Has(meter.Below(v.target.PID())) {
		time.Sleep(20 * time.Millisecond)
	}
}
