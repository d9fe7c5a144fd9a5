package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"spindle/benchmarks/playbooks"
	"spindle/benchmarks/run"
)

// bulkSize is what the copy case copies.
const bulkSize = 256 << 20

// nodes is how many inventory hosts the hosts cases have.
const nodes = 20

// place tells which of the labs a case runs in.
type place int

const (
	oneNode     place = iota // one inventory host
	oneNodeBulk              // the same, without SSH compression
	sameAddress              // 20 inventory hosts with one address
	ownAddress               // 20 inventory hosts with an address each
	places
)

// oneCase is one row of the comparison.
type oneCase struct {
	name    string
	title   string
	place   place
	command string
	args    []string
	expect  run.Expect
	after   func() error // not timed, says why the run did not do its work
	counted bool         // whether it is run through the counting proxy too
	extra   bool         // only when it is asked for by name
}

// makeCases writes what the cases need below dir, and returns them.
func makeCases(dir, playground string, withBulk bool) ([]oneCase, error) {
	if err := playbooks.Write(dir); err != nil {
		return nil, err
	}
	for name, count := range map[string]int{"tasks.yml": 100, "hosts.yml": 20} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(playbooks.Tasks(count)), 0o600); err != nil {
			return nil, err
		}
	}
	play := func(name string) []string { return []string{filepath.Join(dir, name)} }
	large, copied := filepath.Join(dir, "large"), filepath.Join(playground, "large")
	cases := []oneCase{
		{
			name: "loop", title: "100 items in one command loop", command: "ansible-playbook", args: play("loop.yml"),
			expect: run.Expect{Hosts: 1, OK: 1}, counted: true,
		},
		{
			name: "tasks", title: "100 command tasks", command: "ansible-playbook", args: play("tasks.yml"),
			expect: run.Expect{Hosts: 1, OK: 100}, counted: true,
		},
		{
			name: "ping", title: "one ping (ansible -m ping)", command: "ansible", args: []string{"nodes", "-m", "ping"},
			expect: run.Expect{Hosts: 1, Adhoc: `"ping": "pong"`}, counted: true,
		},
		{
			name: "hosts", title: "20 tasks on 20 hosts, one address", place: sameAddress, command: "ansible-playbook", args: play("hosts.yml"),
			expect: run.Expect{Hosts: nodes, OK: 20}, counted: true,
		},
		{
			name: "addresses", title: "20 tasks on 20 hosts, an address each", place: ownAddress, command: "ansible-playbook", args: play("hosts.yml"),
			expect: run.Expect{Hosts: nodes, OK: 20}, extra: true,
		},
	}
	if !withBulk {
		return cases, nil
	}
	sum, err := writeNoise(large, bulkSize)
	if err != nil {
		return nil, err
	}
	return append(cases, oneCase{
		name: "copy", title: "copy of 256 MiB (SSH compression off)", place: oneNodeBulk, command: "ansible-playbook",
		args:   append(play("copy.yml"), "-e", "large_file="+large),
		expect: run.Expect{Hosts: 1, OK: 1},
		after: func() error {
			got, err := sumOf(copied)
			if err == nil && got != sum {
				err = fmt.Errorf("%s differs from %s", copied, large)
			}
			return err
		},
	}), nil
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

func sumOf(path string) (sum [sha256.Size]byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer file.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, file); err != nil {
		return sum, err
	}
	digest.Sum(sum[:0])
	return sum, nil
}
