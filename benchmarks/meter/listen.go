package meter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// answerLimit is how long the kernel may take to answer.
const answerLimit = 30 * time.Second

// Listener receives a record of every task that ends on this machine. Listen makes one.
type Listener struct {
	fd   int
	stop chan struct{}
	done sync.WaitGroup
	seen chan struct{} // an answer has come by

	mu      sync.Mutex
	records []Record
	lost    int
}

// Listen begins to receive.
func Listen() (*Listener, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	l := &Listener{fd: fd, stop: make(chan struct{}), seen: make(chan struct{}, 1)}
	if err := l.register(); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("ask the kernel for records of ended tasks: %w", err)
	}
	l.done.Go(l.receive)
	return l, nil
}

// Take returns the records of what has ended since the last call. It says how many times records were lost because there were too many at once.
//
// The kernel queues a record before a parent can hear of the end. So whatever has been waited for is in the queue, ahead of the answer to a
// question that is asked now.
func (l *Listener) Take() ([]Record, int) {
	timeout := time.After(answerLimit)
	if err := l.send(unix.GENL_ID_CTRL, unix.CTRL_CMD_GETFAMILY, unix.CTRL_ATTR_FAMILY_NAME, unix.TASKSTATS_GENL_NAME); err == nil {
		select {
		case <-l.seen:
		case <-timeout:
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	records, lost := l.records, l.lost
	l.records, l.lost = nil, 0
	return records, lost
}

// Close ends it.
func (l *Listener) Close() error {
	close(l.stop)
	l.done.Wait()
	return unix.Close(l.fd)
}

func (l *Listener) register() error {
	if err := unix.Bind(l.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	// The whole machine's ends come in here.
	if err := unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20); err != nil {
		return err
	}
	if err := unix.SetsockoptTimeval(l.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}); err != nil {
		return err
	}
	answer, err := l.ask(unix.GENL_ID_CTRL, unix.CTRL_CMD_GETFAMILY, unix.CTRL_ATTR_FAMILY_NAME, unix.TASKSTATS_GENL_NAME)
	if err != nil {
		return err
	}
	var family uint16
	for kind, value := range attributes(answer) {
		if kind == unix.CTRL_ATTR_FAMILY_ID && len(value) >= 2 {
			family = binary.NativeEndian.Uint16(value)
		}
	}
	if family == 0 {
		return errors.New("this kernel has none")
	}
	cpus := fmt.Sprintf("0-%d", configuredCPUs()-1)
	_, err = l.ask(family, unix.TASKSTATS_CMD_GET, unix.TASKSTATS_CMD_ATTR_REGISTER_CPUMASK, cpus)
	return err
}

// configuredCPUs is how many CPUs there may be, which is more than a container or an affinity shows.
func configuredCPUs() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(1, &set); err == nil && set.Count() > 0 {
		return set.Count()
	}
	return runtime.NumCPU()
}

// send sends one request with one text attribute.
func (l *Listener) send(family uint16, command uint8, attribute uint16, text string) error {
	value := append([]byte(text), 0)
	size := unix.SizeofNlMsghdr + 4 + 4 + (len(value)+3)&^3
	b := make([]byte, size)
	binary.NativeEndian.PutUint32(b[0:], uint32(size))
	binary.NativeEndian.PutUint16(b[4:], family)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	b[16], b[17] = command, 1
	binary.NativeEndian.PutUint16(b[20:], uint16(4+len(value)))
	binary.NativeEndian.PutUint16(b[22:], attribute)
	copy(b[24:], value)
	return unix.Sendto(l.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// ask sends a request and waits for what answers it: data or a bare acknowledgement.
func (l *Listener) ask(family uint16, command uint8, attribute uint16, text string) ([]byte, error) {
	if err := l.send(family, command, attribute, text); err != nil {
		return nil, err
	}
	var data []byte
	buf := make([]byte, 64<<10)
	for range 50 {
		n, _, err := unix.Recvfrom(l.fd, buf, 0)
		if err != nil {
			return nil, err
		}
		for kind, body := range messages(buf[:n]) {
			switch {
			case kind == unix.NLMSG_ERROR && len(body) >= 4:
				if code := int32(binary.NativeEndian.Uint32(body)); code != 0 {
					return nil, unix.Errno(-code)
				}
				return data, nil
			case kind == family || family == unix.GENL_ID_CTRL:
				data = append([]byte(nil), body[min(4, len(body)):]...)
			}
		}
	}
	return nil, errors.New("no answer")
}

func (l *Listener) receive() {
	buf := make([]byte, 256<<10)
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		n, _, err := unix.Recvfrom(l.fd, buf, 0)
		l.mu.Lock()
		switch {
		case err == nil:
			for kind, body := range messages(buf[:n]) {
				if kind == unix.NLMSG_ERROR { // the acknowledgement that ends an answer
					select {
					case l.seen <- struct{}{}:
					default:
					}
					continue
				}
				if record, ok := parse(body); ok {
					l.records = append(l.records, record)
				}
			}
		case errors.Is(err, unix.ENOBUFS):
			l.lost++
		}
		l.mu.Unlock()
	}
}

// parse reads the record of one task out of a message of the kernel's.
func parse(body []byte) (Record, bool) {
	if len(body) < 4 {
		return Record{}, false
	}
	for kind, value := range attributes(body[4:]) {
		if kind != unix.TASKSTATS_TYPE_AGGR_PID {
			continue
		}
		for kind, value := range attributes(value) {
			if kind != unix.TASKSTATS_TYPE_STATS {
				continue
			}
			var s unix.Taskstats
			copy(unsafe.Slice((*byte)(unsafe.Pointer(&s)), unsafe.Sizeof(s)), value)
			name := make([]byte, 0, len(s.Ac_comm))
			for _, c := range s.Ac_comm {
				if c == 0 {
					break
				}
				name = append(name, byte(c))
			}
			process := int(s.Ac_tgid)
			if process == 0 {
				process = int(s.Ac_pid)
			}
			// What the scheduler has counted is exact; user and system time are scaled from it, or sampled where it is not to be had.
			cpu := time.Duration(s.Cpu_run_virtual_total)
			if cpu == 0 {
				cpu = time.Duration(s.Ac_utime+s.Ac_stime) * time.Microsecond
			}
			now := time.Now()
			return Record{
				Began: now.Add(-time.Duration(s.Ac_etime) * time.Microsecond), Ended: now,
				Task: int(s.Ac_pid), Process: process, Parent: int(s.Ac_ppid), Name: string(name), CPU: cpu,
				MinorFaults: int64(s.Ac_minflt), MajorFaults: int64(s.Ac_majflt), PeakRSS: int64(s.Hiwater_rss) << 10,
			}, true
		}
	}
	return Record{}, false
}
