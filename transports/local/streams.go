package local

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"spindle/transports"
)

// streams are the descriptors of one program: our ends, and the program's until it is started.
type streams struct {
	in, out  *os.File // the same one for FullTTY
	side     *os.File // nil for FullTTY
	terminal bool     // side can be written

	child [3]int
	slave int // of the terminal, or -1
}

func openStreams(m transports.Mode) (s *streams, err error) {
	s = &streams{child: [3]int{-1, -1, -1}, slave: -1}
	defer func() {
		if err != nil {
			s.closeChild()
			s.closeSlave()
			s.close()
			s = nil
		}
	}()
	if m != transports.Pipes {
		var master *os.File
		if master, s.slave, err = openTerminal(); err != nil {
			return s, transports.PTYError(err)
		}
		if m == transports.FullTTY {
			s.in, s.out = master, master
			return s, nil
		}
		s.side, s.terminal = master, true
	}
	if s.child[0], s.in, err = pipe(true); err != nil {
		return s, err
	}
	if s.child[1], s.out, err = pipe(false); err != nil {
		return s, err
	}
	if m == transports.Pipes {
		s.child[2], s.side, err = pipe(false)
	}
	return s, err
}

// pipe makes a pipe whose one end, ours, belongs to the poller, while the program's blocks as programs expect it.
func pipe(weWrite bool) (theirs int, ours *os.File, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, nil, os.NewSyscallError("pipe2", err)
	}
	theirs, mine := p[1], p[0]
	if weWrite {
		theirs, mine = p[0], p[1]
	}
	if err := unix.SetNonblock(mine, true); err != nil {
		_, _ = unix.Close(p[0]), unix.Close(p[1])
		return -1, nil, os.NewSyscallError("fcntl", err)
	}
	return theirs, os.NewFile(uintptr(mine), "pipe"), nil
}

// files are the program's descriptors 0 to 2.
func (s *streams) files() []uintptr {
	files := make([]uintptr, 3)
	for i, fd := range s.child {
		if fd < 0 {
			fd = s.slave
		}
		files[i] = uintptr(fd)
	}
	return files
}

// closeChild closes the program's ends, once it has them.
func (s *streams) closeChild() {
	for i, fd := range s.child {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		s.child[i] = -1
	}
}

// closeSlave closes the terminal's far end. It is kept open until the program is gone: when the last one closes,
// the session loses its terminal, and a program that only moved its stderr elsewhere could no longer ask on /dev/tty.
func (s *streams) closeSlave() {
	if s.slave >= 0 {
		_ = unix.Close(s.slave)
	}
	s.slave = -1
}

// close closes our ends, which ends every Read and Write on them.
func (s *streams) close() {
	for _, f := range []*os.File{s.in, s.out, s.side} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// read reads f. The end of a terminal is an input/output error to Linux.
func read(f *os.File, p []byte) (int, error) {
	n, err := f.Read(p)
	if err != nil && errors.Is(err, syscall.EIO) {
		err = io.EOF
	}
	return n, err
}

// side is the Side of a link.
type side struct{ s *streams }

func (d side) Read(p []byte) (int, error) { return read(d.s.side, p) }

func (d side) Write(p []byte) (int, error) {
	if !d.s.terminal {
		return 0, &os.PathError{Op: "write", Path: "stderr", Err: errors.ErrUnsupported}
	}
	return d.s.side.Write(p)
}
