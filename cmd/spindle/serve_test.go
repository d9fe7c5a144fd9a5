package main

import (
	"testing"

	"go.uber.org/zap"

	"spindle/services/connections"
)

func TestMaxInterpreters(t *testing.T) {
	for text, want := range map[string]int{
		"": connections.DefaultMaxInterpreters, "7": 7, "1": 1,
		"0": connections.DefaultMaxInterpreters, "-3": connections.DefaultMaxInterpreters, "many": connections.DefaultMaxInterpreters, "2.5": connections.DefaultMaxInterpreters,
	} {
		if got := maxInterpreters(text, zap.NewNop()); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
