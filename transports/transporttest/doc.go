// Package transporttest holds the suite that every transports.Spawner passes, wherever it starts its programs:
//
//	func TestSpawner(t *testing.T) {
//		transporttest.Run(t, transporttest.Config{
//			New:   func(t *testing.T) transports.Spawner { return &local.Spawner{} },
//			Alive: transporttest.AliveHere,
//		})
//	}
//
// The programs it starts are those of any POSIX system: sh, cat, sleep, printf, dd. It checks for each mode that both
// directions carry every byte value, also in bulk and at once, that ends, exit statuses and signals arrive, that
// stdout and the side stay apart, that Close ends whatever is going on and leaves neither a process nor a goroutine,
// and how a missing program is reported.
//
// A spawner that cannot give a mode leaves it out of Config.Modes. The suite never sleeps: it waits for what the
// programs say, and for things to be gone, each with a deadline.
package transporttest
