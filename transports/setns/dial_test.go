package setns

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"spindle/bootstrap"
	"spindle/transports"
	"spindle/transports/local"
	"spindle/transports/wire"
)

// stub writes a script in the place of a container's tool.
func stub(t *testing.T, name, script string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func dial(ctx context.Context, t *testing.T, via transports.Spawner, kwargs map[string]any) (*transports.Booted, error) {
	t.Helper()
	b, err := json.Marshal(kwargs)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Factory(b)
	if err != nil {
		t.Fatal(err)
	}
	o := bootstrap.Options{Candidates: []string{"/usr/bin/python3"}, Nonce: "n4711", Title: "test", Silence: patience}
	return d.Dial(ctx, via, transports.Program{
		Argv: bootstrap.Argv(o), Flight: bootstrap.Flight(o), Nonce: o.Nonce, Candidates: o.Candidates,
	})
}

// A real agent comes up in a real container, as the user, and nothing of it is left when its link is closed.
func TestDial(t *testing.T) {
	pid := lab(t, passwd, group)
	for _, tt := range []struct{ kind, key, answer, user string }{
		{"docker", "docker_path", `[ "$*" = "inspect --format={{.State.Pid}} web1" ] && echo ` + pid, "deploy"},
		{"podman", "podman_path", `[ "$*" = "inspect --format={{.State.Pid}} web1" ] && echo ` + pid, ""},
		{"lxc", "lxc_info_path", `[ "$*" = "-n web1" ] && printf 'Name: web1\nPID:  %s\n' ` + pid, "deploy"},
		{"lxd", "lxc_path", `[ "$*" = "info web1" ] && cat && printf 'Name: web1\nPid: %s\n' ` + pid, ""},
		{"incus", "incus_path", `[ "$*" = "info web1" ] && [ "$LC_ALL" = C ] && printf 'Name: web1\nPID: %s\n' ` + pid, "deploy"},
		{"machinectl", "machinectl_path", `[ "$*" = "status web1" ] && printf 'web1\n\tLeader: %s (sleep)\n' ` + pid, "deploy"},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			b, err := dial(ctx, t, &local.Spawner{}, map[string]any{
				"kind": tt.kind, "container": "web1", "username": tt.user, tt.key: stub(t, "tool", tt.answer),
			})
			if err != nil {
				t.Fatal(err)
			}
			type facts struct {
				User, Home, Cwd, Shell, Hostname string
				UID, GID                         int
			}
			var got facts
			if err := json.Unmarshal(b.Hello.Body, &got); err != nil {
				t.Error(err)
			}
			want := facts{"root", "/root", "/root", "/bin/bash", "inside", 0, 0}
			if tt.user == "deploy" {
				want = facts{"deploy", "/home/deploy", "/home/deploy", "/bin/dash", "inside", 4711, 4712}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("hello (-want +got):\n%s", diff)
			}
			if want := "process " + pid + ", says "; b.How != "setns" || !strings.HasPrefix(b.Why, want) {
				t.Errorf("how %q, why %q", b.How, b.Why)
			}
			ping, err := wire.Append(nil, wire.Frame{Header: wire.Ping{Stamp: 42}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Link.Write(ping); err != nil {
				t.Error(err)
			}
			if f, err := b.Frames.Next(); err != nil || f.Header != (wire.Ping{Reply: true, Stamp: 42}) {
				t.Errorf("answer = %+v, %v", f, err)
			}
			if err := b.Link.Close(); err != nil {
				t.Error(err)
			}
			alone(ctx, t, pid)
		})
	}
}

// alone waits until a container's first process is its only one. What has ended and is not reaped does not count: that is
// up to the first process, and this one is a sleep.
func alone(ctx context.Context, t *testing.T, pid string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var running []string
		files, err := filepath.Glob("/proc/" + pid + "/root/proc/[0-9]*/cmdline")
		for _, f := range files {
			if words, err := os.ReadFile(f); err == nil && len(words) > 0 {
				running = append(running, string(words))
			}
		}
		if err == nil && len(running) == 1 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("running in the container: %q, %v", running, err)
		}
	}
}

