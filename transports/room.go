package transports

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// spareShare is which part of the files that this process may have open is not for connections: workers' sessions and files need some, too, and
// without any left every session would have to wait until somebody else's ends.
const spareShare = 8

// Room returns an error if this process has hardly any descriptors left, so that another connection had better not be made. Connections stay for the whole
// run: those to targets that stand on programs (containers, ssh where it is not built in) have up to four descriptors each.
//
// The error is a [ConnectError] that says which limit to raise.
func Room() error {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return nil
	}
	// The system gives the lowest number that is free.
	fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err == nil {
		_ = unix.Close(fd)
		if uint64(fd) < limit.Cur-limit.Cur/spareShare {
			return nil
		}
		err = syscall.EMFILE
	}
	return &ConnectError{
		Class: Unreachable,
		Text: fmt.Sprintf("%s: the multiplexer may have %d files open (ulimit -n), which is not enough for a connection to each host of this run. "+
			"Raise that limit, or have fewer hosts in one run.", osText(err), limit.Cur),
		Err: err,
	}
}
