package bootstrap

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"spindle/transports/wire"
)

// An ordinary user's agent cannot kill what it has started by sudo. That ends all the same, with its input.
func TestAgentBehindSudo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become somebody else")
	}
	for _, program := range []string{"sudo", "unshare", "setpriv"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	tg := targets()[0]
	// The rule for sudo exists in a mount namespace of the test's own.
	tg.wrap = []string{"unshare", "-m", "/bin/sh", "-ec", `
		mount -t tmpfs -o mode=750 none /etc/sudoers.d
		echo "nobody ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/test
		chmod 440 /etc/sudoers.d/test
		exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"`, "sh"}
	for name, end := range map[string]func(r *remote, id uint32){
		"end of stream":        func(r *remote, id uint32) { r.stdin.Close() },
		"kill -9 of the agent": func(r *remote, id uint32) { syscall.Kill(r.pid, syscall.SIGKILL) },
		"kill -9 of the warden": func(r *remote, id uint32) {
			r.cmd.Process.Kill()
		},
		"CANCEL": func(r *remote, id uint32) {
			r.send(id, wire.Cancel{Reason: "enough"})
			if got := r.relay(id); got.exit.Text != "enough" {
				t.Errorf("%+v", got.exit)
			}
			r.alone()
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := boot(t, tg)
			if r.facts["user"] != "nobody" {
				t.Fatalf("facts: %v", r.facts)
			}
			o := Options{Candidates: []string{tg.python}, Nonce: r.nonce, Title: "second:" + r.nonce, Env: map[string]string{"SPINDLE_TEST": r.nonce}}
			id := r.spawn(1, meta{"argv": append([]string{"sudo", "-n", "--"}, Argv(o)...)}, Flight(o)...)
			r.until(id, 1, `"user":"root"`)
			// Something is running there when the end comes.
			const command = `{"argv":["sh","-c","echo up; sleep 1000"]}`
			call, err := wire.Append(nil, wire.Frame{ID: 1, Header: wire.Call{Op: "exec", MetaLen: len(command), Flags: wire.FlagStream}, Body: []byte(command)})
			if err != nil {
				t.Fatal(err)
			}
			r.send(id, wire.Data{Channel: 0}, call...)
			r.until(id, 1, "up\n")
			end(r, id)
			r.end()
			if left := strings.Join(r.processes(), " "); left != "" {
				t.Errorf("left: %s", left)
			}
		})
	}
}
