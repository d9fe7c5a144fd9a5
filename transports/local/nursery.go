package local

import (
	"runtime"
	"sync"
)

// nursery is the thread from which programs are started. The kernel sends a program its death signal when the
// *thread* that started it ends, and Go ends a thread together with a goroutine that was locked to it. So the
// thread must be one that nobody else locks, and must outlive its programs. It goes when the last of them is gone.
type nursery struct {
	mu       sync.Mutex
	jobs     chan func()
	children int
}

// theNursery serves all Spawners.
var theNursery nursery

// start runs fn on the thread. If fn succeeds, leave has to be called when what it started is gone.
func (n *nursery) start(fn func() error) error {
	n.mu.Lock()
	if n.children == 0 {
		n.jobs = make(chan func())
		go tend(n.jobs)
	}
	n.children++
	jobs := n.jobs
	n.mu.Unlock()

	done := make(chan error)
	jobs <- func() { done <- fn() }
	err := <-done
	if err != nil {
		n.leave()
	}
	return err
}

func (n *nursery) leave() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.children--
	if n.children == 0 {
		close(n.jobs)
	}
}

func tend(jobs <-chan func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for job := range jobs {
		job()
	}
}
