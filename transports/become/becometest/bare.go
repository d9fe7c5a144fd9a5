package becometest

import (
	"context"
	"fmt"
	"io"
	"testing"

	"spindle/transports"
)

// Bare reaches the account of these settings without an agent, twice, and has its name told and some input counted.
func Bare(t testing.TB, via transports.Spawner, factory transports.Factory, kwargs map[string]any) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := transports.OpenBare(ctx, Dialer(t, factory, kwargs), via)
	if err != nil {
		return "", err
	}
	defer s.Close()
	const input = "abc\x03\x04\x11\x13\x1d\r\nxyz"
	l, err := s.Run(ctx, transports.Line{Text: "id -un; wc -c; echo $((40+2))", Input: int64(len(input))})
	if err != nil {
		return "", err
	}
	defer l.Close()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	if _, err := io.WriteString(l, input); err != nil {
		t.Error(err)
	}
	_ = l.CloseWrite() // a terminal has been told how much it is
	out, err := io.ReadAll(l)
	if err != nil {
		t.Error(err)
	}
	var user string
	var n, answer int
	if _, err := fmt.Sscan(string(out), &user, &n, &answer); err != nil || n != len(input) || answer != 42 {
		t.Errorf("the command said %q", out)
	}
	return user, nil
}
