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

// TestKubectlOptions enters a pod with every option that kubectl's connection has. The API server tells the program in the pod how it was asked
// for: in which namespace, for which container, by whom. None of the configuration files is enough by itself.
func TestKubectlOptions(t *testing.T) {
	c := env.New(t).Controller(t, env.WithEngines)
	e := c.Engine(t, env.Kubectl)
	pod := e.Run(t, "inner1")
	mark(t, pod)
	for _, name := range []string{"ca.pem", "client.pem", "client.key"} {
		c.Write(t, "/home/ops/kube/"+name, e.KubeFile(t, name), 0o600)
	}
	write := func(name, cluster, contexts string) {
		c.Write(t, "/home/ops/kube/"+name, "apiVersion: v1\nkind: Config\nclusters: [{name: tests, cluster: {server: \"https://"+cluster+"\"}}, "+
			"{name: nowhere, cluster: {server: \"https://"+env.RefusedAddr+":6443\"}}]\ncontexts: ["+contexts+"]\nusers: [{name: them, user: {token: "+env.KubeToken+"}}]\ncurrent-context: one\n", 0o600)
	}
	const bare = "{name: one, context: {cluster: tests}}"
	write("bare", e.KubeAddr(), bare)
	write("contexts", e.KubeAddr(), "{name: one, context: {cluster: nowhere}}, {name: two, context: {cluster: tests, user: them, namespace: of-context}}")
	write("elsewhere", env.RefusedAddr+":6443", bare)
	c.MustExec(t, "rm", "-rf", "/root/.kube", "/home/ops/.kube")

	const (
		insecure = " ansible_kubectl_validate_certs=no"
		token    = " ansible_kubectl_token=" + env.KubeToken
		checked  = " ansible_kubectl_ca_cert=/home/ops/kube/ca.pem"
	)
	file := func(name string) string { return " ansible_kubectl_kubeconfig=/home/ops/kube/" + name }
	password := fmt.Sprintf(` ansible_kubectl_password='%s'`, strings.ReplaceAll(env.KubePassword, "'", `'"'"'`))
	whole := `{"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "tests", "cluster": {"server": "https://` + e.KubeAddr() + `", "insecure-skip-tls-verify": True}}], ` +
		`"contexts": [{"name": "two", "context": {"cluster": "tests", "user": "them", "namespace": "of-context"}}], ` +
		`"users": [{"name": "them", "user": {"token": "` + env.KubeToken + `"}}], "current-context": "two"}`
	cases := map[string]struct {
		vars string
		want string // namespace, container and account
		says string // or the error
	}{
		"token":            {vars: file("bare") + insecure + token, want: "default main token"},
		"api_key":          {vars: file("bare") + insecure + " ansible_kubectl_api_key=" + env.KubeToken, want: "default main token"},
		"config":           {vars: " ansible_kubectl_config=/home/ops/kube/bare" + insecure + token, want: "default main token"},
		"namespace":        {vars: file("bare") + insecure + token + " ansible_kubectl_namespace=shop", want: "shop main token"},
		"container":        {vars: file("bare") + insecure + token + " ansible_kubectl_container=side", want: "default side token"},
		"context":          {vars: file("contexts") + insecure + " ansible_kubectl_context=two", want: "of-context main token"},
		"context_and_more": {vars: file("contexts") + insecure + " ansible_kubectl_context=two ansible_kubectl_namespace=shop ansible_kubectl_container=side", want: "shop side token"},
		"server":           {vars: file("elsewhere") + insecure + token + " ansible_kubectl_server=https://" + e.KubeAddr(), want: "default main token"},
		"host":             {vars: file("elsewhere") + insecure + token + " ansible_kubectl_host=https://" + e.KubeAddr(), want: "default main token"},
		"user":             {vars: file("bare") + insecure + " ansible_kubectl_user=" + env.KubeUser + password, want: "default main " + env.KubeUser},
		"username":         {vars: file("bare") + insecure + " ansible_kubectl_username=" + env.KubeUser + password, want: "default main " + env.KubeUser},
		"certificate":      {vars: file("bare") + checked + " ansible_kubectl_client_cert=/home/ops/kube/client.pem ansible_kubectl_client_key=/home/ops/kube/client.key", want: "default main " + env.KubeCertified},
		"cert_file":        {vars: file("bare") + " ansible_kubectl_ssl_ca_cert=/home/ops/kube/ca.pem ansible_kubectl_cert_file=/home/ops/kube/client.pem ansible_kubectl_key_file=/home/ops/kube/client.key", want: "default main " + env.KubeCertified},
		"checked":          {vars: file("bare") + checked + token + " ansible_kubectl_validate_certs=yes", want: "default main token"},
		"checked_in_vain":  {vars: file("bare") + token + " ansible_kubectl_validate_certs=yes", says: "certificate signed by unknown authority"},
		"not_checked":      {vars: file("bare") + token + " ansible_kubectl_verify_ssl=false", want: "default main token"},
		"pod":              {vars: file("bare") + insecure + token + " ansible_host=whatever ansible_kubectl_pod=inner1", want: "default main token"},
		"extra":            {vars: file("bare") + insecure + token + " ansible_kubectl_extra_args='--namespace=of-extra'", want: "of-extra main token"},
		"variables":        {vars: insecure + token + ` ansible_kubectl_local_env_vars='{"KUBECONFIG": "/home/ops/kube/bare"}'`, want: "default main token"},
		"path":             {vars: file("bare") + insecure + token + " mitogen_kubectl_path=/usr/bin/kubectl", want: "default main token"},
		"no_path":          {vars: file("bare") + insecure + token + " mitogen_kubectl_path=/nonexistent/kubectl", says: "/nonexistent/kubectl"},
		"written_out":      {vars: " ansible_kubectl_kubeconfig='" + whole + "'", want: "of-context main token"},
		"written_and_more": {vars: " ansible_kubectl_kubeconfig='" + whole + "'" + password + " ansible_kubectl_namespace=shop ansible_kubectl_user=" + env.KubeUser, want: "shop main " + env.KubeUser},
		"nobody":           {vars: file("bare") + insecure, says: "EOF on stream"}, // kubectl asks for a name, and hears nothing
		"no_user":          {vars: file("bare") + insecure + token + " ansible_user=app", want: "default main token"},
	}
	var inventory strings.Builder
	for name, tt := range cases {
		host := " ansible_host=inner1"
		if strings.Contains(tt.vars, "ansible_host=") {
			host = ""
		}
		fmt.Fprintf(&inventory, "%s ansible_connection=kubectl ansible_python_interpreter=/usr/bin/python3%s%s\n", name, host, tt.vars)
	}
	c.Write(t, env.PlayDir+"/options.yml", `
- hosts: all
  gather_facts: false
  ignore_unreachable: true
  tasks:
    - name: how
      ansible.builtin.command: sh -c 'echo $KUBE_NAMESPACE $KUBE_CONTAINER $KUBE_ACCOUNT; cat /etc/where; id -un'
    - name: raw
      ansible.builtin.raw: echo $KUBE_NAMESPACE $KUBE_CONTAINER $KUBE_ACCOUNT; cat /etc/where; id -un
`, 0o644)
	r := c.Play(t, env.Play{Strategy: "mitogen_linear", Playbook: "options.yml", Inventory: inventory.String(), Config: map[string]string{"timeout": patient}})
	records, err := parity.Parse(r.Records)
	if err != nil || r.Hung {
		t.Fatalf("play: %v %v", err, r)
	}
	for name, tt := range cases {
		for _, task := range []string{"how", "raw"} {
			if tt.says != "" {
				rec, _ := parity.Find(records, name, task, "unreachable")
				if msg := fmt.Sprint(rec.Result["msg"]); !strings.Contains(msg, tt.says) {
					t.Errorf("%s: %s: %q, want %q: %v", name, task, msg, tt.says, parity.Of(records, name))
				}
				continue
			}
			rec, _ := parity.Find(records, name, task, "ok")
			if got := strings.TrimSpace(strings.ReplaceAll(fmt.Sprint(rec.Result["stdout"]), "\r\n", "\n")); got != tt.want+"\nthis is inner1\nroot" {
				t.Errorf("%s: %s: %q, want %q: %v", name, task, got, tt.want, parity.Of(records, name))
			}
		}
	}
	if left := pod.Quiet(10*time.Second) + c.Quiet(10*time.Second); left != "" {
		t.Error(left)
	}
}

