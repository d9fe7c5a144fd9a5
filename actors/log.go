package actors

import (
	"context"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
)

// engineLogger is the log that protoactor gets. The engine prints whole messages, panic values and PIDs in protobuf's
// text form; the handler in between lets types and paths through, and nothing else that is not a plain value.
func engineLogger(log *zap.Logger) *slog.Logger {
	return slog.New(redactor{zapslog.NewHandler(log.Core(), zapslog.WithName("protoactor"))})
}

// redactor is a slog handler that rewrites attributes before the next one sees them.
type redactor struct{ next slog.Handler }

var _ slog.Handler = redactor{}

// Enabled asks the next handler, for the level that is used.
func (r redactor) Enabled(ctx context.Context, level slog.Level) bool {
	return r.next.Enabled(ctx, quieter(level))
}

// Handle passes a redacted copy on.
func (r redactor) Handle(ctx context.Context, record slog.Record) error {
	clean := slog.NewRecord(record.Time, quieter(record.Level), record.Message, record.PC)
	record.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(redact(a))
		return true
	})
	return r.next.Handle(ctx, clean)
}

// WithAttrs redacts too.
func (r redactor) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = redact(a)
	}
	return redactor{r.next.WithAttrs(clean)}
}

// WithGroup keeps redacting within.
func (r redactor) WithGroup(name string) slog.Handler { return redactor{r.next.WithGroup(name)} }

// quieter makes the engine's news debug output: what matters of it, the seam reports itself.
func quieter(level slog.Level) slog.Level {
	if level == slog.LevelInfo {
		return slog.LevelDebug
	}
	return level
}

// redact replaces a value that may hold message contents by its type, and a PID by its path.
func redact(a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindGroup:
		group := a.Value.Group()
		clean := make([]slog.Attr, len(group))
		for i, member := range group {
			clean[i] = redact(member)
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(clean...)}
	case slog.KindAny, slog.KindLogValuer:
		switch v := a.Value.Any().(type) {
		case nil:
			return slog.String(a.Key, "nil")
		case *actor.PID:
			return slog.String(a.Key, v.GetId())
		case Fault:
			return slog.String(a.Key, v.Error())
		case actor.Directive:
			return slog.String(a.Key, v.String())
		default:
			return slog.String(a.Key, typeName(v))
		}
	}
	return a
}
