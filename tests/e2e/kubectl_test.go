//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// TestKubectlLoginsAreNowhere enters a pod with a token and with a password, from the controller and from a machine on the
// way, and looks for both in the arguments and variables of all processes meanwhile. The account in the user's own
// configuration is none that the API server knows, so each of them has to reach kubectl.
func TestKubectlLoginsAreNowhere(t *testing.T) {
	l := env.New(t)
	h := l.Host(t, env.HostOptions{Name: "near", Engines: true})
	c := l.Controller(t, env.WithEngines, h)
	pod := h.Engine(t, env.Kubectl).Run(t, "inner1")
	mark(t, pod)
	// A configuration with no account in it: what the server lets in, it is told by Spindle.
	const cluster = `sed 's/token: [^}]*//' /root/.kube/config >/tmp/config; chmod 644 /tmp/config; rm /root/.kube/config`
	config := h.MustExec(t, "sh", "-c", cluster+"; cat /tmp/config")
	c.Write(t, "/tmp/config", config, 0o644)
	if out := h.Exec(t, "kubectl", "--kubeconfig=/tmp/config", "exec", "inner1", "--", "true"); out.Code == 0 {
		t.Fatalf("the API server lets everybody in: %v", out)
	}
	c.Write(t, env.PlayDir+"/hold.yml", `
- hosts: pods
  gather_facts: false
  tasks:
    - name: where
      ansible.builtin.command: cat /etc/where
    - name: raw
      ansible.builtin.raw: cat /etc/where
    - name: hold
      ansible.builtin.command: sleep 2.75
`, 0o644)
	const token = "ansible_kubectl_token=" + env.KubeToken
	password := fmt.Sprintf(`ansible_kubectl_username=%s ansible_kubectl_password='%s'`, env.KubeUser, strings.ReplaceAll(env.KubePassword, "'", `'"'"'`))
	inventory := line(h, "") + "[pods]\n"
	for name, vars := range map[string]string{
		"variable": token + ` ansible_kubectl_local_env_vars='{"KUBECONFIG":"/tmp/config"}'`, "option": token + " ansible_kubectl_kubeconfig=/tmp/config",
		"password": password + " ansible_kubectl_kubeconfig=/tmp/config",
		"via":      token + " ansible_kubectl_kubeconfig=/tmp/config mitogen_via=root@near", "via_password": password + " ansible_kubectl_kubeconfig=/tmp/config mitogen_via=root@near",
	} {
		inventory += fmt.Sprintf("%s ansible_host=inner1 ansible_kubectl_container=side ansible_python_interpreter=/usr/bin/python3 ansible_connection=kubectl %s\n", name, vars)
	}
	canaries := func(where, text string) {
		for _, word := range []string{env.KubeToken, env.KubePassword, "-b2c8"} {
			if at := strings.Index(text, word); at >= 0 {
				t.Errorf("%s: a secret in …%s…", where, text[max(0, at-80):min(len(text), at+40)])
			}
		}
	}
	const everything = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'"
	looked := make(chan string, 1)
	r := c.Play(t, env.Play{
		Strategy: "mitogen_linear", Playbook: "hold.yml", Inventory: inventory, Args: []string{"-vvv"},
		Config: map[string]string{"timeout": patient}, Env: []string{"MITOGEN_LOG_LEVEL=DEBUG"},
		Started: func() {
			go func() {
				looked <- env.Poll(time.Minute*env.Patience(), func() string {
					canaries("a process of the machine on the way", h.Exec(t, "sh", "-c", everything).Stdout)
					canaries("a process of the controller", c.Exec(t, "sh", "-c", everything).Stdout)
					for _, p := range pod.Processes() {
						if p.Matches("sleep 2.75") {
							tree := c.ExecAs(t, env.Operator, "spindle", "tree", "--json")
							canaries("spindle tree", tree.Stdout+tree.Stderr)
							return ""
						}
					}
					return "the task does not run"
				})
			}()
		},
	})
	if late := <-looked; late != "" || r.Code != 0 {
		t.Fatalf("%s %v", late, r)
	}
	canaries("the output", r.Stdout+r.Stderr)
	records, err := parity.Parse(r.Records)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"variable", "option", "password", "via", "via_password"} {
		for _, task := range []string{"where", "raw"} {
			rec, ok := parity.Find(records, name, task, "ok")
			if got, _ := rec.Result["stdout"].(string); !ok || strings.TrimSpace(got) != "this is inner1" {
				t.Errorf("%s: %s: %q", name, task, got)
			}
		}
	}
	for _, m := range []*env.Machine{c.Machine, h.Machine} {
		if left := m.Exec(t, "sh", "-c", "ls -d /dev/shm/* /tmp/spindle* 2>/dev/null").Stdout; left != "" {
			t.Errorf("left: %s", left)
		}
	}
	wrong := c.Play(t, env.Play{
		Strategy: "mitogen_linear", Playbook: "hold.yml", Config: map[string]string{"timeout": patient}, Args: []string{"-vvv"},
		Inventory: strings.ReplaceAll(inventory, env.KubeToken, env.KubeToken+"-wrong"), Env: []string{"MITOGEN_LOG_LEVEL=DEBUG"},
	})
	canaries("the error about a wrong token", wrong.Stdout+wrong.Stderr)
	if wrong.Code == 0 || !strings.Contains(wrong.Stdout, "Unauthorized") && !strings.Contains(wrong.Stdout, "logged in") {
		t.Errorf("a wrong token: %v", wrong)
	}
}
