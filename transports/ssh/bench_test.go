package ssh

import (
	"context"
	"syscall"
	"testing"
	"time"

	"spindle/transports/local"
)

// cpu is what this process and those that it has waited for have used. Servers are not among them.
func cpu() time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}

func measured(b *testing.B, fn func()) {
	fn()
	used := cpu()
	n := 0
	for b.Loop() {
		fn()
		n++
	}
	b.ReportMetric(float64(cpu()-used)/float64(n)/float64(time.Millisecond), "cpu-ms/op")
}

// BenchmarkDial dials and boots a stand-in for an agent, and closes. It says what 500 hosts cost.
func BenchmarkDial(b *testing.B) {
	theLab.once.Do(theLab.setUp)
	if theLab.skip != "" {
		b.Skip(theLab.skip)
	}
	s := theLab.startServer(b)
	for _, way := range []string{Native, Binary} {
		b.Run(way, func(b *testing.B) {
			d := newDesk(b, &theLab)
			d.knows(s.known())
			k := d.kwargsAuto(s)
			if way == Binary {
				k["spindle_ssh"] = "binary"
			}
			dialer := d.dialer(k)
			measured(b, func() {
				booted, err := dialer.Dial(context.Background(), &local.Spawner{}, echoProgram())
				if err != nil {
					b.Fatal(err)
				}
				_ = booted.Link.Close()
			})
		})
	}
}

// BenchmarkResolve asks ssh -G, which happens once for each host.
func BenchmarkResolve(b *testing.B) {
	options := settingsWith(b).options()
	measured(b, func() {
		if _, err := newResolver().resolve(context.Background(), "ssh", options, "web1"); err != nil {
			b.Fatal(err)
		}
	})
}

func settingsWith(b *testing.B) *settings {
	s, err := parseSettings([]byte(`{"hostname": "web1", "username": "deploy"}`))
	if err != nil {
		b.Fatal(err)
	}
	return s
}
