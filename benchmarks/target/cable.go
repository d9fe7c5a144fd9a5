package target

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// underway is how many packets one direction of a cable holds; backlog is for how long packets wait to be sent where there is a limit,
// before the cable loses what comes next, as a router would.
const (
	underway = 1 << 17
	backlog  = 500 * time.Millisecond
)

// frame is the largest Ethernet frame.
const frame = 2048

// packet is a frame on its way.
type packet struct {
	due  time.Time
	data []byte
}

// startCable makes a TAP device at both ends and carries frames between them until the process ends.
func startCable(o LineOptions) error {
	near, err := tap(0, Device)
	if err != nil {
		return err
	}
	far, err := tap(o.Target, "eth0")
	if err != nil {
		return err
	}
	carry(o, near, far)
	carry(o, far, near)
	return nil
}

// carry moves one direction: one goroutine reads and says when a frame is due, one waits for that and writes.
func carry(o LineOptions, from, to *os.File) {
	frames := make(chan packet, underway)
	go func() {
		defer close(frames)
		clock := pacer{delay: o.Delay, rate: o.Rate}
		buf := make([]byte, frame)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			if due, ok := clock.due(time.Now(), n); ok {
				frames <- packet{due, append([]byte(nil), buf[:n]...)}
			}
		}
	}()
	go func() {
		for p := range frames {
			time.Sleep(time.Until(p.due))
			to.Write(p.data) // an end that is not up yet loses what comes
		}
	}()
}

// pacer says when a frame comes out at the other end.
type pacer struct {
	delay time.Duration
	rate  int
	sent  time.Time // when the last frame has left, at the given rate
}

// due returns the time for a frame that came in now, or false for one that is lost.
func (p *pacer) due(now time.Time, size int) (time.Time, bool) {
	if p.rate == 0 {
		return now.Add(p.delay), true
	}
	if p.sent.Before(now) {
		p.sent = now
	}
	if p.sent.Sub(now) > backlog {
		return time.Time{}, false
	}
	p.sent = p.sent.Add(time.Duration(float64(size) / float64(p.rate) * float64(time.Second)))
	return p.sent.Add(p.delay), true
}

// tap makes a TAP device in the network namespace of a process, or in this one's.
func tap(process int, name string) (*os.File, error) {
	type result struct {
		file *os.File
		err  error
	}
	done := make(chan result, 1)
	go func() {
		// The thread is never unlocked, so it ends with its goroutine and takes the foreign namespace along.
		runtime.LockOSThread()
		if process != 0 {
			there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", process))
			if err != nil {
				done <- result{err: err}
				return
			}
			defer there.Close()
			if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
				done <- result{err: fmt.Errorf("enter the network of process %d: %w", process, err)}
				return
			}
		}
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			done <- result{err: fmt.Errorf("open /dev/net/tun: %w", err)}
			return
		}
		request, err := unix.NewIfreq(name)
		if err == nil {
			request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		}
		if err != nil {
			unix.Close(fd)
			done <- result{err: fmt.Errorf("make the device %s: %w", name, err)}
			return
		}
		done <- result{file: os.NewFile(uintptr(fd), name)}
	}()
	r := <-done
	return r.file, r.err
}
