package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"spindle/benchmarks/playbooks"
	"spindle/benchmarks/run"
)

// forks is what ansible.cfg says in every lab.
const forks = 20

// oneCase is something that all contenders do, on one kind of line.
type oneCase struct {
	name    string
	title   string
	line    line
	hosts   int
	bulk    bool // without SSH compression, which would measure zlib
	command string
	args    []string
	expect  run.Expect
	after   func(v *visit) error   // not timed, says why the run did not do its work
	machine bool                   // whether it needs a machine of its own
	files   func(dir string) error // makes what the machine must show in its files
	become  int                    // accounts to become
	behind  bool                   // the hosts are containers on one machine
	idle    bool                   // the multiplexer's memory is measured while the playbook waits
}

// key is how flags and reports name it.
func (c oneCase) key() string { return c.name + c.line.suffix() }

// line is what a network is like.
type line struct {
	trip time.Duration // there and back
	rate int           // bytes a second each way, or 0
}

// suffix is empty for a line without delay and limit, and "@26ms", "@370ms" or "@26ms/10M" for others.
func (l line) suffix() string {
	if l == (line{}) {
		return ""
	}
	text := "@" + l.trip.String()
	if l.rate != 0 {
		text += fmt.Sprintf("/%dM", l.rate*8/1e6)
	}
	return text
}

// parseLine reads what suffix writes, without the "@".
func parseLine(text string) (line, error) {
	var l line
	trip, rate, limited := strings.Cut(text, "/")
	var err error
	if trip != "" {
		if l.trip, err = time.ParseDuration(trip); err != nil {
			return l, err
		}
	}
	if limited {
		bits, err := strconv.Atoi(strings.TrimSuffix(rate, "M"))
		if err != nil {
			return l, fmt.Errorf("a limit is megabits a second, as in 10M: %w", err)
		}
		l.rate = bits * 1e6 / 8
	}
	return l, nil
}

// catalogue makes every case there is, by name, and what they need below dir. It makes large files only when they are asked for.
type catalogue struct {
	dir   string
	noise map[string][sha256.Size]byte
}

