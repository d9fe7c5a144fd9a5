package transports

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"al.essio.dev/pkg/shellescape"
)

// Class says what a failed dial means for the task that wanted it.
type Class int

const (
	// Unreachable fails the host: no connection.
	Unreachable Class = iota
	// BecomeFailed fails the task; the host stays reachable.
	BecomeFailed
)

// String returns the class's name.
func (c Class) String() string {
	if c == BecomeFailed {
		return "become failed"
	}
	return "unreachable"
}

// ConnectError is the error of a failed dial.
type ConnectError struct {
	// Class says whom it fails.
	Class Class
	// Text is what the user reads. It is part of the interface; tests of playbooks look for parts of it.
	Text string
	// Lines are the last lines that came, for those who want to know more than Text says. Secrets are masked.
	Lines []string
	// Err is the cause, if there is one beyond Text.
	Err error
}

// Error returns Text.
func (e *ConnectError) Error() string { return e.Text }

// Unwrap returns Err.
func (e *ConnectError) Unwrap() error { return e.Err }

// ExitStatus is what the program that was to lead on has ended with, as a shell has it: 127 for one that is not there. It is 0 if the program has not
// ended by itself.
func (e *ConnectError) ExitStatus() int {
	if exit, ok := errors.AsType[*ExitError](e.Err); ok {
		return max(exit.Code, 0)
	}
	if errno, ok := errorNumber(e.Err); ok && errno == syscall.ENOENT {
		return 127
	}
	return 0
}

// ErrNoPython is the cause of a [ConnectError] if the account was reached and has no Python that an agent runs in.
var ErrNoPython = errors.New("no usable Python")

// The texts that more than one method uses.
const (
	// TextTimeout is the text of every dial that ran into its deadline.
	TextTimeout = "Connection timed out."
	// TextEOF is followed by the last lines of a program that ended before its agent came up.
	TextEOF = "EOF on stream; last 100 lines received:\n"
	// textPTY is followed by the system's reason.
	textPTY = "Failed to create a PTY: "
	// advicePTY follows that.
	advicePTY = ". It is likely the maximum number of PTYs has been reached. " +
		"Consider raising kernel.pty.max, or fewer connections with passwords at a time."
)

// StartError returns the error for a program that could not be started.
func StartError(argv []string, err error) *ConnectError {
	return &ConnectError{
		Class: Unreachable,
		Text:  "Child start failed: " + startText(argv, err) + ". Command was: " + shown(argv),
		Err:   err,
	}
}

// agentBegins is how the agent's first stage begins (bootstrap.Argv).
const agentBegins = "import sys,os;sys.path"

// shown returns a command line as users read it: without the agent's first stage, which is no news to them.
func shown(argv []string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		if at := strings.Index(word, agentBegins); at >= 0 {
			word = word[:at] + "…"
		}
		words[i] = word
	}
	return shellescape.QuoteCommand(words)
}

// PTYError returns the error for a terminal that could not be had.
func PTYError(err error) *ConnectError {
	return &ConnectError{Class: Unreachable, Text: textPTY + osText(err) + advicePTY, Err: err}
}

// startText names the error and the program in the form that Python gives to such errors, which users know.
func startText(argv []string, err error) string {
	errno, ok := errorNumber(err)
	if !ok || len(argv) == 0 {
		return osText(err)
	}
	return fmt.Sprintf("[Errno %d] %s: '%s'", int(errno), osText(err), argv[0])
}

// osText is what the system says about err, without the operation and path that Go puts around it.
func osText(err error) string {
	errno, ok := errorNumber(err)
	if !ok {
		return strings.TrimSuffix(err.Error(), ".")
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

func errorNumber(err error) (syscall.Errno, bool) {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return errno, true
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return syscall.ENOENT, true
	}
	return 0, false
}

// ExitError is the cause of a [ConnectError] if the program ended too early.
type ExitError struct{ Exit }

// Error says how it ended.
func (e *ExitError) Error() string {
	if e.Signal != "" {
		return "killed by SIG" + e.Signal
	}
	return "exit status " + strconv.Itoa(e.Code)
}
