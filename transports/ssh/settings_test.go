package ssh

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"spindle/transports"
)

var update = flag.Bool("update", false, "write golden files")

// golden compares text with a file, or writes it.
func golden(t *testing.T, file, text string) {
	t.Helper()
	path := "testdata/" + file
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", file, diff)
	}
}

func settingsOf(t *testing.T, text string) *settings {
	t.Helper()
	s, err := parseSettings(json.RawMessage(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

// The command lines are those that users know from process lists, and that tests of theirs compare.
func TestArgvGolden(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	var b strings.Builder
	for _, c := range []struct{ name, kwargs string }{
		{"least", `{"hostname": "web1"}`},
		{"ansible's defaults", `{"hostname": "web1", "username": "deploy", "port": null, "password": null, "identity_file": null,
			"check_host_keys": "enforce", "compression": true, "connect_timeout": 10, "identities_only": false,
			"keepalive_count": 10, "keepalive_interval": 30, "python_path": ["python3"], "remote_name": null,
			"ssh_args": ["-C", "-o", "ControlMaster=auto", "-o", "ControlPersist=60s"], "ssh_debug_level": 0, "ssh_path": "ssh"}`},
		{"everything", `{"hostname": "web1", "username": "deploy", "port": 2222, "identity_file": "~/.ssh/id", "identities_only": true,
			"keepalive_count": 10, "keepalive_interval": 30, "ssh_args": ["-o", "A b"], "ssh_path": "/usr/local/bin/ssh"}`},
		{"a key of each host's", `{"hostname": "web1", "identity_file": "~/keys/%h"}`},
		{"a key that is there", `{"hostname": "web1", "identity_file": "/dev/null"}`},
		{"a terminal", `{"hostname": "web1", "ssh_args": ["-C", "-tt"]}`},
		{"a terminal, by option", `{"hostname": "web1", "ssh_args": ["-oRequestTTY=force"]}`},
		{"host keys by argument", `{"hostname": "web1", "ssh_args": ["-o", "StrictHostKeyChecking=accept-new"]}`},
		{"password", `{"hostname": "web1", "password": "secret", "keepalive_count": 10, "keepalive_interval": 30}`},
		{"empty password", `{"hostname": "web1", "password": "", "keepalive_count": 10, "keepalive_interval": 30}`},
		{"ignore host keys", `{"hostname": "web1", "check_host_keys": "ignore"}`},
		{"accept host keys", `{"hostname": "web1", "check_host_keys": "accept"}`},
		{"host keys as configured", `{"hostname": "web1", "check_host_keys": "config"}`},
		{"no compression", `{"hostname": "web1", "compression": false}`},
		{"no keepalive", `{"hostname": "web1", "keepalive_interval": 0}`},
		{"debug 1", `{"hostname": "web1", "ssh_debug_level": 1}`},
		{"debug 3", `{"hostname": "web1", "ssh_debug_level": "3"}`},
		{"debug 9", `{"hostname": "web1", "ssh_debug_level": 9}`},
		{"strings", `{"hostname": "web1", "port": "22", "username": 1001, "compression": "no", "keepalive_interval": "5", "keepalive_count": "2"}`},
	} {
		s := settingsOf(t, c.kwargs)
		b.WriteString("# " + c.name + " (" + s.name() + ", " + s.mode().String() + ")\n")
		for _, word := range s.argv([]string{"/bin/sh", "-c", `exec python3 -c 'x' "$A"`, "&&", "&& x"}, manner{strict: !s.saysStrict(), noTTY: s.wantsTTY()}) {
			b.WriteString(word + "\n")
		}
		b.WriteString("\n")
	}
	golden(t, "argv.golden", b.String())
}

func TestFarCommandIsTheBinarys(t *testing.T) {
	s := settingsOf(t, `{"hostname": "web1"}`)
	far := []string{"/bin/sh", "-c", "a 'b' \"c\" \\ $d\ne"}
	argv := s.argv(far, manner{})
	i := len(s.argv(nil, manner{}))
	if got, want := strings.Join(argv[i:], " "), farCommand(far); got != want {
		t.Errorf("ssh makes %q of it, the native client %q", got, want)
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		name, kwargs string
		check        func(s *settings) bool
	}{
		{"timeout", `{"hostname": "h", "connect_timeout": 7}`, func(s *settings) bool { return s.connectTimeout == 7*time.Second }},
		{"timeout-text", `{"hostname": "h", "connect_timeout": "1.5"}`, func(s *settings) bool { return s.connectTimeout == 1500*time.Millisecond }},
		{"timeout-null", `{"hostname": "h", "connect_timeout": null}`, func(s *settings) bool { return s.connectTimeout == transports.DefaultTimeout }},
		{"timeout-zero", `{"hostname": "h", "connect_timeout": 0}`, func(s *settings) bool { return s.connectTimeout == transports.DefaultTimeout }},
		{"keepalive", `{"hostname": "h"}`, func(s *settings) bool { return s.keepaliveInterval == 10*time.Second && s.keepaliveCount == 3 }},
		{"port-float", `{"hostname": "h", "port": 22.0}`, func(s *settings) bool { return s.port == 22 }},
		{"port-empty", `{"hostname": "h", "port": ""}`, func(s *settings) bool { return s.port == 0 }},
		{"unknown", `{"hostname": "h", "whatever": {"a": []}}`, func(s *settings) bool { return s.hostname == "h" }},
		{"password-number", `{"hostname": "h", "password": 1234}`, func(s *settings) bool { return s.password.Reveal() == "1234" }},
		{"home", `{"hostname": "h", "identity_file": "~/id"}`, func(s *settings) bool { return s.identityFile == "/home/me/id" }},
		{"enforced", `{"hostname": "h", "check_host_keys": null}`, func(s *settings) bool { return s.checkHostKeys == enforceHostKeys }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("HOME", "/home/me")
			if s := settingsOf(t, c.kwargs); !c.check(s) {
				t.Errorf("%s gave %+v", c.kwargs, s)
			}
		})
	}
}

func TestWrongSettings(t *testing.T) {
	for _, c := range []struct{ name, kwargs, want string }{
		{"no-host", `{}`, "hostname is missing"},
		{"nothing", ``, "hostname is missing"},
		{"option-for-host", `{"hostname": "-oProxyCommand=x"}`, "would be read as an option"},
		{"newline", `{"hostname": "a\nb"}`, "control character"},
		{"port", `{"hostname": "h", "port": 70000}`, "port"},
		{"port-word", `{"hostname": "h", "port": "ssh"}`, "is no number"},
		{"port-fraction", `{"hostname": "h", "port": 1.5}`, "port"},
		{"bool", `{"hostname": "h", "compression": "perhaps"}`, "is no boolean"},
		{"host-keys", `{"hostname": "h", "check_host_keys": "maybe"}`, "check_host_keys"},
		{"way", `{"hostname": "h", "spindle_ssh": "carrier"}`, "spindle_ssh"},
		{"password", `{"hostname": "h", "password": ["s3cret"]}`, "password"},
		{"type", `{"hostname": 7}`, "hostname"},
		{"no-json", `{`, "settings"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseSettings(json.RawMessage(c.kwargs))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("error is %v, want one about %s", err, c.want)
			}
		})
	}
}

func TestParseArgs(t *testing.T) {
	for _, c := range []struct {
		args, want string
	}{
		{"-C -o ControlMaster=auto -o ControlPersist=60s", "C o=ControlMaster=auto o=ControlPersist=60s"},
		{"-4Cvp22 -lbob", "4 C v p=22 l=bob"},
		{"-oFoo=bar -F cfg", "o=Foo=bar F=cfg"},
		{"-A -J a,b", "A J=a,b"},
		{"-C host", "error"},
		{"-Z", "error"},
		{"-o", "error"},
		{"- x", "error"},
	} {
		flags, err := parseArgs(strings.Fields(c.args))
		var words []string
		for _, f := range flags {
			word := string(f.letter)
			if f.value != "" {
				word += "=" + f.value
			}
			words = append(words, word)
		}
		got := strings.Join(words, " ")
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%s gave %s (%v), want %s", c.args, got, err, c.want)
		}
	}
}