func newCatalogue(dir string) (*catalogue, error) {
	if err := playbooks.Write(dir); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"tasks.yml": playbooks.Tasks(100), "hosts.yml": playbooks.Tasks(20), "baseline.yml": playbooks.Baseline(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	for _, count := range []int{100, 1000} {
		if err := makeTree(filepath.Join(dir, "trees", strconv.Itoa(count)), count); err != nil {
			return nil, err
		}
	}
	return &catalogue{dir: dir, noise: map[string][sha256.Size]byte{}}, nil
}

// makeTree makes empty files, ten directories of them at most.
func makeTree(dir string, count int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for n := range count {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%04d", n)), nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// names are all cases, in the order of reports.
func (c *catalogue) names() []string {
	return []string{
		"empty", "ping", "loop", "tasks", "tree100", "tree1000", "baseline", "deploy", "hosts1", "hosts10", "hosts20", "hosts50", "hosts200",
		"containers5", "containers50",
		"facts50", "become500", "copy32", "copy32become", "copy256", "copy320", "copy320become", "fetch", "idle1", "idle50",
	}
}

// find makes the case of a name like "loop" or "loop@26ms".
func (c *catalogue) find(spec string) (oneCase, error) {
	name, where, _ := strings.Cut(spec, "@")
	on, err := parseLine(where)
	if err != nil {
		return oneCase{}, fmt.Errorf("case %s: %w", spec, err)
	}
	play := func(name string, more ...string) []string {
		return append([]string{filepath.Join(c.dir, name)}, more...)
	}
	one := oneCase{name: name, line: on, hosts: 1, command: "ansible-playbook"}
	fleet := func(hosts, ok int, playbook string) {
		one.hosts, one.args, one.expect = hosts, play(playbook), run.Expect{Hosts: hosts, OK: ok}
		one.machine = hosts > 20
	}
	switch name {
	case "empty":
		one.title, one.args, one.expect = "an empty play", play("empty.yml"), run.Expect{}
	case "ping":
		one.title, one.command, one.args = "one ping (ansible -m ping)", "ansible", []string{"nodes", "-m", "ping"}
		one.expect = run.Expect{Hosts: 1, Adhoc: `"ping": "pong"`}
	case "loop":
		one.title, one.args, one.expect = "100 items in one command loop", play("loop.yml"), run.Expect{Hosts: 1, OK: 1}
	case "tasks":
		one.title, one.args, one.expect = "100 command tasks", play("tasks.yml"), run.Expect{Hosts: 1, OK: 100}
	case "tree100", "tree1000":
		count := strings.TrimPrefix(name, "tree")
		one.title = "copy of a tree of " + count + " empty files"
		one.args, one.expect = play("tree/tree.yml", "-e", "tree="+filepath.Join(c.dir, "trees", count)), run.Expect{Hosts: 1, OK: 2}
		one.after = func(v *visit) error { return holds(v.path(v.lab.Remote()+"/tree"), count) }
	case "baseline":
		one.title, one.args, one.machine = "common baseline, 246 tasks", play("baseline.yml"), true
		one.expect = run.Expect{Hosts: 1, OK: playbooks.BaselineTasks}
	case "deploy":
		one.title, one.args, one.machine = "deployment of an application, 23 steps", play("deploy.yml"), true
		one.expect, one.files = run.Expect{Hosts: 1, OK: 23}, makeRepository
	case "hosts1", "hosts10", "hosts20", "hosts50", "hosts200":
		count, _ := strconv.Atoi(strings.TrimPrefix(name, "hosts"))
		fleet(count, 20, "hosts.yml")
		one.title = fmt.Sprintf("20 tasks on %d hosts", count)
	case "containers5", "containers50":
		count, _ := strconv.Atoi(strings.TrimPrefix(name, "containers"))
		fleet(count, 20, "hosts.yml")
		one.title, one.behind, one.machine = fmt.Sprintf("20 tasks in %d containers behind one host", count), true, true
	case "facts50":
		fleet(50, 1, "facts.yml")
		one.title = "facts of 50 hosts"
	case "idle1", "idle50":
		count, _ := strconv.Atoi(strings.TrimPrefix(name, "idle"))
		fleet(count, 2, "idle.yml")
		one.title, one.idle, one.machine = fmt.Sprintf("%d idle hosts", count), true, true
		one.expect.Hosts++ // localhost waits
	case "become500":
		one.title, one.args, one.machine, one.become = "500 accounts to become, in one loop", play("become.yml"), true, 500
		one.expect = run.Expect{Hosts: 1, OK: 1}
	case "copy32", "copy32become", "copy256", "copy320", "copy320become":
		size, become := strings.CutSuffix(strings.TrimPrefix(name, "copy"), "become")
		mib, _ := strconv.Atoi(size)
		return c.copyCase(one, mib, become)
	case "fetch":
		one.title, one.args, one.machine, one.bulk = "fetch of two files of 512 MiB, become", play("fetch.yml"), true, true
		one.expect = run.Expect{Hosts: 1, OK: 1}
		var sum [sha256.Size]byte
		one.files = func(dir string) (err error) {
			for _, name := range []string{"first", "second"} {
				if sum, err = writeNoise(filepath.Join(dir, name), 512<<20); err != nil {
					return err
				}
			}
			return nil
		}
		one.after = func(v *visit) error {
			for _, name := range []string{"first", "second"} {
				if err := sameSum(filepath.Join(v.lab.Fetched(), name), sum); err != nil {
					return err
				}
			}
			return nil
		}
	default:
		return oneCase{}, fmt.Errorf("there is no case %q: use %s, with a line behind it where that is not the shortest, as in loop@26ms", name,
			strings.Join(c.names(), ", "))
	}
	return one, nil
}

func (c *catalogue) copyCase(one oneCase, mib int, become bool) (oneCase, error) {
	large := filepath.Join(c.dir, fmt.Sprintf("large%d", mib))
	sum, made := c.noise[large]
	if !made {
		var err error
		if sum, err = writeNoise(large, int64(mib)<<20); err != nil {
			return one, err
		}
		c.noise[large] = sum
	}
	one.title, one.bulk, one.machine = fmt.Sprintf("copy of %d MiB", mib), true, become
	if become {
		one.title += ", become"
	}
	one.args = []string{filepath.Join(c.dir, "copy.yml"), "-e", "large_file=" + large, "-e", fmt.Sprintf(`{"as_root": %v}`, become)}
	one.expect = run.Expect{Hosts: 1, OK: 1}
	one.after = func(v *visit) error { return sameSum(v.path(v.lab.Remote()+"/large"), sum) }
	return one, nil
}

// holds says why a directory does not hold so many entries.
func holds(dir, count string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && strconv.Itoa(len(entries)) != count {
		err = fmt.Errorf("there are %d files in %s, not %s", len(entries), dir, count)
	}
	return err
}

// writeNoise writes bytes that no compression makes smaller, the same in every run of this program.
func writeNoise(path string, size int64) (sum [sha256.Size]byte, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return sum, err
	}
	digest := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(file, digest), rand.NewChaCha8([32]byte{1}), size); err != nil {
		file.Close()
		return sum, err
	}
	digest.Sum(sum[:0])
	return sum, file.Close()
}

func sameSum(path string, want [sha256.Size]byte) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, file); err != nil {
		return err
	}
	if got := [sha256.Size]byte(digest.Sum(nil)); got != want {
		return fmt.Errorf("%s is not what was to be copied", path)
	}
	return nil
}
