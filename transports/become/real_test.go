package become

import (
	"os/exec"
	"testing"
	"time"

	"spindle/transports/become/becometest"
)

// The command lines are those that Ansible's plugins make, but for their random words, as hops.py hands them on.
const (
	wrapped = `/bin/sh -c 'echo BECOME-SUCCESS ; /bin/sh -c ` + Placeholder + `'`
	asks    = `[sudo via ansible, key=BECOME] password:`
)

func sudoer(t *testing.T, name, rule string) string {
	becometest.Need(t, "sudo", "visudo")
	user := becometest.Account(t, name, becometest.Secret)
	becometest.Sudoers(t, user, rule, "Defaults:%s timestamp_timeout=0")
	return user
}

func TestPlugins(t *testing.T) {
	for _, tt := range []struct {
		name, command string
		prompts       []string
		needs         string
	}{
		{"sudo", `sudo -H -S  -p "` + asks + `" -u root ` + wrapped, []string{`\[sudo\ via\ ansible,\ key=BECOME\]\ password:`}, ""},
		{"sudosu", `sudo -H -S  -p "` + asks + `" su -l root ` + wrapped, []string{`\[sudo\ via\ ansible,\ key=BECOME\]\ password:`}, "su"},
		{"pmrun", `sudo -H -S -p "Enter UPM user password:" /bin/sh -c '/bin/sh -c '"'"'echo BECOME-SUCCESS ; /bin/sh -c ` + Placeholder + `'"'"''`, []string{"Enter UPM user password:"}, ""},
		{"with another terminal in between", `exec script -qec 'sudo -H -p Password: -u root ` + Placeholder + `' /dev/null`, []string{"Password:"}, "script"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := exec.LookPath(tt.needs); tt.needs != "" && err != nil {
				becometest.Unavailable(t, "no "+tt.needs+" here")
			}
			becometest.Canary(t)
			user := sudoer(t, "bp", "%s ALL=(ALL:ALL) ALL")
			kwargs := map[string]any{
				"plugin": tt.name, "username": "root", "command": tt.command, "prompts": tt.prompts,
				"failures": []string{"Sorry, try again."}, "missing": []string{"sudo: a password is required"},
			}
			t.Run("missing", func(t *testing.T) {
				via, start := &becometest.As{User: user}, time.Now()
				_, err := becometest.Reach(t, via, Factory, kwargs)
				becometest.Refused(t, err, start, tt.name+" password is required")
			})
			kwargs["password"] = becometest.Secret
			t.Run("right", func(t *testing.T) {
				via := &becometest.As{User: user}
				if got, err := becometest.Reach(t, via, Factory, kwargs); err != nil || got != "root" {
					t.Errorf("became %q, %v", got, err)
				}
				if typed := via.Typed(); len(typed) != 1 || typed[0] != becometest.Secret+"\n" {
					t.Errorf("typed %q, want the password once", typed)
				}
				if got, err := becometest.Bare(t, via.Again(), Factory, kwargs); err != nil || got != "root" {
					t.Errorf("became %q without an agent, %v", got, err)
				}
			})
			kwargs["password"] = becometest.Secret + "!"
			t.Run("wrong", func(t *testing.T) {
				via, start := &becometest.As{User: user}, time.Now()
				_, err := becometest.Reach(t, via, Factory, kwargs)
				becometest.Refused(t, err, start, tt.name+" password is incorrect")
				if typed := via.Typed(); len(typed) != 1 {
					t.Errorf("typed %q, want the password once", typed)
				}
			})
		})
	}
}

// doas and pfexec have no shell of their own between; without a terminal nothing is lost if nothing is asked.
func TestPlugins_NoPassword(t *testing.T) {
	user := sudoer(t, "bn", "%s ALL=(ALL:ALL) NOPASSWD: ALL")
	for _, tt := range []struct {
		name, command string
		tty           any
	}{
		{"sudo", `sudo -H -S -n -u root ` + wrapped, nil},
		{"sudo without a terminal", `sudo -H -S -n -u root ` + wrapped, false},
		{"machinectl's way", `sudo -n ` + Placeholder, nil},
		{"machinectl's way, the shell stands there", `sudo -n /bin/sh -c ` + Placeholder, false},
		{"sudosu's other way", `sudo -n su -l root -c 'echo BECOME-SUCCESS ; /bin/sh -c ` + Placeholder + `'`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := becometest.Reach(t, &becometest.As{User: user}, Factory, map[string]any{"plugin": "p", "command": tt.command, "tty": tt.tty})
			if err != nil || got != "root" {
				t.Errorf("became %q, %v", got, err)
			}
		})
	}
}
