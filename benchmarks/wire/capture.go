package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// limit bounds starting and ending tcpdump.
const limit = 20 * time.Second

// Capture is a tcpdump under way.
type Capture struct {
	cmd  *exec.Cmd
	path string
	ends chan string // what it said at last
}

// Start records what passes an interface in the network namespace of a process, until Stop.
func Start(ctx context.Context, network int, device, path string) (*Capture, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	// The heads are enough, and the file belongs to who started it.
	cmd := exec.Command("nsenter", "-t", strconv.Itoa(network), "-n", "--",
		"tcpdump", "-n", "-s", "128", "-B", "65536", "--immediate-mode", "-U", "-Z", "root", "-i", device, "-w", path, "tcp")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	complaints, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start tcpdump: %w", err)
	}
	c := &Capture{cmd: cmd, path: path, ends: make(chan string, 1)}
	ready := make(chan struct{})
	go func() {
		var said strings.Builder
		in := bufio.NewScanner(complaints)
		for in.Scan() {
			fmt.Fprintln(&said, in.Text())
			if strings.Contains(in.Text(), "listening on") {
				close(ready)
			}
		}
		c.ends <- said.String()
	}()
	select {
	case <-ready:
		return c, nil
	case text := <-c.ends:
		err = errors.New(strings.TrimSpace(text))
	case <-ctx.Done():
		err = context.Cause(ctx)
		cmd.Process.Kill()
		<-c.ends
	}
	return nil, fmt.Errorf("start tcpdump: %w", errors.Join(err, cmd.Wait()))
}

var droppedLine = regexp.MustCompile(`(\d+) packets dropped by kernel`)

// Stop ends the recording, and says how many segments are missing from it.
func (c *Capture) Stop() (dropped int, err error) {
	c.cmd.Process.Signal(syscall.SIGINT)
	timer := time.AfterFunc(limit, func() { c.cmd.Process.Kill() })
	defer timer.Stop()
	text := <-c.ends
	if err := c.cmd.Wait(); err != nil {
		return 0, fmt.Errorf("tcpdump: %w: %s", err, strings.TrimSpace(text))
	}
	if found := droppedLine.FindStringSubmatch(text); found != nil {
		dropped, _ = strconv.Atoi(found[1])
	}
	return dropped, nil
}

// PID is tcpdump's process.
func (c *Capture) PID() int { return c.cmd.Process.Pid }
