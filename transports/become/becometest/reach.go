package becometest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"spindle/transports"
	"spindle/transports/wire"
)

// Nonce is that of the program that WhoAmI makes.
const Nonce = "n4711"

// patience bounds one dial and what is sent then.
const patience = 30 * time.Second

// WhoAmI is a program that says HELLO with its account's name, 20 characters wide, and then sends back what it gets. Its
// script has what the bootstrap's has, and more: variables, quotes, several lines.
func WhoAmI(t testing.TB) transports.Program {
	t.Helper()
	body := strings.Repeat(" ", 20)
	hello := frame(t, wire.Frame{Header: wire.Hello{Proto: wire.Proto, Role: "agent", Version: "3.11.2"}, Body: []byte(body)})
	var octal strings.Builder
	for _, c := range hello[:len(hello)-len(body)] {
		fmt.Fprintf(&octal, `\%03o`, c)
	}
	return transports.Program{
		Argv: []string{"/bin/sh", "-c", "who=`id -un`\necho \"a banner for $who\"; echo 'and a warning' >&2\n" +
			"printf 'SPINDLE1 " + Nonce + "\\n" + octal.String() + "%-20s' \"$who\"; exec cat"},
		Flight: frame(t, wire.Frame{Header: wire.Ping{Stamp: 42}}),
		Nonce:  Nonce,
	}
}

func frame(t testing.TB, f wire.Frame) []byte {
	t.Helper()
	b, err := wire.Append(nil, f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Dialer calls factory with kwargs, which have a timeout unless they say so.
func Dialer(t testing.TB, factory transports.Factory, kwargs map[string]any) transports.Dialer {
	t.Helper()
	if kwargs["connect_timeout"] == nil {
		kwargs["connect_timeout"] = 20
	}
	b, err := json.Marshal(kwargs)
	if err != nil {
		t.Fatal(err)
	}
	d, err := factory(b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Reach dials with these settings, and returns the account that was reached. Before, it checks that bytes get there
// and back, every one and in bulk, and that the end of input ends the far end, where there is such a thing.
func Reach(t testing.TB, via transports.Spawner, factory transports.Factory, kwargs map[string]any) (user string, err error) {
	t.Helper()
	return reach(t, via, factory, kwargs, true)
}

// Greet is Reach without bulk.
func Greet(t testing.TB, via transports.Spawner, factory transports.Factory, kwargs map[string]any) (user string, err error) {
	t.Helper()
	return reach(t, via, factory, kwargs, false)
}

func reach(t testing.TB, via transports.Spawner, factory transports.Factory, kwargs map[string]any, much bool) (user string, err error) {
	t.Helper()
	d := Dialer(t, factory, kwargs)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	up, err := d.Dial(ctx, via, WhoAmI(t))
	if err != nil {
		return "", err
	}
	user = strings.TrimSpace(string(up.Hello.Body))
	defer func() {
		if err := up.Link.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	defer context.AfterFunc(ctx, func() { _ = up.Link.Close() })() // ends whatever waits below
	if f, err := up.Frames.Next(); err != nil || f.Header != (wire.Ping{Stamp: 42}) {
		t.Errorf("what came back of the flight: %+v, %v", f, err)
	}
	if much {
		bulk(t, up)
	}
	switch err := up.Link.CloseWrite(); {
	case errors.Is(err, errors.ErrUnsupported):
		return user, nil
	case err != nil:
		t.Error(err)
	}
	if _, err := up.Frames.Next(); err != io.EOF {
		t.Errorf("end = %v", err)
	}
	if e, err := up.Link.Wait(ctx); err != nil || e.Code != 0 {
		t.Errorf("exit = %+v, %v", e, err)
	}
	return user, nil
}

// bulk sends every byte, both ways, and more than pipes and terminals hold.
func bulk(t testing.TB, up *transports.Booted) {
	t.Helper()
	big := make([]byte, wire.ChunkMax)
	for i := range big {
		big[i] = byte(i)
	}
	data := frame(t, wire.Frame{ID: 1, Header: wire.Data{Channel: 1}, Body: big})
	for range 4 {
		sent := make(chan error, 1)
		go func() { _, err := up.Link.Write(data); sent <- err }()
		f, err := up.Frames.Next()
		if err != nil || string(f.Body) != string(big) {
			t.Fatalf("data did not come back: %v", err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
}

// Refused checks an error: its class, that its text has want in it, that it did not take the timeout to find it, and that
// the password is nowhere in it.
func Refused(t testing.TB, err error, start time.Time, want string) {
	t.Helper()
	var ce *transports.ConnectError
	if !errors.As(err, &ce) {
		t.Fatalf("error = %v (%T), want a *ConnectError", err, err)
	}
	if ce.Class != transports.BecomeFailed || !strings.Contains(ce.Text, want) {
		t.Errorf("error = %v: %q, want %q in it", ce.Class, ce.Text, want)
	}
	if took := time.Since(start); took > 12*time.Second {
		t.Errorf("took %v", took)
	} else {
		t.Logf("%q after %v", ce.Text, took.Round(time.Millisecond))
	}
	if strings.Contains(fmt.Sprintf("%+v %+v", ce, ce.Lines), Secret) {
		t.Error("the password is in the error")
	}
}
