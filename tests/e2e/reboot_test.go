//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// countBoots gives a machine what the kernel gives a real one: an id for each time that it is started, and a program to go down with.
const countBoots = `
n=$(($(cat /etc/boots 2>/dev/null || echo 0) + 1))
echo $n >/etc/boots
echo boot-$n >/run/boot-id
mount --bind /run/boot-id /proc/sys/kernel/random/boot_id
printf '#!/bin/sh\nkill -TERM 1\n' >/usr/sbin/shutdown
chmod 755 /usr/sbin/shutdown
`

const rebootPlay = `
- hosts: web1
  gather_facts: false
  tasks:
    - name: before
      ansible.builtin.shell: cat /proc/sys/kernel/random/boot_id; echo kept >kept
    - name: root before
      ansible.builtin.command: id -un
      become: true
    - name: reboot
      ansible.builtin.reboot: {reboot_timeout: 100}
      become: true
    - name: after
      ansible.builtin.shell: cat /proc/sys/kernel/random/boot_id kept
    - name: root after
      ansible.builtin.command: id -un
      become: true
    - name: during
      ansible.builtin.command: sleep 1000
      ignore_unreachable: true
    - name: wait
      ansible.builtin.wait_for_connection: {timeout: 100, sleep: 1}
    - name: at last
      ansible.builtin.shell: cat /proc/sys/kernel/random/boot_id kept
    - name: root at last
      ansible.builtin.command: id -un
      become: true
`

// TestReboot lets a target be started again, once by the module reboot, and once under a task, without a word.
func TestReboot(t *testing.T) {
	for _, v := range everyVersion() {
		for _, strategy := range []string{"linear", "mitogen_linear"} {
			if strategy == "linear" && v != env.Versions[0] {
				continue // once is enough to know that the expectations are Ansible's
			}
			if v == env.Versions[1] && os.Getenv("SPINDLE_TEST_ALL") == "" {
				continue // it stands between two that are tested
			}
			t.Run(v.Name+"/"+strategy, func(t *testing.T) {
				l := env.New(t)
				h := l.Host(t, env.HostOptions{Name: "web1", Root: v.Root(t), Boot: countBoots})
				c := l.Controller(t, v, h)
				c.Write(t, env.PlayDir+"/reboot.yml", rebootPlay, 0o644)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute*env.Patience())
				defer cancel()
				restarted := make(chan error, 1)
				r := c.Play(t, env.Play{
					Strategy: strategy, Playbook: "reboot.yml", Inventory: line(h, "mitogen_ssh_keepalive_interval=2 mitogen_ssh_keepalive_count=3"),
					SSH: map[string]string{"pipelining": "True", "ssh_args": "-o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=2 -o ServerAliveCountMax=3"},
					Started: func() {
						go func() { restarted <- twice(ctx, h) }()
					},
				})
				cancel()
				if err := <-restarted; err != nil {
					t.Errorf("the machine: %v", err)
				}
				records, err := parity.Parse(r.Records)
				if err != nil || r.Code != 0 {
					t.Fatalf("play: %v %v", err, r)
				}
				for task, want := range map[string]string{
					"before": "boot-1", "root before": "root", "after": "boot-2\nkept", "root after": "root", "at last": "boot-3\nkept", "root at last": "root",
				} {
					if rec, ok := parity.Find(records, "web1", task, "ok"); !ok || rec.Result["stdout"] != want {
						t.Errorf("%s: %v, want %q", task, rec.Result, want)
					}
				}
				if rec, ok := parity.Find(records, "web1", "reboot", "ok"); !ok || rec.Result["rebooted"] != true || rec.Result["changed"] != true {
					t.Errorf("reboot: %v", rec.Result)
				}
				if _, ok := parity.Find(records, "web1", "during", "unreachable"); !ok {
					t.Error("the task under which the machine went down is not unreachable")
				}
				if env.Ours(strategy) {
					if left := h.Quiet(20*time.Second) + c.Quiet(20*time.Second); left != "" {
						t.Error(left)
					}
				}
				if t.Failed() {
					t.Log(r)
				}
			})
		}
	}
}

// twice starts a machine again after it has gone down by itself, and once more when it runs the task that never ends.
func twice(ctx context.Context, h *env.Host) error {
	if err := h.Restart(ctx); err != nil {
		return err
	}
	late := env.Poll(time.Minute*env.Patience(), func() string {
		for _, p := range h.Processes() {
			if p.Matches("sleep 1000") {
				return ""
			}
		}
		if ctx.Err() != nil {
			return ""
		}
		return fmt.Sprintf("the task does not start: %v", h.Processes())
	})
	if late != "" || ctx.Err() != nil {
		return errors.Join(errors.New(strings.TrimSpace(late)), context.Cause(ctx))
	}
	h.Crash()
	return h.Restart(ctx)
}
