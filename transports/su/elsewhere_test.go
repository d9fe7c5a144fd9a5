package su

import (
	"testing"
	"time"

	"spindle/transports/become/becometest"
)

// The su of other Debians, and that of sudo-rs, where the roots of the end-to-end tests have them.
func TestElsewhere(t *testing.T) {
	becometest.Canary(t)
	n := 0
	for _, tt := range []struct{ root, path string }{
		{"bullseye", "/bin/su"}, {"trixie", "/usr/bin/su"}, {"sid", "/usr/bin/su"}, {"sid", "/usr/bin/su-rs"},
	} {
		root := becometest.Root(tt.root, tt.path)
		if root == "" {
			t.Logf("NOT TESTED: %s of %s", tt.path, tt.root)
			continue
		}
		n++
		t.Run(tt.root+tt.path, func(t *testing.T) {
			account := becometest.Elsewhere(t, root, "rusty", becometest.Secret, nil)
			account.User = "nobody"
			account.Group = "nogroup"
			kwargs := map[string]any{"su_path": tt.path, "username": "rusty", "password": becometest.Secret}
			via := account.Again()
			reach := becometest.Reach
			if tt.path == "/usr/bin/su-rs" {
				reach = becometest.Greet // with a terminal of its own in between, it stops for good when both directions are full
			}
			if got, err := reach(t, via, Factory, kwargs); err != nil || got != "rusty" {
				t.Errorf("became %q, %v", got, err)
			}
			typedOnce(t, via, becometest.Secret)
			kwargs["password"] = becometest.Secret + "!"
			via, start := account.Again(), time.Now()
			_, err := becometest.Reach(t, via, Factory, kwargs)
			becometest.Refused(t, err, start, textIncorrect)
			typedOnce(t, via, becometest.Secret+"!")
			delete(kwargs, "password")
			via, start = account.Again(), time.Now()
			_, err = becometest.Reach(t, via, Factory, kwargs)
			becometest.Refused(t, err, start, textRequired)
			kwargs["username"] = "no-such-user"
			via, start = account.Again(), time.Now()
			_, err = becometest.Reach(t, via, Factory, kwargs)
			becometest.Refused(t, err, start, "no-such-user")
		})
	}
	if n == 0 {
		t.Skip("NOT TESTED: no Debian roots here")
	}
}
