package transporttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"spindle/transports"
)

func exitStatus(b *bench) {
	for _, code := range []int{0, 1, 7, 255} {
		if e := b.exit(b.sh(fmt.Sprintf("exit %d", code))); e.Code != code || e.Signal != "" {
			b.Errorf("exit %d gave %+v", code, e)
		}
	}
}

func signal(b *bench) {
	for _, name := range []string{"TERM", "KILL"} {
		if e := b.exit(b.sh("kill -" + name + " $$")); e.Signal != name || e.Code >= 0 {
			b.Errorf("SIG%s gave %+v", name, e)
		}
	}
}

// wait may be called by many, before and after the end, and not all have patience.
func wait(b *bench) {
	l := b.sh("read x; exit 4")
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	if e, err := l.Wait(ctx); !errors.Is(err, context.Canceled) {
		b.Errorf("Wait on a running program = %+v, %v", e, err)
	}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if e, err := l.Wait(b.ctx); err != nil || e.Code != 4 {
				b.Errorf("Wait = %+v, %v", e, err)
			}
		})
	}
	b.write(l, []byte("go\n"))
	wg.Wait()
	if e := b.exit(l); e.Code != 4 {
		b.Errorf("Wait after the end = %+v", e)
	}
}

func closeUnblocks(b *bench) {
	l := b.sh("echo ready; exec sleep 1000")
	if got := b.line(l); got != "ready" {
		b.Fatalf("output = %q", got)
	}
	blocked := map[string]func() error{
		"Read":  func() error { return drain(l) },
		"Write": func() error { return flood(l) },
		"Wait":  func() error { _, err := l.Wait(b.ctx); return err },
	}
	if side := l.Side(); side != nil {
		blocked["Side.Read"] = func() error { return drain(side) }
		if b.mode == transports.ControlTTY {
			blocked["Side.Write"] = func() error { return flood(side) }
		}
	}
	var wg sync.WaitGroup
	started := make(chan struct{}, len(blocked))
	for name, call := range blocked {
		wg.Go(func() {
			started <- struct{}{}
			if err := call(); b.ctx.Err() != nil {
				b.Errorf("%s hung until the deadline, then: %v", name, err)
			}
		})
	}
	for range blocked {
		<-started
	}
	for range 2 {
		wg.Go(func() {
			if err := l.Close(); err != nil {
				b.Errorf("Close: %v", err)
			}
		})
	}
	wg.Wait()
	if _, err := l.Read(make([]byte, 1)); err == nil {
		b.Error("Read after Close succeeded")
	}
	if _, err := l.Write([]byte("x")); err == nil {
		b.Error("Write after Close succeeded")
	}
}

func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func flood(w io.Writer) error {
	p := make([]byte, 64<<10)
	for {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
}

// closeEndsAll: also what ignores the end of its streams, hangups and TERM, and what the program has started.
func closeEndsAll(b *bench) {
	for _, script := range []string{
		"sleep 1000 & echo $$ $!; wait",
		"trap '' TERM HUP; sleep 1000 & echo $$ $!; wait",
		"trap '' HUP; sleep 1000 & echo $$ $!; exec sleep 1000",
	} {
		l := b.sh(script)
		var pids []int
		for field := range strings.FieldsSeq(b.line(l)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				b.Fatal(err)
			}
			pids = append(pids, pid)
		}
		start := time.Now()
		if err := l.Close(); err != nil {
			b.Errorf("Close: %v", err)
		}
		b.gone(pids...)
		b.Logf("%s: closed in %v", script, time.Since(start).Round(time.Millisecond))
	}
}

func closeAfterEnd(b *bench) {
	l := b.sh("echo $$")
	pid, _ := strconv.Atoi(b.line(l))
	if e := b.exit(l); e.Code != 0 {
		b.Errorf("exit = %+v", e)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			b.Errorf("Close: %v", err)
		}
	}
	b.gone(pid)
	if e := b.exit(l); e.Code != 0 {
		b.Errorf("exit after Close = %+v", e)
	}
}

func missingProgram(b *bench) {
	for _, name := range []string{"spindle-no-such-program", "/nonexistent/program"} {
		l, err := b.sp.Spawn(b.ctx, transports.Command{Argv: []string{name, "two words"}, Mode: b.mode})
		if b.c.LateStart {
			if err != nil {
				b.Fatalf("Spawn: %v", err)
			}
			if e := b.exit(l); e.Code != 127 {
				b.Errorf("exit = %+v, want 127", e)
			}
			_ = l.Close()
			continue
		}
		var ce *transports.ConnectError
		if !errors.As(err, &ce) {
			b.Fatalf("Spawn = %v, %v, want a *ConnectError", l, err)
		}
		want := "Child start failed: [Errno 2] No such file or directory: '" + name + "'. Command was: " + name + " 'two words'"
		if ce.Text != want {
			b.Errorf("text = %q, want %q", ce.Text, want)
		}
	}
}

func cancelled(b *bench) {
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	if l, err := b.sp.Spawn(ctx, transports.Command{Argv: []string{"cat"}, Mode: b.mode}); err == nil {
		_ = l.Close()
		b.Error("Spawn with a context that is done succeeded")
	}
	// The context is for the start only.
	ctx, cancel = context.WithCancel(b.ctx)
	l, err := b.sp.Spawn(ctx, transports.Command{Argv: []string{"cat"}, Mode: b.mode})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	cancel()
	b.write(l, []byte("still there\n"))
	if got := b.line(l); got != "still there" {
		b.Errorf("output = %q", got)
	}
}

func manyAtOnce(b *bench) {
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			l, err := b.sp.Spawn(b.ctx, transports.Command{
				Argv: []string{"/bin/sh", "-c", fmt.Sprintf("read x; echo $x; exit %d", i)}, Mode: b.mode,
			})
			if err != nil {
				b.Errorf("Spawn: %v", err)
				return
			}
			defer func() { _ = l.Close() }()
			_, _ = fmt.Fprintf(l, "%d\n", i)
			want := fmt.Sprintf("%d\n", i)
			got := make([]byte, len(want))
			_, err = io.ReadFull(l, got)
			e, werr := l.Wait(b.ctx)
			if err != nil || werr != nil || string(got) != want || e.Code != i {
				b.Errorf("program %d: %q, %+v, %v, %v", i, got, e, err, werr)
			}
		})
	}
	wg.Wait()
}
