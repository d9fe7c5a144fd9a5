package transports_test

import (
	"io"
	"runtime"
	"testing"

	"spindle/transports"
)

// BenchmarkBootedLink shows what one idle link costs once its agent is up: the far end's share of this test included.
func BenchmarkBootedLink(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var links []*memory
	var kept []*transports.Booted
	for b.Loop() {
		m := program(b, false, func(f far) transports.Exit {
			say(f.out, "%s%s", markerLine, helloFrame())
			f.takeFlight()
			_, _ = io.Copy(io.Discard, f.in)
			return transports.Exit{}
		})
		p := boot
		p.Flight = append(make([]byte, 0, 30<<10), boot.Flight...)
		up, err := transports.Converse(b.Context(), m, passwordScript(none), p)
		if err != nil {
			b.Fatal(err)
		}
		links, kept = append(links, m), append(kept, up)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc+after.StackInuse-before.StackInuse)/float64(len(links)), "bytes/link")
	runtime.KeepAlive(kept)
}