// TestKubectlWaitsAndResets waits for a pod and resets the connection to it, with Python there and without.
func TestKubectlWaitsAndResets(t *testing.T) {
	c := env.New(t).Controller(t, env.WithEngines)
	pod := c.Engine(t, env.Kubectl).Run(t, "inner1")
	mark(t, pod)
	c.Write(t, env.PlayDir+"/reset.yml", `
- hosts: all
  gather_facts: false
  tasks:
    - {name: wait, ansible.builtin.wait_for_connection: {timeout: 20}}
    - {name: agent, ansible.builtin.command: sh -c 'ps -o ppid= -p $PPID', when: inventory_hostname == "full"}
    - {name: same agent, ansible.builtin.command: sh -c 'ps -o ppid= -p $PPID', when: inventory_hostname == "full"}
    - {name: before, ansible.builtin.raw: cat /etc/where}
    - ansible.builtin.meta: reset_connection
    - {name: another agent, ansible.builtin.command: sh -c 'ps -o ppid= -p $PPID', when: inventory_hostname == "full"}
    - {name: after, ansible.builtin.raw: cat /etc/where}
    - {name: wait again, ansible.builtin.wait_for_connection: {timeout: 20}}
    - {name: as app, ansible.builtin.raw: id -un, become: true, become_user: app}
    - ansible.builtin.meta: reset_connection
    - name: Python is there
      ansible.builtin.command: cat /etc/where
      vars: {ansible_python_interpreter: /usr/bin/python3}
`, 0o644)
	r := c.Play(t, env.Play{
		Strategy: "mitogen_linear", Playbook: "reset.yml", Config: map[string]string{"timeout": patient},
		Inventory: "full ansible_host=inner1 ansible_connection=kubectl ansible_python_interpreter=/usr/bin/python3\n" +
			"bare ansible_host=inner1 ansible_connection=kubectl ansible_python_interpreter=/nonexistent/python3 ansible_kubectl_container=side\n",
	})
	records, err := parity.Parse(r.Records)
	if err != nil || r.Code != 0 {
		t.Fatalf("play: %v %v", err, r)
	}
	said := func(host, task string) string {
		rec, found := parity.Find(records, host, task, "ok")
		if !found {
			t.Errorf("%s: %s: %v", host, task, parity.Of(records, host))
		}
		return strings.TrimSpace(fmt.Sprint(rec.Result["stdout"]))
	}
	for _, host := range []string{"full", "bare"} {
		for task, want := range map[string]string{"wait": "<nil>", "before": "this is inner1", "after": "this is inner1", "wait again": "<nil>", "as app": "app", "Python is there": "this is inner1"} {
			if got := said(host, task); got != want {
				t.Errorf("%s: %s: %q, want %q", host, task, got, want)
			}
		}
	}
	if agent, same, another := said("full", "agent"), said("full", "same agent"), said("full", "another agent"); agent != same || agent == another || agent == "" {
		t.Errorf("the agents are %q, %q, and %q behind the reset", agent, same, another)
	}
	if left := pod.Quiet(10*time.Second) + c.Quiet(10*time.Second); left != "" {
		t.Error(left)
	}
}
