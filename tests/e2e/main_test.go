//go:build e2e

package e2e

import (
	"os"
	"testing"

	"spindle/tests/env"
)

func TestMain(m *testing.M) { os.Exit(env.Main(m)) }
