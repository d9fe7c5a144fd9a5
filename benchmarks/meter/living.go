package meter

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Living is what tasks had used at some moment, by their numbers: the daemons of a target that do work before a run, and in it.
type Living map[int]Record

// Below looks at every task of the processes that descend from one, without its own.
func Below(process int) Living {
	living := Living{}
	next := childrenOf(process)
	for len(next) != 0 {
		one := next[len(next)-1]
		next = append(next[:len(next)-1], childrenOf(one)...)
		tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", one))
		for _, entry := range tasks {
			task, _ := strconv.Atoi(entry.Name())
			if r, ok := readTask(one, task); ok {
				living[task] = r
			}
		}
	}
	return living
}

// childrenOf are the processes that the threads of one have started and not lost.
func childrenOf(process int) []int {
	var children []int
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", process))
	for _, path := range paths {
		text, _ := os.ReadFile(path)
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}

// readTask reads of a task that lives what the kernel will say of it at its end. It is false for one that has just ended.
func readTask(process, task int) (Record, bool) {
	dir := fmt.Sprintf("/proc/%d/task/%d/", process, task)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return Record{}, false
	}
	run, err := os.ReadFile(dir + "schedstat")
	if err != nil {
		return Record{}, false
	}
	r := Record{Task: task, Process: process, Ended: time.Now()}
	// The name in parentheses may hold anything, so fields count from the last one.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 10 || fields[0] == "Z" {
		return Record{}, false
	}
	r.MinorFaults, _ = strconv.ParseInt(fields[7], 10, 64)
	r.MajorFaults, _ = strconv.ParseInt(fields[9], 10, 64)
	if cpu := strings.Fields(string(run)); len(cpu) != 0 {
		nanoseconds, _ := strconv.ParseInt(cpu[0], 10, 64)
		r.CPU = time.Duration(nanoseconds)
	}
	return r, true
}

// Less returns the records without what their tasks had used at that moment already. Such a task counts as a process no more: the run has
// not started it.
func (l Living) Less(records []Record) []Record {
	rest := make([]Record, 0, len(records))
	for _, r := range records {
		// The kernel gives numbers again, to what began later.
		if was, ok := l[r.Task]; ok && r.Process == was.Process && !r.Began.After(was.Ended) {
			r.CPU -= was.CPU
			r.MinorFaults -= was.MinorFaults
			r.MajorFaults -= was.MajorFaults
			r.Earlier = true
		}
		rest = append(rest, r)
	}
	return rest
}

// Has says whether every process of others was there at that moment already.
func (l Living) Has(others Living) bool {
	for _, r := range others {
		if _, ok := l[r.Process]; !ok {
			return false
		}
	}
	return true
}
