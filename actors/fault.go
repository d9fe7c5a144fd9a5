package actors

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// ErrStopped says that the actor asked is no longer there, or is on its way out.
var ErrStopped = errors.New("actor stopped")

// ErrNoDeadline says that a wait without an end was refused (G7).
var ErrNoDeadline = errors.New("context has no deadline")

// The classes of faults that the seam itself knows. Others add their own.
const (
	// ClassLink: the link to a target is lost.
	ClassLink = "link lost"
	// ClassProtocol: the far side broke the protocol.
	ClassProtocol = "protocol error"
	// ClassMisuse: an actor used what it must not.
	ClassMisuse = "misuse"
	// ClassDefect: a panic that nobody meant.
	ClassDefect = "defect"
)

// Fault is the one value to panic with on purpose: this actor cannot go on, and its supervisor shall decide. Expected
// failures (a refused password, a module's exit status) are replies, not faults. Its text reaches the log and callers,
// so it must not hold secrets.
type Fault struct {
	Class string
	Err   error
}

// Error returns class and cause.
func (f Fault) Error() string {
	if f.Err == nil {
		return f.Class
	}
	return f.Class + ": " + f.Err.Error()
}

// Unwrap returns the error within.
func (f Fault) Unwrap() error { return f.Err }

// Failed answers a request that nobody will answer any more: its handler panicked, or its actor stopped.
type Failed struct {
	// Path is the actor that was asked.
	Path string
	// Err is the Fault, or wraps ErrStopped, together with the fault that caused the stop where one is known.
	Err error
}

// Error returns who was asked, and why there is no answer.
func (f *Failed) Error() string { return f.Path + ": " + f.Err.Error() }

// Unwrap returns the cause.
func (f *Failed) Unwrap() error { return f.Err }

// Defect is a panic that nobody meant. Of its value only the type is kept, unless it is the runtime's own error: any
// other text might hold message contents (G6).
type Defect struct {
	// Type is the type of the panic value.
	Type string
	// Text is the runtime's error text, or empty.
	Text string
	// Where is the function, file and line that panicked.
	Where string
}

// Error returns what panicked, and where.
func (d *Defect) Error() string {
	what := d.Text
	if what == "" {
		what = "panic with a " + d.Type
	}
	if d.Where == "" {
		return what
	}
	return what + " at " + d.Where
}

// misuse makes the fault of an actor that broke a rule of the house.
func misuse(format string, args ...any) Fault {
	return Fault{Class: ClassMisuse, Err: fmt.Errorf(format, args...)}
}

// faultOf turns a recovered value into a fault. It must be called while the panic is still on the stack, to find its
// place.
func faultOf(reason any) Fault {
	switch r := reason.(type) {
	case Fault:
		return r
	case *Fault:
		if r != nil {
			return *r
		}
	case runtime.Error:
		return Fault{Class: ClassDefect, Err: &Defect{Type: typeName(reason), Text: r.Error(), Where: panicSite()}}
	}
	return Fault{Class: ClassDefect, Err: &Defect{Type: typeName(reason), Where: panicSite()}}
}

// panicSite finds the innermost frame below the panic that is not the runtime's.
func panicSite() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	below := false
	for {
		frame, more := frames.Next()
		switch {
		case strings.HasPrefix(frame.Function, "runtime."):
			below = below || frame.Function == "runtime.gopanic"
		case below:
			file := frame.File[strings.LastIndexByte(frame.File, '/')+1:]
			return fmt.Sprintf("%s (%s:%d)", frame.Function[strings.LastIndexByte(frame.Function, '/')+1:], file, frame.Line)
		}
		if !more {
			return ""
		}
	}
}

// typeName is all that is ever told about a message.
func typeName(message any) string { return fmt.Sprintf("%T", message) }