func TestFailures(t *testing.T) {
	const missing = "/nonexistent/docker"
	one := stub(t, "docker", `echo "[]"; echo "Error: No such object: web1" >&2; exit 1`)
	silent := stub(t, "docker", "kill -KILL $$")
	stuck := stub(t, "docker", "exec sleep 1000")
	for _, tt := range []struct {
		name, kind, key, path string
		want                  string
	}{
		{
			"missing tool", "docker", "docker_path", missing,
			"could not execute " + missing + " inspect '--format={{.State.Pid}}' web1: [Errno 2] No such file or directory: '" + missing + "'",
		},
		{
			"no such container", "docker", "docker_path", one,
			one + " inspect '--format={{.State.Pid}}' web1 exitted with status 1: Error: No such object: web1\n[]",
		},
		{"killed tool", "docker", "docker_path", silent, silent + " inspect '--format={{.State.Pid}}' web1 exitted with status -9: "},
		{"stopped", "podman", "podman_path", stub(t, "podman", "echo 0"), "could not find PID from podman output. The container is not running."},
		{"no number", "lxc", "lxc_info_path", stub(t, "lxc-info", "echo State: STOPPED"), "could not find PID from lxc-info output."},
		{"endless", "lxd", "lxc_path", stub(t, "lxc", "exec head -c 3000000 /dev/zero"), "could not find PID from lxc output."},
		{"gone", "docker", "docker_path", stub(t, "docker", "echo 4194999"), "setns: process 4194999, the container's first, is gone."},
		{"deadline", "incus", "incus_path", stuck, transports.TextTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			kwargs := map[string]any{"kind": tt.kind, "container": "web1", tt.key: tt.path}
			if tt.name == "deadline" {
				kwargs["connect_timeout"] = 0.3
			}
			_, err := dial(t.Context(), t, &local.Spawner{}, kwargs)
			refused(t, err, tt.want)
			if took := time.Since(start); took > patience/2 {
				t.Errorf("took %v", took)
			}
		})
	}
}

func refused(t *testing.T, err error, want string) {
	t.Helper()
	var ce *transports.ConnectError
	if !errors.As(err, &ce) || ce.Class != transports.Unreachable || ce.Text != want {
		t.Errorf("error = %T %v\nwant %s", err, err, want)
	}
}

func TestNoSuchUser(t *testing.T) {
	pid := lab(t, passwd, group)
	_, err := dial(t.Context(), t, &local.Spawner{}, map[string]any{
		"kind": "docker", "container": "web1", "username": "alice", "docker_path": stub(t, "docker", "echo "+pid),
	})
	refused(t, err, "setns: there is no user alice in the container.")
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	_, err := dial(ctx, t, &local.Spawner{}, map[string]any{
		"kind": "docker", "container": "web1", "docker_path": stub(t, "docker", "exec sleep 1000"),
	})
	refused(t, err, "Connection cancelled.")
}

// A tool may start something that holds its output open. It is not waited for.
func TestToolLeavesSomethingBehind(t *testing.T) {
	start := time.Now()
	_, err := dial(t.Context(), t, &local.Spawner{}, map[string]any{
		"kind": "docker", "container": "web1", "docker_path": stub(t, "docker", "sleep 8 & echo 0"),
	})
	refused(t, err, "could not find PID from docker output. The container is not running.")
	if took := time.Since(start); took > 6*time.Second {
		t.Errorf("took %v", took)
	}
}

// far is a spawner, such as an agent, that hears only by EXIT that a program is missing.
type far struct{ transports.Spawner }

func (far) Spawn(context.Context, transports.Command) (transports.Link, error) { return missing{}, nil }

type missing struct{ transports.Link }

func (missing) Read([]byte) (int, error)    { return 0, io.EOF }
func (missing) Write(b []byte) (int, error) { return len(b), nil }
func (missing) CloseWrite() error           { return nil }
func (missing) Side() transports.Side       { return missing{} }
func (missing) Close() error                { return nil }
func (missing) Wait(context.Context) (transports.Exit, error) {
	return transports.Exit{Code: 127, Text: "[Errno 2] No such file or directory: 'machinectl'"}, nil
}

func TestMissingToolFarAway(t *testing.T) {
	_, err := dial(t.Context(), t, far{}, map[string]any{"kind": "machinectl", "container": "m1"})
	refused(t, err, "could not execute machinectl status m1: [Errno 2] No such file or directory: 'machinectl'")
}
