package local

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"spindle/transports"
)

// process is a program that was started, and the leader of its session and group.
type process struct {
	pid   int
	pidfd *os.File // nil on kernels that have none
	gone  chan struct{}
	exit  transports.Exit // valid once gone is closed

	mu     sync.Mutex
	reaped bool // pid may be somebody else's from now on
	doomed bool // what is left of the group dies with its leader
}

// start starts c with these descriptors. done is called when it is gone.
func start(c transports.Command, s *streams, done func()) (*process, error) {
	path := c.Argv[0]
	if !strings.Contains(path, "/") {
		var err error
		if path, err = transports.LookPath(path); err != nil {
			return nil, err
		}
	}
	pidfd := -1
	attr := &syscall.ProcAttr{
		Dir: c.Dir,
		// Environ takes the last of each name.
		Env:   (&exec.Cmd{Dir: c.Dir, Env: append(os.Environ(), c.Env...)}).Environ(),
		Files: s.files(),
		Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM, PidFD: &pidfd},
	}
	if s.slave >= 0 {
		attr.Sys.Setctty, attr.Sys.Ctty = true, 2 // the program's number: stderr is the terminal in both modes
	}
	p := &process{gone: make(chan struct{})}
	err := theNursery.start(func() (err error) {
		p.pid, err = syscall.ForkExec(path, c.Argv, attr)
		return err
	})
	if err != nil {
		return nil, err
	}
	if pidfd >= 0 && unix.SetNonblock(pidfd, true) == nil {
		p.pidfd = os.NewFile(uintptr(pidfd), "pidfd")
	}
	go p.reap(func() { theNursery.leave(); done() })
	return p, nil
}

// reap waits for the end and takes the exit status.
func (p *process) reap(done func()) {
	p.await()
	p.mu.Lock()
	// Until it is reaped, neither its pid nor its group's number is anybody else's.
	if p.doomed {
		_ = unix.Kill(-p.pid, unix.SIGKILL)
	}
	var ws unix.WaitStatus
	_, err := unix.Wait4(p.pid, &ws, 0, nil)
	for errors.Is(err, unix.EINTR) {
		_, err = unix.Wait4(p.pid, &ws, 0, nil)
	}
	p.reaped = true
	p.mu.Unlock()
	if p.pidfd != nil {
		_ = p.pidfd.Close()
	}
	switch {
	case err != nil: // somebody else in this process waits for any child
		p.exit = transports.Exit{Code: -1, Text: "exit status lost: " + err.Error()}
	case ws.Signaled():
		p.exit = transports.Exit{Code: -int(ws.Signal()), Signal: strings.TrimPrefix(unix.SignalName(ws.Signal()), "SIG")}
	default:
		p.exit = transports.Exit{Code: ws.ExitStatus()}
	}
	done()
	close(p.gone)
}

// await returns when the program has ended, and leaves it unreaped. It waits in the poller; where that cannot be, a
// thread waits.
func (p *process) await() {
	ended := func(idType, id, options int) bool {
		var info unix.Siginfo
		for {
			err := unix.Waitid(idType, id, &info, unix.WEXITED|unix.WNOWAIT|options, nil)
			if !errors.Is(err, unix.EINTR) {
				// A signal number is there if the program has ended. An error will come again, and be told, in reap.
				return err != nil && !errors.Is(err, unix.EAGAIN) || err == nil && info.Signo != 0
			}
		}
	}
	if p.pidfd != nil {
		if rc, err := p.pidfd.SyscallConn(); err == nil {
			err = rc.Read(func(fd uintptr) bool { return ended(unix.P_PIDFD, int(fd), unix.WNOHANG) })
			if err == nil {
				return
			}
		}
	}
	ended(unix.P_PID, p.pid, 0)
}

// doom makes what is left of the group die with its leader, whatever ends that.
func (p *process) doom() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doomed = true
}

// end makes the program end, and returns when it is reaped or when nothing has helped.
func (p *process) end(grace time.Duration) error {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		p.signal(sig)
		if p.endsIn(grace) {
			return nil
		}
	}
	return errors.New("a program of another user goes on running")
}

// endsIn says whether the program is gone and reaped within this time.
func (p *process) endsIn(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.gone:
		return true
	case <-timer.C:
		return false
	}
}

// signal signals the group, unless the program is gone.
func (p *process) signal(sig unix.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doomed = true
	if !p.reaped {
		_ = unix.Kill(-p.pid, sig)
	}
}
