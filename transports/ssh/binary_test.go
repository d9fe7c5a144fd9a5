package ssh

import (
	"strings"
	"testing"
)

// judged is what comes of an unfinished line that ssh says: a failure's text, or the name of the prompt that is answered.
func judged(s *settings, names []string, line string) string {
	script := s.script(names, 0)
	for _, f := range script.Failures {
		if !f.Partial || !f.Pattern.MatchString(line) {
			continue
		}
		text := f.Text
		if f.Explain != nil {
			text = f.Explain(line, func(string) bool { return false })
		}
		if text != "" {
			return text
		}
	}
	for _, p := range script.Prompts {
		if p.Pattern.MatchString(line) {
			return p.Name
		}
	}
	return ""
}

// The password is the host's. A jump host that asks on the same terminal does not get it, in whatever way it asks.
func TestWhosePromptItIs(t *testing.T) {
	s := settingsOf(t, `{"hostname": "web1", "password": "sesame"}`)
	names := []string{"web1", "web1.example.org", "192.0.2.1"}
	for _, c := range []struct{ line, want string }{
		{"deploy@web1's password: ", promptPassword},
		{"deploy@WEB1.example.org's password: ", promptPassword},
		{"deploy@bastion's password: ", textPasswordNeeded},
		{"Password: ", promptPassword}, // before OpenSSH 8.5
		{"(deploy@web1) Password: ", promptPassword},
		{"(deploy@192.0.2.1) Password for deploy: ", promptPassword},
		{"(deploy@corp@web1) Password: ", promptPassword},
		{"(me@bastion) Password: ", textPasswordNeeded},
		{"(me@corp@bastion) password: ", textPasswordNeeded},
		{"(me@web1@bastion) Password: ", textPasswordNeeded},
		{"\r(me@bastion) Password: ", textPasswordNeeded},
		{"(me@bastion) (deploy@web1) Password: ", textPasswordNeeded},
		{"(me@bastion) deploy@web1's password: ", textPasswordNeeded},
		{"(me@bastion) Pass", ""}, // not all of it yet
	} {
		if got := judged(s, names, c.line); got != c.want {
			t.Errorf("%q gave %q, want %q", c.line, got, c.want)
		}
		// Where it is not known what ssh may call the host, there is no difference.
		if got := judged(s, nil, c.line); strings.Contains(strings.ToLower(c.line), "password") && got != promptPassword {
			t.Errorf("without names, %q gave %q", c.line, got)
		}
	}
}

// Where the password is for all, as by ssh-askpass, a jump host's question and the host's are two.
func TestPromptsOfAllGetThePassword(t *testing.T) {
	s := settingsOf(t, `{"hostname": "web1", "password": "sesame", "password_for_all": true}`)
	for line, want := range map[string]string{
		"deploy@web1's password: ": promptOwnPassword, "(deploy@corp@web1) Password: ": promptOwnPassword,
		"deploy@bastion's password: ": promptPassword, "(me@bastion) Password: ": promptPassword, "(me@bastion) deploy@web1's password: ": promptPassword,
		"Password: ": promptPassword, // before OpenSSH 8.5
	} {
		if got := judged(s, []string{"web1"}, line); got != want {
			t.Errorf("%q gave %q, want %q", line, got, want)
		}
	}
}

// ssh asks in the name of HostKeyAlias where that is set.
func TestPromptsNameTheAlias(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	s := l.startServer(t)
	runCases(t, s, []dialCase{
		{name: "password", only: Binary, setup: func(d *desk, s *server) kw {
			d.config("HostKeyAlias somewhere")
			d.knows("somewhere " + authorized(s.hostKey.PublicKey()))
			return kw{"password": d.lab.password}
		}},
	})
}
