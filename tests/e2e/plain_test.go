//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spindle/tests/env"
)

// TestWithoutRoot is what can be shown by a plain user, on any machine with an sshd: a target on loopback, one play, the same result.
func TestWithoutRoot(t *testing.T) {
	l := env.NewLoopback(t)
	plugins := l.Run(t, "", env.Binary(t), "plugins")
	if plugins.Code != 0 {
		t.Fatalf("spindle plugins: %+v", plugins)
	}
	play := "- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.command: echo works\n" +
		"    - ansible.builtin.copy: {content: \"{{ 'x' * 300000 }}\", dest: \"" + l.Dir + "/{{ which }}\"}\n"
	for name, text := range map[string]string{"play.yml": play, "hosts": l.Inventory("here")} {
		if err := os.WriteFile(filepath.Join(l.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stack := l.Run(t, "", env.Binary(t), "plugins", "--action")
	asked := l.Run(t, "[defaults]\nstrategy = mitogen_linear\nstrategy_plugins = "+strings.TrimSpace(plugins.Stdout)+
		"\naction_plugins = "+strings.TrimSpace(stack.Stdout)+"\n", "ansible", "-i", "hosts", "all", "-m", "mitogen_get_stack")
	if stack.Code != 0 || asked.Code != 0 || !strings.Contains(asked.Stdout, `"method": "ssh"`) ||
		!strings.Contains(asked.Stdout, `"discovered_interpreter": false`) {
		t.Errorf("mitogen_get_stack: %+v, %+v", stack, asked)
	}
	recap := map[string]string{}
	for _, strategy := range []string{"linear", "mitogen_linear"} {
		config := "[defaults]\nstrategy = " + strategy + "\nstrategy_plugins = " + strings.TrimSpace(plugins.Stdout) + "\n"
		o := l.Run(t, config, "ansible-playbook", "-i", "hosts", "-e", "which="+strategy, "play.yml")
		if o.Code != 0 {
			t.Fatalf("%s: %+v", strategy, o)
		}
		_, recap[strategy], _ = strings.Cut(o.Stdout, "PLAY RECAP")
		if f, err := os.Stat(filepath.Join(l.Dir, strategy)); err != nil || f.Size() != 300000 {
			t.Errorf("%s: the copied file: %v", strategy, err)
		}
	}
	if recap["linear"] != recap["mitogen_linear"] {
		t.Errorf("recap %q, want %q", recap["mitogen_linear"], recap["linear"])
	}
}

// TestExplain asks how a host is reached, without reaching it.
func TestExplain(t *testing.T) {
	l := env.NewLoopback(t)
	inventory := l.Inventory("gate") + "far mitogen_via=daemon@gate ansible_user=deploy ansible_password=sesame\nodd ansible_connection=winrm\nlost mitogen_via=nobody\n"
	if err := os.WriteFile(filepath.Join(l.Dir, "hosts"), []byte(inventory), 0o600); err != nil {
		t.Fatal(err)
	}
	o := l.Run(t, "", env.Binary(t), "explain", "all", "-i", "hosts")
	if o.Code != 0 {
		t.Fatalf("spindle explain: %+v", o)
	}
	for _, want := range []string{
		"by the built-in client", "var: ansible_port", "2. sudo:daemon", "mitogen_via", "3. ssh:deploy@far by the ssh program: it runs on the machine before it",
		"password             ********", "var: ansible_password", "of the host          gate",
		"does not know the connection type", "mitogen_via=nobody of lost specifies an unknown hostname",
	} {
		if !strings.Contains(o.Stdout, want) {
			t.Errorf("not said: %q", want)
		}
	}
	if strings.Contains(o.Stdout+o.Stderr, "sesame") {
		t.Error("the password is shown")
	}
	if t.Failed() {
		t.Logf("%s%s", o.Stdout, o.Stderr)
	}
}
