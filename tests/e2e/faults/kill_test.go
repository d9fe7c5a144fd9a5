//go:build e2e

package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// victim is something that can be killed.
type victim struct {
	name  string
	local bool // its death may end the whole run; otherwise only the first host is touched
	find  func(s *scene) []env.Process
}

// top is ansible-playbook itself: the process of the controller that no other process of the controller has started.
func top(s *scene) []env.Process {
	var out []env.Process
	ps := s.controller.Processes()
	for _, p := range ps {
		if p.Runs("python") && p.Matches("ansible-playbook") && !has(ps, p.Parent) {
			out = append(out, p)
		}
	}
	return out
}

func has(ps []env.Process, pid int) bool {
	for _, p := range ps {
		if p.PID == pid {
			return true
		}
	}
	return false
}

var victims = []victim{
	{"ansible-playbook", true, top},
	{"multiplexer", true, func(s *scene) []env.Process {
		return pick(s.controller.Machine, func(p env.Process) bool { return p.Runs("spindle") && p.Matches("serve") })
	}},
	{"worker", true, func(s *scene) []env.Process {
		t := top(s)
		if len(t) == 0 {
			return nil
		}
		return pick(s.controller.Machine, func(p env.Process) bool { return p.Parent == t[0].PID && p.Runs("python") })
	}},
	{"sshd session", false, func(s *scene) []env.Process {
		return pick(s.hosts[0].Machine, func(p env.Process) bool { return p.Runs("sshd") })
	}},
	{"agent", false, func(s *scene) []env.Process {
		ps := s.hosts[0].Processes()
		byPID := map[int]env.Process{}
		for _, p := range ps {
			byPID[p.PID] = p
		}
		// The first Python of each account: not a child that it forked.
		return pick(s.hosts[0].Machine, func(p env.Process) bool { return p.Runs("python") && !byPID[p.Parent].Runs("python") })
	}},
}

func pick(m *env.Machine, is func(env.Process) bool) []env.Process {
	var out []env.Process
	for _, p := range m.Processes() {
		if is(p) {
			out = append(out, p)
		}
	}
	return out
}

func setting(name string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// TestNothingIsLeftBehind runs the same play again and again, and kills something of it at a random moment of each run.
func TestNothingIsLeftBehind(t *testing.T) {
	seed := setting("SPINDLE_TEST_SEED", time.Now().UnixNano())
	rounds := int(setting("SPINDLE_TEST_KILLS", 4)) // of each victim, all versions together
	t.Logf("SPINDLE_TEST_SEED=%d", seed)
	for i, version := range env.Versions {
		share := (rounds + len(env.Versions) - 1 - i) / len(env.Versions)
		if share == 0 {
			continue
		}
		t.Run(version.Name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(seed), uint64(i)))
			s := sceneOf(t, version)
			s.controller.InstallSpindle(t)
			s.sweep(t)
			whole := undisturbed(t, s, "mitogen_linear")
			for round := range share {
				for _, v := range victims {
					t.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(v.name, " ", "-"), round), func(t *testing.T) {
						// A moment at which there is nothing of the kind shows nothing: another one is tried.
						for range 6 {
							delay := time.Duration(rng.Float64() * float64(whole))
							choice := rng.IntN(1 << 20)
							t.Logf("seed %d: %s, %v after the start of a run of %v", seed, v.name, delay, whole)
							if killOne(t, s, "mitogen_linear", v, delay, choice) {
								return
							}
						}
						t.Errorf("no moment was found at which there was a %s to kill", v.name)
					})
				}
			}
		})
	}
}

// undisturbed runs the play without any fault, and returns how long it takes. Everything that the faults are checked for holds here first.
func undisturbed(t *testing.T, s *scene, strategy string) time.Duration {
	t.Helper()
	run := s.play(t, strategy, nil)
	records, err := parity.Parse(run.Records)
	if err != nil || run.Code != 0 {
		t.Fatalf("the play fails without any fault: %v\n%v", err, run)
	}
	for _, h := range s.hosts {
		for _, problem := range append(complete(h, records), checkWork(h, records)...) {
			t.Error(problem)
		}
	}
	if left := s.leftovers(t, settle); left != "" && env.Ours(strategy) {
		t.Errorf("left behind by a run without any fault:\n%s", left)
	}
	s.sweep(t)
	return run.Took
}

