//go:build e2e

package env

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func TestHostIsIsolatedAndReachable(t *testing.T) {
	l := New(t)
	a, b := l.Host(t, HostOptions{Name: "web1"}), l.Host(t, HostOptions{Name: "web2"})
	if got := strings.TrimSpace(a.MustExec(t, "hostname")); got != "web1" {
		t.Errorf("hostname = %q, want web1", got)
	}
	conn, err := l.Dial(context.Background(), b.Addr+":22")
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	banner := make([]byte, 7)
	if _, err := conn.Read(banner); err != nil || string(banner) != "SSH-2.0" {
		t.Errorf("banner = %q, %v", banner, err)
	}
	conn.Close()
	if _, err := os.Stat("/home/deploy"); err == nil {
		t.Error("a user of the targets exists on this machine")
	}
}

func TestFilesShowWhatChanged(t *testing.T) {
	l := New(t)
	h := l.Host(t, HostOptions{Name: "web1"})
	before := h.Files(t)
	h.MustExec(t, "sh", "-c", "echo hi >/etc/new; rm /etc/fstab /etc/profile 2>/dev/null; mkdir -m 700 /tmp/d; chmod 600 /etc/hosts; chmod 711 /srv; touch /mnt/x; true")
	after := h.Files(t)
	var got []string
	for _, d := range before.Diff(after) {
		got = append(got, strings.Join(strings.Fields(d)[:3], " "))
	}
	want := []string{"! /etc/hosts: file", "+ /etc/new: file", "+ /etc/profile: gone", "+ /mnt/x: file", "+ /srv: dir", "+ /tmp/d: dir"}
	if _, err := os.Stat("/etc/fstab"); err == nil {
		want = []string{"+ /etc/fstab: gone", "! /etc/hosts: file", "+ /etc/new: file", "+ /etc/profile: gone", "+ /mnt/x: file", "+ /srv: dir", "+ /tmp/d: dir"}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("diff mismatch (-want +got):\n%s", d)
	}
}

func TestProcessesShowWhatRuns(t *testing.T) {
	l := New(t)
	h := l.Host(t, HostOptions{Name: "web1"})
	if late := h.Quiet(time.Second); late != "" {
		t.Fatalf("a fresh host is not quiet: %s", late)
	}
	h.MustExec(t, "sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 &")
	p := h.WaitProcess(t, time.Second, "sleep", func(p Process) bool { return p.Matches("sleep 1000") })
	if late := h.Quiet(0); !strings.Contains(late, "sleep 1000") {
		t.Errorf("Quiet does not report a running process: %q", late)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if late := h.Quiet(time.Second); late != "" {
		t.Errorf("not quiet after the kill: %s", late)
	}
}

func TestMachinesGoWithTheirLab(t *testing.T) {
	var l *Lab
	var h *Host
	t.Run("inner", func(t *testing.T) {
		l = New(t)
		h = l.Host(t, HostOptions{Name: "web1"})
	})
	if _, err := os.Stat(l.dir); !os.IsNotExist(err) {
		t.Errorf("scratch directory is still there: %v", err)
	}
	if ps := h.Processes(); len(ps) != 0 {
		t.Errorf("processes are still there: %v", ps)
	}
}

func TestControllersRunTheirAnsible(t *testing.T) {
	for _, v := range Versions {
		t.Run(v.Name, func(t *testing.T) {
			l := New(t)
			h := l.Host(t, HostOptions{Name: "web1"})
			c := l.Controller(t, v, h)
			r := c.Play(t, Play{
				Strategy: "linear", Program: "ansible", Args: []string{"all", "-b", "-m", "command", "-a", "id -un"},
				Inventory: "web1 ansible_host=" + h.Addr + " ansible_user=deploy\n",
			})
			if r.Code != 0 || !strings.Contains(r.Stdout, "root") {
				t.Fatalf("ansible: %v", r)
			}
			if o := c.ExecAs(t, Operator, "ansible", "--version"); !strings.Contains(o.Stdout, "[core "+v.Name) {
				t.Errorf("wrong version: %s", o.Stdout)
			}
		})
	}
}

func TestAccountsAndBecome(t *testing.T) {
	l := New(t)
	h := l.Host(t, HostOptions{Name: "web1"})
	for _, c := range []struct {
		name, user, sh, want string
		code                 int
	}{
		{"sudo without password", "deploy", "sudo -n id -un", "root\n", 0},
		{"sudo needs a password", "admin", "sudo -n id -un", "", 1},
		{"sudo with password", "admin", "echo pw-admin | sudo -S -p '' id -un", "root\n", 0},
		{"sudo needs a terminal", "console", "sudo -n id -un", "", 1},
		{"no sudo", "plain", "sudo -n id -un", "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := h.ExecAs(t, c.user, "sh", "-c", c.sh)
			if o.Stdout != c.want || o.Code != c.code {
				t.Errorf("%s: %d %q %q, want %d %q", c.sh, o.Code, o.Stdout, o.Stderr, c.code, c.want)
			}
		})
	}
}
