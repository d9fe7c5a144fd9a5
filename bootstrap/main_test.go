package bootstrap

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	for _, variable := range os.Environ() { // what is set here for other Pythons is not so on a target
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "PYTHON") {
			_ = os.Unsetenv(name)
		}
	}
	goleak.VerifyTestMain(m)
}
