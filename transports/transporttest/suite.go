package transporttest

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"spindle/transports"
)

// Config says what is to be tested, and what cannot be expected of it.
type Config struct {
	// New returns the spawner. It is called once for each test, with that test's t for cleaning up.
	New func(t *testing.T) transports.Spawner
	// Modes are those that the spawner can give; all three if nil.
	Modes []transports.Mode
	// Alive says whether a process runs where the programs do. If nil, nothing is said about processes left behind.
	Alive func(pid int) bool
	// LateStart says that Spawn cannot know about a missing program: the Exit tells, by status 127.
	LateStart bool
	// NoEnv says that Command.Env is not carried, as by SSH servers with their default settings.
	NoEnv bool
}

// patience bounds every wait of the suite.
const patience = 30 * time.Second

var allModes = []transports.Mode{transports.Pipes, transports.ControlTTY, transports.FullTTY}

// Run runs the suite.
func Run(t *testing.T, c Config) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	modes := c.Modes
	if modes == nil {
		modes = allModes
	}
	for _, m := range modes {
		t.Run(m.String(), func(t *testing.T) {
			for _, tt := range []struct {
				name string
				test func(b *bench)
			}{
				{"Echo", echo},
				{"EveryByte", everyByte},
				{"EndOfInput", endOfInput},
				{"ExitStatus", exitStatus},
				{"Signal", signal},
				{"Streams", streams},
				{"Terminal", terminal},
				{"Typing", typing},
				{"Environment", environment},
				{"Bulk", bulk},
				{"SideBulk", sideBulk},
				{"Wait", wait},
				{"CloseUnblocks", closeUnblocks},
				{"CloseEndsAll", closeEndsAll},
				{"CloseAfterEnd", closeAfterEnd},
				{"MissingProgram", missingProgram},
				{"Cancelled", cancelled},
				{"ManyAtOnce", manyAtOnce},
			} {
				t.Run(tt.name, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					tt.test(&bench{T: t, c: c, mode: m, sp: c.New(t), ctx: ctx})
				})
			}
		})
	}
	if err := goleak.Find(before); err != nil {
		t.Errorf("goroutines were left: %v", err)
	}
}

// bench is what one test works with.
type bench struct {
	*testing.T
	c    Config
	mode transports.Mode
	sp   transports.Spawner
	ctx  context.Context
}

// sh starts a shell script. It is closed at the end of the test.
func (b *bench) sh(script string) transports.Link { return b.spawn("/bin/sh", "-c", script) }

func (b *bench) spawn(argv ...string) transports.Link {
	b.Helper()
	l, err := b.sp.Spawn(b.ctx, transports.Command{Argv: argv, Mode: b.mode})
	if err != nil {
		b.Fatalf("Spawn(%q): %v", argv, err)
	}
	b.Cleanup(func() { _ = l.Close() })
	// A test that hangs in a Read is ended by this; what it reports then is the error of that Read.
	context.AfterFunc(b.ctx, func() { _ = l.Close() })
	return l
}

func (b *bench) exit(l transports.Link) transports.Exit {
	b.Helper()
	e, err := l.Wait(b.ctx)
	if err != nil {
		b.Fatalf("Wait: %v", err)
	}
	return e
}

// gone waits until none of pids runs any more.
func (b *bench) gone(pids ...int) {
	b.Helper()
	if b.c.Alive == nil {
		return
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, pid := range pids {
		for b.c.Alive(pid) {
			select {
			case <-tick.C:
			case <-b.ctx.Done():
				b.Fatalf("process %d is still there", pid)
			}
		}
	}
}

// AliveHere says whether process pid runs on this machine. A zombie does not.
func AliveHere(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && state != "" && state[0] != 'Z' && state[0] != 'X'
}
