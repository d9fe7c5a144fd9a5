package scale

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"spindle/transports/wire"
)

// startLimit bounds the start of either program, and their end.
const startLimit = 30 * time.Second

// standInVariable asks a program that calls ServeIfAsked to be the stand-in. It holds the directory for its keys.
const standInVariable = "SPINDLE_SCALE_STANDIN"

// ServeIfAsked turns this process into the stand-in if it was started as that, and returns at once if not. Call it first in main.
func ServeIfAsked() {
	dir := os.Getenv(standInVariable)
	if dir == "" {
		return
	}
	if err := serve(dir); err != nil {
		fmt.Fprintln(os.Stderr, "stand-in:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// program is a child that ends when its lifeline does.
type program struct {
	cmd      *exec.Cmd
	lifeline io.Closer
}

func (p *program) close() error {
	_ = p.lifeline.Close()
	timer := time.AfterFunc(startLimit, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	return p.cmd.Wait()
}

// startStandIn starts this program again and returns the port it listens on.
func startStandIn(dir string) (*program, int, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), standInVariable+"="+dir, "GOGC=400")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	p := &program{cmd, in}
	timer := time.AfterFunc(startLimit, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	var port int
	if err := json.NewDecoder(out).Decode(&port); err != nil {
		return nil, 0, errors.Join(fmt.Errorf("start the stand-in: %w", err), p.close())
	}
	return p, port, nil
}

// startMultiplexer starts "spindle serve" as the strategy plugins do, and says how long it took until the socket was ready.
func startMultiplexer(binary, dir string) (*program, string, time.Duration, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, "", 0, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "lifeline"), os.NewFile(uintptr(pair[1]), "lifeline")
	socket := filepath.Join(dir, "socket")
	cmd := exec.Command(binary, "serve", "--socket", socket, "--lifeline", "3")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	began := time.Now()
	err = errors.Join(cmd.Start(), theirs.Close()) // or its end would not be noticed
	if err != nil {
		return nil, "", 0, errors.Join(err, ours.Close())
	}
	p := &program{cmd, ours}
	timer := time.AfterFunc(startLimit, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if line, err := bufio.NewReader(ours).ReadString('\n'); err != nil {
		return nil, "", 0, errors.Join(fmt.Errorf("start %s: it said %q: %w", binary, line, err), p.close())
	}
	return p, socket, time.Since(began), nil
}

// answer ends a call.
type answer struct {
	result wire.Result
	out    []byte
}

// client is one worker's connection, with any number of calls open.
type client struct {
	conn net.Conn
	done chan struct{}

	mu   sync.Mutex
	last uint32
	open map[uint32]chan<- answer
	out  map[uint32][]byte
	err  error
}

func newClient(socket string) (*client, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, done: make(chan struct{}), open: map[uint32]chan<- answer{}, out: map[uint32][]byte{}}
	if err := c.say(wire.Frame{Header: wire.Hello{Proto: wire.Proto, Role: "worker", PID: os.Getpid()}, Body: []byte("{}")}); err != nil {
		conn.Close()
		return nil, err
	}
	go c.read()
	return c, nil
}

func (c *client) close() {
	c.conn.Close()
	<-c.done
}

func (c *client) say(f wire.Frame) error {
	b, err := wire.Append(nil, f)
	if err == nil {
		_, err = c.conn.Write(b)
	}
	return err
}

func (c *client) read() {
	defer close(c.done)
	for frames := wire.NewReader(c.conn); ; {
		f, err := frames.Next()
		if err != nil {
			c.mu.Lock()
			c.err = fmt.Errorf("the multiplexer has gone: %w", err)
			for _, to := range c.open {
				close(to)
			}
			c.open = nil
			c.mu.Unlock()
			return
		}
		switch h := f.Header.(type) {
		case wire.Data:
			c.mu.Lock()
			c.out[f.ID] = append(c.out[f.ID], f.Body...)
			c.mu.Unlock()
			// Should it be gone, reading tells.
			_ = c.say(wire.Frame{ID: f.ID, Header: wire.Credit{Channel: h.Channel, Bytes: len(f.Body)}})
		case wire.Result:
			c.mu.Lock()
			to := c.open[f.ID]
			delete(c.open, f.ID)
			out := append(c.out[f.ID], f.Body[:h.OutLen]...)
			delete(c.out, f.ID)
			c.mu.Unlock()
			if to != nil {
				to <- answer{h, out}
			}
		}
	}
}

// call makes one call and returns what it says.
func (c *client) call(ctx context.Context, op, where string, meta any) ([]byte, error) {
	body, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	ended := make(chan answer, 1)
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return nil, c.err
	}
	c.last++
	id := c.last
	c.open[id] = ended
	err = c.say(wire.Frame{ID: id, Header: wire.Call{Op: op, Context: where, MetaLen: len(body)}, Body: body})
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case a, open := <-ended:
		if !open {
			return nil, c.err
		}
		if a.result.Status != wire.StatusOK {
			return nil, fmt.Errorf("%s: %v: %s", op, a.result.Status, a.result.Text)
		}
		return a.out, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
