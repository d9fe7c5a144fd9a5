package actors

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

type talkative struct{ Password string }

func (t talkative) LogValue() slog.Value { return slog.StringValue(t.Password) }
func (t talkative) String() string       { return t.Password }

// Guarantee G6: the engine's log lets types and paths through, whatever way a value comes in.
func TestG6_TheEnginesLogIsRedacted(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	log := engineLogger(zap.New(core))
	const secret = "canary"
	log.With("with", talkative{secret}).WithGroup("group").Info("all of them",
		slog.Any("struct", struct{ P string }{secret}),
		slog.Any("valuer", talkative{secret}),
		slog.Any("pointer", &talkative{secret}),
		slog.Any("error", errors.New(secret)),
		slog.Any("slice", []string{secret}),
		slog.Any("nil", nil),
		slog.Group("nested", slog.Any("deep", talkative{secret})),
		slog.Any("pid", actor.NewPID("nonhost", "tree/web1")),
		slog.Any("reason", Fault{Class: ClassLink}),
		slog.Any("directive", actor.StopDirective),
		slog.Int("number", 7),
	)
	entry := logs.All()[0]
	got := fmt.Sprint(entry.ContextMap())
	if strings.Contains(got, secret) {
		t.Errorf("the secret is in %s", got)
	}
	for _, want := range []string{"actors.talkative", "tree/web1", "link lost", "nil", "number:7", "StopDirective"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
	}
	if entry.Level != zapcore.DebugLevel || entry.LoggerName != "protoactor" {
		t.Errorf("got level %v of logger %q, want debug of protoactor", entry.Level, entry.LoggerName)
	}
}
