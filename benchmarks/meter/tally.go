package meter

import (
	"strings"
	"time"
)

// Record is what the kernel says of one task (a thread) that has ended.
type Record struct {
	Task, Process, Parent    int
	Name                     string
	Began, Ended             time.Time
	CPU                      time.Duration
	MinorFaults, MajorFaults int64
	PeakRSS                  int64 // of its whole process, bytes
	Earlier                  bool  // its process had begun before the run
}

// slack is how much later than its parent's a task's record may come. They are on their way at the same time when a whole tree is killed.
const slack = time.Second

// Usage is what some processes used together.
type Usage struct {
	CPU         float64 `json:"cpu_seconds"`
	Processes   int     `json:"processes"`
	MinorFaults int64   `json:"minor_faults"`
	MajorFaults int64   `json:"major_faults"`
	PeakRSS     int64   `json:"peak_rss_bytes"` // of the largest of them
}

func (u *Usage) add(r Record) {
	u.CPU += r.CPU.Seconds()
	u.MinorFaults += r.MinorFaults
	u.MajorFaults += r.MajorFaults
	u.PeakRSS = max(u.PeakRSS, r.PeakRSS)
	if r.Task == r.Process && !r.Earlier {
		u.Processes++
	}
}

// Tally is the usage of all processes below the roots, by kind, and of all together under "all".
type Tally map[string]*Usage

// All is the kind under which everything is counted.
const All = "all"

// Sum tallies the records of tasks that descend from a root. A root itself counts only if it is named in own. The kind of a process
// is found by its main thread's record; a thread whose process has not ended counts with the kind of its name.
func Sum(records []Record, roots map[int]bool, own map[int]bool, kind func(Record) string) Tally {
	mains := make(map[int][]Record, len(records)) // the kernel gives numbers again
	for _, r := range records {
		if r.Task == r.Process {
			mains[r.Process] = append(mains[r.Process], r)
		}
	}
	find := func(process int, at time.Time) (Record, bool) {
		for _, main := range mains[process] {
			if !main.Began.After(at) && !main.Ended.Add(slack).Before(at) {
				return main, true
			}
		}
		return Record{}, false
	}
	belongs := func(r Record) bool {
		if roots[r.Process] {
			return own[r.Process]
		}
		for range 64 { // a chain that goes in a circle would be one of a number that was given twice
			if roots[r.Parent] {
				return true
			}
			parent, known := find(r.Parent, r.Ended)
			if !known {
				return false
			}
			r = parent
		}
		return false
	}
	tally := Tally{All: {}}
	for _, r := range records {
		if !belongs(r) {
			continue
		}
		of := r
		if main, ok := find(r.Process, r.Ended); ok {
			of = main
		}
		k := kind(of)
		if tally[k] == nil {
			tally[k] = &Usage{}
		}
		tally[k].add(r)
		tally[All].add(r)
	}
	return tally
}

// The kinds of processes on a controller.
const (
	Main        = "main"        // ansible-playbook itself
	Workers     = "workers"     // its forks
	Multiplexer = "multiplexer" // Spindle's or Mitogen's
	SSH         = "ssh"         // clients and masters of OpenSSH
	Other       = "other"
)

// Controller returns the kinds of a controller's processes. Mitogen's multiplexer has no name of its own: it is the first fork
// that ansible-playbook makes, before any worker.
func Controller(records []Record, command int, adopter int, forksMultiplexer bool) func(Record) string {
	var first Record
	if forksMultiplexer {
		for _, r := range records {
			if (r.Parent != command && r.Parent != adopter) || r.Process == command || r.Task != r.Process || !ansible(r.Name) {
				continue
			}
			if earlier := r.Began.Compare(first.Began); first.Process == 0 || earlier < 0 || earlier == 0 && r.Process < first.Process {
				first = r
			}
		}
	}
	return func(r Record) string {
		switch {
		case r.Process == command:
			return Main
		case r.Process == first.Process && first.Process != 0 || strings.HasPrefix(r.Name, "spindle"):
			return Multiplexer
		case r.Name == "ssh" || r.Name == "sshpass" || r.Name == "sftp" || r.Name == "scp":
			return SSH
		case ansible(r.Name):
			return Workers
		default:
			return Other
		}
	}
}

func ansible(name string) bool {
	return strings.HasPrefix(name, "ansible") || strings.HasPrefix(name, "python") || strings.HasPrefix(name, "mitogen") || strings.HasPrefix(name, "worker")
}

// Target returns the kind of a target's process.
func Target(r Record) string {
	switch {
	case strings.HasPrefix(r.Name, "sshd") || r.Name == "sftp-server":
		return "sshd"
	case strings.HasPrefix(r.Name, "sudo"):
		return "become"
	case strings.HasPrefix(r.Name, "python") || strings.HasPrefix(r.Name, "mitogen") || strings.HasPrefix(r.Name, "spindle"):
		return "python"
	default:
		return Other
	}
}