func (s *scene) play(t *testing.T, strategy string, started func()) env.Run {
	t.Helper()
	return s.controller.Play(t, env.Play{
		Strategy: strategy, Playbook: "faults.yml", Inventory: s.inventory(), Limit: 2 * time.Minute, Started: started,
		// Where there is nothing left but the stock path, that one is to leave nothing behind either.
		SSH: map[string]string{"pipelining": "True", "ssh_args": "-o ControlMaster=no"},
	})
}

// killOne is one run with one death in it. It says whether there was one: the run may be over before.
func killOne(t *testing.T, s *scene, strategy string, v victim, delay time.Duration, choice int) bool {
	t.Helper()
	type death struct {
		p  env.Process
		at time.Time
	}
	killed, over := make(chan death, 1), make(chan struct{})
	run := s.play(t, strategy, func() {
		go func() {
			defer close(killed)
			select {
			case <-time.After(delay): // the random moment
			case <-over:
				return
			}
			for {
				if ps := v.find(s); len(ps) > 0 {
					p := ps[choice%len(ps)]
					if err := p.Kill(); err != nil {
						return
					}
					killed <- death{p, time.Now()}
					return
				}
				select {
				case <-over:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		}()
	})
	ended := time.Now()
	close(over)
	d, hit := <-killed
	if !hit {
		t.Logf("the run was over before there was a %s to kill", v.name)
	} else {
		t.Logf("killed %v; ansible-playbook ended %v later with %d", d.p, ended.Sub(d.at).Round(time.Millisecond), run.Code)
	}
	records, err := parity.Parse(run.Records)
	if err != nil {
		t.Error(err)
	}
	if run.Hung {
		t.Errorf("ansible-playbook did not end")
	}
	for _, h := range s.hosts {
		for _, problem := range checkWork(h, records) {
			t.Error(problem)
		}
	}
	if !v.local {
		for _, problem := range complete(s.hosts[1], records) {
			t.Error(problem)
		}
	}
	if left := s.leftovers(t, settle); left != "" {
		t.Errorf("left behind %v after the end:\n%s", settle, left)
	}
	if t.Failed() {
		t.Log(run)
	}
	s.sweep(t)
	return hit
}

// TestTheChecksCanFail kills ansible-playbook under the stock strategy, which leaves its SSH connections and temporary files
// behind. The checks have to find them; otherwise their silence above would mean nothing.
func TestTheChecksCanFail(t *testing.T) {
	s := newScene(t)
	s.sweep(t)
	if left := s.leftovers(t, settle); left != "" {
		t.Fatalf("machines on which nothing ran are not clean:\n%s", left)
	}
	run := s.controller.Play(t, env.Play{
		Strategy: "linear", Playbook: "faults.yml", Inventory: s.inventory(), Limit: 4 * time.Minute,
		SSH: map[string]string{"ssh_args": "-o ControlMaster=auto -o ControlPersist=60s"},
		Started: func() {
			go func() {
				env.Poll(3*time.Minute, func() string { // the slow task has begun
					if count(marks(s.hosts[0]), "slow") == 0 {
						return "not yet"
					}
					return ""
				})
				// The workers as well: one that is left alone goes on to tidy up.
				for _, p := range append(top(s), pick(s.controller.Machine, func(p env.Process) bool { return p.Runs("python") })...) {
					_ = p.Kill()
				}
			}()
		},
	})
	if run.Code == 0 {
		t.Fatalf("nothing was killed: %v", run)
	}
	left := s.leftovers(t, time.Second)
	for _, want := range []string{"controller-2.14: still running", "web1: still running", "sshd", "web1: file: + /home/deploy/.ansible/tmp/ansible-tmp-"} {
		if !strings.Contains(left, want) {
			t.Errorf("not found: %q in:\n%s", want, left)
		}
	}
	// A mark that is not there, one that is there twice, a file that was cut.
	s.hosts[0].MustExec(t, "sh", "-c", "cd /home/deploy/marks; sed -i /^3$/d marks; echo 4 >>marks; truncate -s 5 file1000000 2>/dev/null || head -c 5 /dev/zero >file1000000")
	records, _ := parity.Parse(run.Records)
	problems := strings.Join(checkWork(s.hosts[0], records), "\n")
	for _, want := range []string{"its mark 3 is not there", "mark 4 was made 2 times", "file1000000 is there with 5 bytes"} {
		if !strings.Contains(problems, want) {
			t.Errorf("not found: %q in:\n%s", want, problems)
		}
	}
	if len(complete(s.hosts[0], records)) == 0 {
		t.Error("an incomplete host passes for a complete one")
	}
}
