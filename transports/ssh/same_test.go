package ssh

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestResolve: what ssh -G makes of settings decides whether they are the same.
func TestResolve(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("NOT TESTED: there is no ssh")
	}
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(`
Host one two
	HostName web1.example
	User deploy
Host three
	HostName web1.example
	User deploy
	HostKeyAlias another
Host far
	HostName far.example
	ProxyJump one
Host farther
	HostName far.example
	ProxyJump deploy@web1.example
Host shared mine
	HostName web1.example
	User deploy
	ControlPath /tmp/%C
Host named nominal
	HostName web1.example
	User deploy
	ControlPath /tmp/it
	IdentityFile /keys/%n
Host path way
	HostName web1.example
	User deploy
	ControlPath /tmp/%n
Match originalhost tty
	HostName web1.example
	User deploy
	RequestTTY force
`), 0o600); err != nil {
		t.Fatal(err)
	}
	factory := NewFactory()
	resolve := func(kwargs map[string]any) string {
		t.Helper()
		full := map[string]any{"ssh_args": []string{"-F", file}}
		for k, v := range kwargs {
			full[k] = v
		}
		b, _ := json.Marshal(full)
		d, err := factory(b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.(*Dialer).Resolve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	host := func(name string, more ...any) map[string]any {
		m := map[string]any{"hostname": name}
		for i := 0; i < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	for _, tt := range []struct {
		name string
		a, b map[string]any
		same bool
	}{
		{"two aliases", host("one"), host("two"), true},
		{"an alias and the name", host("one"), host("web1.example", "username", "deploy"), true},
		{"a port that is the usual one", host("one"), host("one", "port", 22), true},
		{"time limits", host("one"), host("one", "connect_timeout", 77, "ssh_args", []string{"-F", file, "-o", "ConnectTimeout=5"}), true},
		{"a terminal", host("one"), host("tty"), true},
		{"options in other words", host("one", "ssh_args", []string{"-F", file, "-oForwardAgent=no"}), host("one", "ssh_args", []string{"-F" + file, "-a"}), true},
		{"jumps in other words", host("far", "username", "x"), host("farther", "username", "x"), true},
		{"the binary", host("shared"), host("mine"), true},
		{"another user", host("one"), host("one", "username", "admin"), false},
		{"another port", host("one"), host("one", "port", 2222), false},
		{"another password", host("one", "password", "a"), host("one", "password", "b"), false},
		{"another key", host("one"), host("one", "identity_file", "/key"), false},
		{"another name of the key", host("one"), host("three"), false},
		{"another check", host("one"), host("one", "check_host_keys", "ignore"), false},
		{"another jump", host("far"), host("far.example"), false},
		{"not compressed", host("one"), host("one", "compression", false), false},
		{"a tunnel", host("one"), host("one", "spindle_via", "tunnel"), false},
		{"the binary, with a path of its own", host("path"), host("way"), false},
		{"the binary and not", host("one"), host("one", "spindle_ssh", "binary"), false},
		{"the binary with other words", host("shared"), host("mine", "ssh_args", []string{"-F", file, "-v"}), false},
	} {
		a, b := resolve(tt.a), resolve(tt.b)
		if a == "" || b == "" || (a == b) != tt.same {
			t.Errorf("%s: same is %v, want %v\n%s\n%s", tt.name, a == b, tt.same, a, b)
		}
	}
	script := filepath.Join(t.TempDir(), "wrapper")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec ssh \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, kwargs := range map[string]map[string]any{
		"the name is part of an option": host("named"), "nobody knows what a script does": host("one", "ssh_path", script),
	} {
		if got := resolve(kwargs); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}
