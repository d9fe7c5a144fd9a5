package transports_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"spindle/transports"
)

const word = "0pen-Sesame"

// Guarantee: secrets never reach a log or an error text. Whatever shows a value, alone or deep inside another.
func TestSecretIsNeverShown(t *testing.T) {
	type inner struct{ s transports.Secret }
	type holder struct {
		Public  transports.Secret
		private transports.Secret
		pointer *transports.Secret
		list    []transports.Secret
		mapped  map[transports.Secret]transports.Secret
		inner   inner
		Any     any
	}
	s := transports.NewSecret(word)
	h := holder{s, s, &s, []transports.Secret{s}, map[transports.Secret]transports.Secret{s: s}, inner{s}, s}
	var shown bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%10.3s", "%c", "%p", "%t", "%!"} {
		for _, v := range []any{s, &s, h, &h, []any{s}, struct{ S transports.Secret }{s}} {
			fmt.Fprintf(&shown, verb+"\n", v)
		}
	}
	fmt.Fprint(&shown, s, h, s.String(), s.GoString())
	for _, v := range []any{s, &s, map[string]any{"k": s}, struct{ S transports.Secret }{s}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		shown.Write(b)
	}
	b, _ := s.MarshalText()
	shown.Write(b)
	for _, handler := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
		slog.New(handler).Info("m", "s", s, "h", h, "p", &s)
	}
	for _, enc := range []zapcore.Encoder{
		zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
	} {
		l := zap.New(zapcore.NewCore(enc, zapcore.AddSync(&shown), zap.DebugLevel))
		l.Info("m", zap.Any("any", s), zap.Object("object", s), zap.Stringer("stringer", s), zap.Reflect("reflect", s), zap.Any("h", h))
		l.Sugar().Infow("m", "s", s, "h", h)
		l.Sugar().Infof("%v %+v", s, h)
	}
	for _, form := range []string{word, fmt.Sprintf("%x", word), fmt.Sprintf("%X", word), word[:5]} {
		if strings.Contains(shown.String(), form) {
			t.Errorf("%q was shown in:\n%s", form, shown.String())
		}
	}
	if n := strings.Count(shown.String(), "***"); n < 30 {
		t.Errorf("*** was shown %d times only", n)
	}
}

func TestSecretFromJSON(t *testing.T) {
	for _, tt := range []struct {
		json, want string
		set        bool
	}{
		{`"` + word + `"`, word, true},
		{` "g\u00fcnther\n" `, "günther", true},
		{`"` + word + `\r\nmore"`, word, true},
		{`""`, "", true},
		{`null`, "", false},
		{`1234`, "1234", true},
		{`-1.50`, "-1.50", true},
	} {
		s := transports.NewSecret("before")
		if err := json.Unmarshal([]byte(tt.json), &s); err != nil || s.Reveal() != tt.want || s.IsSet() != tt.set {
			t.Errorf("%s = %q, %v, %v", tt.json, s.Reveal(), s.IsSet(), err)
		}
	}
	for _, bad := range []string{`["` + word + `"]`, `{"a": "` + word + `"}`, `true`} {
		var s transports.Secret
		if err := json.Unmarshal([]byte(bad), &s); err == nil || strings.Contains(err.Error(), word) || s.IsSet() {
			t.Errorf("%s = %v, %v", bad, s.IsSet(), err)
		}
	}
	var zero transports.Secret
	if b, err := json.Marshal(zero); err != nil || string(b) != "null" {
		t.Errorf("an unset secret is %s, %v", b, err)
	}
	if zero.Equal(transports.NewSecret("")) || !transports.NewSecret("x").Equal(transports.NewSecret("x")) {
		t.Error("Equal does not compare contents")
	}
}
