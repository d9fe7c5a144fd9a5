package become

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"spindle/transports/become/becometest"
)

func TestArgv(t *testing.T) {
	becometest.Golden(t, "testdata/argv.txt", func(kwargs json.RawMessage) (string, error) {
		d, err := Factory(kwargs)
		if err != nil {
			return "", err
		}
		c, err := d.(*dialer).launch([]string{"/bin/sh", "-c", `echo "$HOME" it's`})
		if err != nil {
			return "", err
		}
		if strings.Join(c.Argv[:2], " ") != "/bin/sh -c" {
			t.Errorf("%q", c.Argv)
		}
		return fmt.Sprintf("%s, %s: %s", d.Name(), c.Mode, c.Argv[2]), nil
	})
}
