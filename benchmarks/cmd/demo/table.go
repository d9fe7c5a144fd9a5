package main

import (
	"fmt"
	"io"
	"time"
)

// tasks is how many results of demo.yml count as ok: every task but the skipped one and the one that fails on purpose, and the handler.
const tasks = 31

// writeComparison shows both outcomes side by side.
func writeComparison(w io.Writer, stock, own outcome) {
	fmt.Fprintf(w, "  %-28s %14s %14s %14s\n", "", stock.title, own.title, "times as much")
	row := func(name, a, b string, x, y float64) {
		ratio := "-"
		if y > 0 {
			ratio = fmt.Sprintf("%.1f×", x/y)
		}
		fmt.Fprintf(w, "  %-28s %14s %14s %14s\n", name, a, b, ratio)
	}
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
	kib := func(n int64) string { return fmt.Sprintf("%.1f KiB", float64(n)/1024) }
	row("time", seconds(stock.Wall), seconds(own.Wall), stock.Wall.Seconds(), own.Wall.Seconds())
	row("CPU time on the controller", seconds(stock.CPU), seconds(own.CPU), stock.CPU.Seconds(), own.CPU.Seconds())
	a, b := stock.traffic, own.traffic
	row("round trips", fmt.Sprint(a.Flights), fmt.Sprint(b.Flights), float64(a.Flights), float64(b.Flights))
	row("sent to the target", kib(a.Up), kib(b.Up), float64(a.Up), float64(b.Up))
	row("received from the target", kib(a.Down), kib(b.Down), float64(a.Down), float64(b.Down))
}
