package transports_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"spindle/transports"
)

func TestStartError(t *testing.T) {
	argv := []string{"ssh", "-o", "User name"}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&exec.Error{Name: "ssh", Err: exec.ErrNotFound}, "[Errno 2] No such file or directory: 'ssh'"},
		{&os.PathError{Op: "fork/exec", Path: "ssh", Err: syscall.EACCES}, "[Errno 13] Permission denied: 'ssh'"},
		{fs.ErrNotExist, "[Errno 2] No such file or directory: 'ssh'"},
		{errors.New("working directory: lost."), "working directory: lost"},
	} {
		want := "Child start failed: " + tt.want + ". Command was: ssh -o 'User name'"
		if err := transports.StartError(argv, tt.err); err.Text != want || !errors.Is(err, tt.err) {
			t.Errorf("text = %q, want %q", err.Text, want)
		}
	}
}

func TestPTYError(t *testing.T) {
	const want = "Failed to create a PTY: No space left on device. It is likely the maximum number of PTYs has been reached. "
	if err := transports.PTYError(syscall.ENOSPC); len(err.Text) <= len(want) || err.Text[:len(want)] != want {
		t.Errorf("text = %q", err.Text)
	}
}

// spawnFunc is a Spawner.
type spawnFunc func(ctx context.Context, c transports.Command) (transports.Link, error)

func (f spawnFunc) Spawn(ctx context.Context, c transports.Command) (transports.Link, error) {
	return f(ctx, c)
}

// The class of a dial's error is that of its method, wherever the error comes from.
func TestPlanErrors(t *testing.T) {
	pl := transports.Plan{
		Command: transports.Command{Argv: []string{"sudo"}},
		Script:  transports.Script{Class: transports.BecomeFailed, Timeout: 50 * time.Millisecond},
	}
	for _, tt := range []struct {
		name  string
		spawn spawnFunc
		want  string
	}{
		{"program missing", func(_ context.Context, c transports.Command) (transports.Link, error) {
			return nil, transports.StartError(c.Argv, syscall.ENOENT)
		}, "Child start failed: [Errno 2] No such file or directory: 'sudo'. Command was: sudo"},
		{"missing far away", func(context.Context, transports.Command) (transports.Link, error) {
			return program(t, false, func(far) transports.Exit {
				return transports.Exit{Code: 127, Text: "[Errno 2] No such file or directory: 'sudo'"}
			}), nil
		}, "Child start failed: [Errno 2] No such file or directory: 'sudo'. Command was: sudo"},
		{"another error", func(context.Context, transports.Command) (transports.Link, error) {
			return nil, errors.New("link lost")
		}, "link lost"},
		{"too slow", func(ctx context.Context, _ transports.Command) (transports.Link, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, "Connection timed out."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := pl.Dial(t.Context(), tt.spawn, boot)
			var ce *transports.ConnectError
			if !errors.As(err, &ce) || ce.Class != transports.BecomeFailed || ce.Text != tt.want {
				t.Errorf("error = %+v, want %q", err, tt.want)
			}
		})
	}
}

func TestKwargs(t *testing.T) {
	type settings struct {
		Timeout transports.Seconds `json:"connect_timeout"`
		Args    []string           `json:"args"`
	}
	for _, tt := range []struct {
		kwargs string
		want   time.Duration
		err    string
	}{
		{kwargs: ``, want: time.Minute},
		{kwargs: `{}`, want: time.Minute},
		{kwargs: `{"connect_timeout": null, "other": 1}`, want: time.Minute},
		{kwargs: `{"connect_timeout": 0}`, want: time.Minute},
		{kwargs: `{"connect_timeout": 10}`, want: 10 * time.Second},
		{kwargs: `{"connect_timeout": "2.5"}`, want: 2500 * time.Millisecond},
		{kwargs: `{"connect_timeout": 1e300}`, err: "settings: a time must be a number of seconds"},
		{kwargs: `{"connect_timeout": [1]}`, err: "settings: a time must be a number of seconds"},
		{kwargs: `{"args": "geheim"}`, err: `setting "args" must not be a string`},
		{kwargs: `{"args"`, err: "settings: unexpected end of JSON input"},
	} {
		var s settings
		err := transports.ParseKwargs(json.RawMessage(tt.kwargs), &s)
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("%s: error = %v, want %q", tt.kwargs, err, tt.err)
			}
			continue
		}
		if got := s.Timeout.Or(time.Minute); err != nil || got != tt.want {
			t.Errorf("%s = %v, %v", tt.kwargs, got, err)
		}
	}
}
