package meter

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhatADaemonDidBeforeIsNoPartOfARun(t *testing.T) {
	now := time.Now()
	before := Living{
		30: {Task: 30, Process: 30, Ended: now, CPU: 2 * time.Second, MinorFaults: 7},
		31: {Task: 31, Process: 31, Ended: now, CPU: time.Hour},
	}
	daemon := task(30, 20, "dockerd", 5*time.Second)
	daemon.Began = now.Add(-time.Minute)
	again := task(31, 20, "runc", time.Second) // another one of that number
	again.Began = now.Add(time.Minute)
	got := Sum(before.Less([]Record{daemon, again}), map[int]bool{20: true}, nil, Target)
	if diff := cmp.Diff(&Usage{CPU: 4, Processes: 1, MinorFaults: 13, PeakRSS: 1 << 20}, got[All]); diff != "" {
		t.Errorf("usage mismatch (-want +got):\n%s", diff)
	}
}

func TestBelowSeesWhatLives(t *testing.T) {
	before := Below(os.Getpid())
	cmd := exec.Command("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo; read x; true")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // its work is done
		t.Fatal(err)
	}
	now := Below(os.Getpid())
	one, seen := now[cmd.Process.Pid]
	if !seen || one.Process != cmd.Process.Pid || one.CPU < time.Millisecond || one.MinorFaults == 0 {
		t.Errorf("saw %v: %+v", seen, one)
	}
	if before.Has(now) || !now.Has(before) {
		t.Error("the new process is not told from what was there")
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if !before.Has(Below(os.Getpid())) {
		t.Error("it is still there")
	}
}
