package ssh

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"spindle/transports"
)

// masters is what is known of the connections that others have opened. All dialers of a factory share it.
type masters struct {
	mu       sync.Mutex
	left     map[string]bool      // not to be used any more: what their settings say, and their sockets
	unshared map[string]bool      // the settings of those that ssh_args or ssh_config have a ControlPath for, which is not to be used any more
	silent   map[string]time.Time // sockets that nobody answered at, and when
}

func newMasters() *masters {
	return &masters{left: map[string]bool{}, unshared: map[string]bool{}, silent: map[string]time.Time{}}
}

const (
	// masterAnswers is how long somebody has to answer at a socket.
	masterAnswers = 2 * time.Second
	// silentFor is how long one is left alone where nobody did.
	silentFor = 10 * time.Second
)

// master is the socket of a connection that somebody has opened already, where the setting control_path names it; empty if there is none. None is
// ever made: a connection of ours stays for as long as the run, which is what Ansible has ControlPersist for.
func (d *Dialer) master(ctx context.Context) string {
	s := d.settings
	if s.controlPath == "" || d.masters.isLeft(s.sharing()) {
		return ""
	}
	path := d.masterPath(ctx)
	if path == "" || d.masters.isLeft(path) || !d.masters.answers(ctx, path) {
		return ""
	}
	return path
}

var _ transports.Sharer = (*Dialer)(nil)

// Unshare has the host be logged in to from now on, and not reached by a connection that somebody has opened before: be that ourselves, whose ssh
// may leave one behind by the user's own ControlMaster and ControlPersist. Dialers that were made before go on as they are.
func (d *Dialer) Unshare() {
	s := d.settings
	if c := d.resolver.recall(s.sshPath, s.options(), s.hostname); c == nil || c.set("controlpath") {
		d.masters.mu.Lock()
		d.masters.unshared[s.sharing()] = true
		d.masters.mu.Unlock()
	}
	if s.controlPath == "" {
		return
	}
	path := s.controlPath
	if !s.plainControlPath() {
		// Others may name the same socket by another name of the host. Where that has been looked for, its name is known.
		path = ""
		if c := d.resolver.recall(s.sshPath, s.controlOptions(), s.hostname); c != nil {
			path = c.one("controlpath")
		}
	}
	d.masters.mu.Lock()
	defer d.masters.mu.Unlock()
	d.masters.left[s.sharing()] = true
	if path != "" {
		d.masters.left[path] = true
	}
}

// sharing names what the settings say of a shared connection; it is no path.
func (s *settings) sharing() string {
	return strings.Join([]string{s.hostname, strconv.Itoa(s.port), s.username, s.controlPath}, "\x00")
}

// plainControlPath says whether nothing in the name is to be replaced.
func (s *settings) plainControlPath() bool {
	return filepath.IsAbs(s.controlPath) && !strings.ContainsAny(s.controlPath, `%$~"'\`)
}

func (s *settings) controlOption() []string {
	return []string{"-o", `ControlPath="` + s.controlPath + `"`}
}

func (s *settings) controlOptions() []string { return append(s.options(), s.controlOption()...) }

// masterPath has ssh itself expand the name: its versions do not agree on what is in it. Where ssh cannot be asked, there is only what has nothing to do
// with hosts.
func (d *Dialer) masterPath(ctx context.Context) string {
	s := d.settings
	if s.plainControlPath() {
		return s.controlPath
	}
	if checkExecutable(s.sshPath) != nil {
		_, home, known := account()
		path, err := tokens{'%': "%", 'd': home}.path(s.controlPath)
		if err != nil || !known {
			return ""
		}
		return path
	}
	c, err := d.resolver.resolve(ctx, s.sshPath, s.controlOptions(), s.hostname)
	if err != nil || !c.set("controlpath") {
		return ""
	}
	return c.one("controlpath")
}

func (m *masters) isLeft(name string) bool { return m.has(m.left, name) }

func (m *masters) isUnshared(name string) bool { return m.has(m.unshared, name) }

func (m *masters) has(set map[string]bool, name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return set[name]
}

// answers says whether somebody is at a socket and speaks. The socket may be older than whoever made it, and who made it may have stopped: ssh would wait
// for that one.
func (m *masters) answers(ctx context.Context, path string) bool {
	m.mu.Lock()
	silent := time.Since(m.silent[path]) < silentFor
	m.mu.Unlock()
	if silent {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, masterAnswers)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return false
	}
	defer conn.Close()
	until, _ := ctx.Deadline()
	_ = conn.SetDeadline(until)
	if err = greet(conn); err != nil {
		m.mu.Lock()
		m.silent[path] = time.Now()
		m.mu.Unlock()
	}
	return err == nil
}

// The first message in each direction (PROTOCOL.mux): its length, its kind, and the version.
const (
	muxHello   = 1
	muxVersion = 4
)

// greet says hello to a master, and hears the same.
func greet(conn io.ReadWriter) error {
	if err := binary.Write(conn, binary.BigEndian, []uint32{8, muxHello, muxVersion}); err != nil {
		return err
	}
	var hello struct{ Length, Kind uint32 }
	if err := binary.Read(conn, binary.BigEndian, &hello); err != nil {
		return err
	}
	if hello.Kind != muxHello {
		return io.ErrUnexpectedEOF
	}
	return nil
}
