package doas

import (
	"testing"
	"time"

	"spindle/transports/become/becometest"
)

// The doas of other Debians, where the roots of the end-to-end tests have them.
func TestElsewhere(t *testing.T) {
	becometest.Canary(t)
	n := 0
	for _, name := range []string{"bullseye", "trixie", "sid"} {
		root := becometest.Root(name, "/usr/bin/doas")
		if root == "" {
			t.Logf("NOT TESTED: doas of %s", name)
			continue
		}
		n++
		t.Run(name, func(t *testing.T) {
			account := becometest.Elsewhere(t, root, "rusty", becometest.Secret, map[string]string{"doas.conf": "permit rusty\n"})
			kwargs := map[string]any{"password": becometest.Secret}
			via := account.Again()
			if got, err := becometest.Reach(t, via, Factory, kwargs); err != nil || got != "root" {
				t.Errorf("became %q, %v", got, err)
			}
			if typed := via.Typed(); len(typed) != 1 {
				t.Errorf("typed %q, want the password once", typed)
			}
			kwargs["password"] = becometest.Secret + "!"
			via, start := account.Again(), time.Now()
			_, err := becometest.Reach(t, via, Factory, kwargs)
			becometest.Refused(t, err, start, textIncorrect)
			if typed := via.Typed(); len(typed) != 1 {
				t.Errorf("typed %q, want the password once", typed)
			}
			delete(kwargs, "password")
			via, start = account.Again(), time.Now()
			_, err = becometest.Reach(t, via, Factory, kwargs)
			becometest.Refused(t, err, start, textRequired)
		})
	}
	if n == 0 {
		t.Skip("NOT TESTED: no Debian roots here")
	}
}
