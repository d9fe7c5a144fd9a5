package local_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"spindle/transports"
	"spindle/transports/local"
	"spindle/transports/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSpawner(t *testing.T) {
	transporttest.Run(t, transporttest.Config{
		New:   func(*testing.T) transports.Spawner { return &local.Spawner{Grace: 200 * time.Millisecond} },
		Alive: transporttest.AliveHere,
	})
}
