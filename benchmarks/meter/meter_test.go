package meter

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func task(process, parent int, name string, cpu time.Duration) Record {
	return Record{Task: process, Process: process, Parent: parent, Name: name, CPU: cpu, MinorFaults: 10, PeakRSS: 1 << 20}
}

func TestSumCountsWhatDescendsFromARoot(t *testing.T) {
	thread := task(30, 20, "spindle", time.Second)
	thread.Task = 31
	records := []Record{
		task(20, 10, "ansible-playboo", time.Second), // the command
		task(21, 20, "ansible-playboo", 2*time.Second),
		task(22, 21, "ssh", time.Second),
		task(30, 20, "spindle", time.Second), thread,
		task(40, 10, "ssh", time.Second), // an orphan
		task(90, 1, "ssh", time.Hour),    // somebody else's
		task(91, 90, "ssh", time.Hour),
	}
	got := Sum(records, map[int]bool{10: true, 20: true}, map[int]bool{20: true}, Controller(records, 20, 10, false))
	want := Tally{
		All:         {CPU: 7, Processes: 5, MinorFaults: 60, PeakRSS: 1 << 20},
		Main:        {CPU: 1, Processes: 1, MinorFaults: 10, PeakRSS: 1 << 20},
		Workers:     {CPU: 2, Processes: 1, MinorFaults: 10, PeakRSS: 1 << 20},
		Multiplexer: {CPU: 2, Processes: 1, MinorFaults: 20, PeakRSS: 1 << 20},
		SSH:         {CPU: 2, Processes: 2, MinorFaults: 20, PeakRSS: 1 << 20},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tally mismatch (-want +got):\n%s", diff)
	}
}

func TestANumberThatIsGivenAgainIsAnotherProcess(t *testing.T) {
	start := time.Now()
	lived := func(r Record, from, to int) Record {
		r.Began, r.Ended = start.Add(time.Duration(from)*time.Second), start.Add(time.Duration(to)*time.Second)
		return r
	}
	records := []Record{
		lived(task(21, 20, "ansible-playboo", time.Second), 10, 11),
		lived(task(30, 21, "ssh", time.Hour), 40, 41), // of another 21, which still lives
		lived(task(22, 20, "ansible-playboo", time.Second), 50, 51),
		lived(task(31, 22, "ssh", time.Hour), 60, 61), // of another 22
		lived(task(22, 1, "bash", time.Hour), 55, 70),
		lived(task(32, 33, "ssh", time.Second), 80, 82), // outlives its parent in the records only
		lived(task(33, 20, "ansible-playboo", time.Second), 79, 81),
	}
	got := Sum(records, map[int]bool{10: true, 20: true}, nil, func(Record) string { return Other })[All]
	if got.CPU != 4 || got.Processes != 4 {
		t.Errorf("counted %v s of %d processes, not 4 s of 4", got.CPU, got.Processes)
	}
}

func TestMitogensMultiplexerIsTheFirstFork(t *testing.T) {
	records := []Record{
		task(25, 20, "ansible-playboo", 0), // a worker, which ended first
		task(20, 10, "ansible-playboo", 0),
		task(21, 10, "ansible-playboo", 0), // outlived the command
	}
	kind := Controller(records, 20, 10, true)
	if a, b, c := kind(records[0]), kind(records[1]), kind(records[2]); a != Workers || b != Main || c != Multiplexer {
		t.Errorf("kinds: %s, %s, %s", a, b, c)
	}
}

func TestTheKernelReportsWhatEnded(t *testing.T) {
	l, err := Listen()
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	defer l.Close()
	cmd := exec.Command("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 0; sleep 0")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	records, _ := l.Take()
	pid := cmd.ProcessState.Pid()
	tally := Sum(records, map[int]bool{os.Getpid(): true, pid: true}, map[int]bool{pid: true}, func(r Record) string {
		if r.Process == pid {
			return Main
		}
		return Other
	})
	used := (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() // of its children too
	if got := tally[All].CPU; got < used*0.8 || got > used*1.2 || tally[Main] == nil || tally[Main].Processes != 1 {
		t.Errorf("the kernel counts %v s, wait says %v s: %+v", got, used, tally[Main])
	}
	if tally[Other] == nil || tally[Other].Processes < 2 {
		t.Errorf("its children are missing: %+v", tally[Other])
	}
}
