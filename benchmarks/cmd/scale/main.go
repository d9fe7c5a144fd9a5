package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"

	"spindle/benchmarks/scale"
)

func main() {
	scale.ServeIfAsked()
	binary := flag.String("binary", "bin/spindle", "the program to measure")
	hosts := flag.Int("hosts", 10000, "how many idle hosts there are in the end")
	crowd := flag.Int("crowd", 1000, "how many connect at once")
	calls := flag.Int("calls", 20, "how many calls each host is asked for, when calls are measured")
	limit := flag.Duration("limit", 30*time.Minute, "when to give up")
	profiles := flag.String("profiles", "", "a directory for heap and goroutine profiles of the multiplexer with all hosts")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, *limit)
	defer stop()
	if err := run(ctx, *binary, *hosts, max(1, *crowd), *calls, *profiles); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string, hosts, crowd, calls int, profiles string) (err error) {
	dir, err := os.MkdirTemp("", "spindle-scale-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err = filepath.Abs(binary)
	if err != nil {
		return err
	}
	lab, err := scale.New(binary, dir)
	if err != nil {
		return err
	}
	defer func() {
		if e := lab.Close(); err == nil {
			err = e
		}
	}()
	empty, err := lab.Idle(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d CPUs; targets are a stand-in that answers at once. The socket was ready after %s.\n\n",
		time.Now().UTC().Format("2006-01-02 15:04 UTC"), runtime.NumCPU(), lab.Started.Round(100*time.Microsecond))

	fmt.Println("| Connecting at once | to the first result | to the last | CPU a host |\n| ---: | ---: | ---: | ---: |")
	for opened := 0; opened < hosts; {
		c, err := lab.Connect(ctx, min(crowd, hosts-opened))
		if err != nil {
			return err
		}
		opened += c.Hosts
		fmt.Printf("| %d, with %d there | %s | %s | %.2f ms |\n", c.Hosts, opened-c.Hosts, c.First.Round(time.Millisecond),
			c.Last.Round(time.Millisecond), milliseconds(c.CPU)/float64(c.Hosts))
	}

	fmt.Println("\n| Hosts, working at once | calls | wall | CPU a call |\n| ---: | ---: | ---: | ---: |")
	for n := 10; n <= min(hosts, 1000); n *= 10 {
		// As many calls for few hosts as for many, or the clock is too coarse.
		t, err := lab.Work(ctx, n, calls*min(hosts, 1000)/n)
		if err != nil {
			return err
		}
		fmt.Printf("| %d | %d | %s | %.3f ms |\n", n, t.Calls, t.Wall.Round(time.Millisecond), milliseconds(t.Each()))
	}

	idle, err := lab.Idle(ctx)
	if err != nil {
		return err
	}
	each := func(now, then uint64) float64 { return float64(int64(now)-int64(then)) / float64(hosts) / 1024 }
	fmt.Println("\n| Idle | empty | all hosts | each host |\n| --- | ---: | ---: | ---: |")
	for _, row := range []struct {
		name      string
		then, now uint64
	}{{"heap", empty.Heap, idle.Heap}, {"stacks", empty.Stacks, idle.Stacks}, {"resident", empty.Resident, idle.Resident}} {
		fmt.Printf("| %s | %.1f MiB | %.1f MiB | %.1f KiB |\n", row.name, float64(row.then)/(1<<20), float64(row.now)/(1<<20), each(row.now, row.then))
	}
	fmt.Printf("| goroutines | %d | %d | %.2f |\n", empty.Goroutines, idle.Goroutines, float64(idle.Goroutines-empty.Goroutines)/float64(hosts))
	fmt.Printf("| actors and pumps | %d | %d | %.2f |\n", empty.Actors, idle.Actors, float64(idle.Actors-empty.Actors)/float64(hosts))
	if profiles == "" {
		return nil
	}
	for _, name := range []string{"heap", "goroutine"} {
		b, err := lab.Profile(ctx, name)
		if err == nil {
			err = os.WriteFile(filepath.Join(profiles, name+".pb.gz"), b, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
