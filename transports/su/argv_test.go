package su

import (
	"encoding/json"
	"testing"

	"al.essio.dev/pkg/shellescape"
	"go.uber.org/goleak"

	"spindle/transports"
	"spindle/transports/become/becometest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestArgv(t *testing.T) {
	becometest.Golden(t, "testdata/argv.txt", func(kwargs json.RawMessage) (string, error) {
		d, err := Factory(kwargs)
		if ce, ok := err.(*transports.ConnectError); ok && ce.Class != transports.BecomeFailed {
			t.Errorf("%s: %v", kwargs, ce.Class)
		}
		if err != nil {
			return "", err
		}
		return d.Name() + ": " + shellescape.QuoteCommand(d.(*dialer).argv([]string{"/bin/sh", "-c", `echo "$HOME"`})), nil
	})
}
