package local_test

import (
	"testing"

	"spindle/transports"
	"spindle/transports/local"
)

// BenchmarkSpawn starts true and waits for its end.
func BenchmarkSpawn(b *testing.B) {
	for _, m := range []transports.Mode{transports.Pipes, transports.ControlTTY, transports.FullTTY} {
		b.Run(m.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l, err := (&local.Spawner{}).Spawn(b.Context(), transports.Command{Argv: []string{"/bin/true"}, Mode: m})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := l.Wait(b.Context()); err != nil {
					b.Fatal(err)
				}
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
