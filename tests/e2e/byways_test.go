//go:build e2e

package e2e

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/proxy"
)

// bulkSize is more than one SSH channel carries in many round trips.
const bulkSize = 96 << 20

// bulk is a controller with a large file, and a target behind a proxy.
type bulk struct {
	far
	lab *env.Lab
	sum [sha256.Size]byte
}

func newBulk(t *testing.T, sshd ...string) bulk {
	t.Helper()
	b := bulk{lab: env.New(t)}
	b.h = b.lab.Host(t, env.HostOptions{Name: "web1", SSHD: sshd})
	b.c = b.lab.Controller(t, env.Versions[0], b.h)
	b.through(t, b.lab)
	b.c.InstallSpindle(t)
	path := b.c.Root() + env.PlayDir + "/bulk"
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	digest := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, digest), rand.NewChaCha8([32]byte{1}), bulkSize); err != nil {
		t.Fatal(err)
	}
	digest.Sum(b.sum[:0])
	return b
}

// copies copies the file, and returns the run and what the multiplexer logged of byways.
func (b bulk) copies(t *testing.T, delay time.Duration, module string, started func()) (r env.Run, said []string) {
	t.Helper()
	b.c.Write(t, env.PlayDir+"/bulk.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n    - "+module+"\n", 0o644)
	b.proxy.SetDelay(delay)
	r = b.c.Play(t, env.Play{
		Strategy: "mitogen_linear", Playbook: "bulk.yml", Inventory: b.line, Started: started,
		Env: []string{"MITOGEN_LOG_LEVEL=DEBUG"}, Config: map[string]string{"timeout": patient},
	})
	for line := range strings.Lines(r.Stderr) {
		if strings.Contains(line, "byways") {
			said = append(said, strings.TrimSpace(line))
		}
	}
	t.Logf("delay %v: %v; %q", delay, r.Took.Round(time.Millisecond), said)
	return r, said
}

// arrived checks the copy, and removes it.
func (b bulk) arrived(t *testing.T, r env.Run) {
	t.Helper()
	if r.Code != 0 {
		t.Fatalf("play: %v", r)
	}
	f, err := os.Open(b.h.Root() + "/home/deploy/bulk")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	digest := sha256.New()
	if n, err := io.Copy(digest, f); err != nil || n != bulkSize || [sha256.Size]byte(digest.Sum(nil)) != b.sum {
		t.Errorf("%d bytes came, or others: %v", n, err)
	}
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	b.clean(t)
}

// clean looks for what transfers may leave.
func (b bulk) clean(t *testing.T) {
	t.Helper()
	if left := b.h.Quiet(20*time.Second*env.Patience()) + b.c.Quiet(20*time.Second*env.Patience()); left != "" {
		t.Error(left)
	}
	if left := b.h.MustExec(t, "find", "/tmp", "/var/tmp", "/home/deploy", "-name", "*spindle*", "-o", "-name", ".ansible_mitogen*"); left != "" {
		t.Errorf("left on the target: %s", left)
	}
}

const bulkCopy = "ansible.builtin.copy: {src: bulk, dest: /home/deploy/bulk}"

// A large file goes by way of several channels where the round trip is what limits one of them, and only there.
func TestByways(t *testing.T) {
	const oneWay = 40 * time.Millisecond
	split := func(said []string) bool { return len(said) > 0 && strings.Contains(said[0], "split over byways") }
	t.Run("a long line", func(t *testing.T) {
		b := newBulk(t, "MaxSessions=1") // they are no sessions
		r, said := b.copies(t, oneWay, bulkCopy, nil)
		b.arrived(t, r)
		if len(said) != 1 || !split(said) {
			t.Errorf("the log: %q", said)
		}
		if n := strings.Count(b.h.Log(), "Accepted publickey"); n != 1 {
			t.Errorf("%d logins, want one", n)
		}
		r, said = b.copies(t, oneWay, bulkCopy+"\n      become: true", nil)
		b.arrived(t, r)
		if len(said) != 0 {
			t.Errorf("as another account: %q", said)
		}
		r, said = b.copies(t, 0, bulkCopy, nil)
		b.arrived(t, r)
		if len(said) != 0 {
			t.Errorf("on a short line: %q", said)
		}
	})
	t.Run("refused", func(t *testing.T) {
		b := newBulk(t, "DisableForwarding=yes")
		r, said := b.copies(t, oneWay, bulkCopy, nil)
		b.arrived(t, r)
		if len(said) != 1 || !strings.Contains(said[0], "no byways") || !strings.Contains(said[0], "open direct-streamlocal") {
			t.Errorf("the log: %q", said)
		}
	})
	t.Run("cut", func(t *testing.T) {
		b := newBulk(t)
		b.proxy.Truncate(proxy.Up, bulkSize*2/3)
		r, said := b.copies(t, oneWay, bulkCopy, nil)
		if !split(said) {
			t.Errorf("the log: %q", said)
		}
		if r.Code == 0 || !strings.Contains(r.Stdout, "Mitogen was disconnected from the remote environment while a call was in-progress") {
			t.Errorf("got %v", r)
		}
		b.clean(t)
	})
}
