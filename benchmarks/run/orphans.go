package run

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// AdoptOrphans makes this process the parent of every daemon that is started below it.
var AdoptOrphans = sync.OnceFunc(func() { unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })

// endOrphans reaps every child that was not there before, and returns the CPU time of all of them and of what they had reaped.
// They have the given time to end by themselves; then they are asked to, then made to.
func endOrphans(before map[int]bool, patience time.Duration) time.Duration {
	var total time.Duration
	ask := time.Now().Add(patience)
	insist := ask.Add(grace)
	for {
		rest := 0
		for pid := range children() {
			if before[pid] {
				continue
			}
			switch now := time.Now(); {
			case now.After(insist):
				syscall.Kill(pid, syscall.SIGKILL)
			case now.After(ask):
				syscall.Kill(pid, syscall.SIGTERM)
			}
			var usage syscall.Rusage
			reaped, err := syscall.Wait4(pid, nil, syscall.WNOHANG, &usage)
			if err == nil && reaped == pid {
				total += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
				continue
			}
			rest++
		}
		if rest == 0 {
			return total
		}
		// There is no event for "one of these children ended" that leaves other children alone.
		time.Sleep(5 * time.Millisecond)
	}
}

// children returns the pids whose parent this process is, ended ones that nobody has waited for included.
func children() map[int]bool {
	found := map[int]bool{}
	entries, _ := os.ReadDir("/proc")
	self := os.Getpid()
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		// The name in parentheses may hold anything, so fields count from the last one.
		_, fields, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " ")
		var state string
		var parent int
		if _, err := fmt.Sscan(fields, &state, &parent); err == nil && parent == self {
			found[pid] = true
		}
	}
	return found
}
