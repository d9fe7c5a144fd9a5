package transports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"go.uber.org/zap/zapcore"
)

const masked = "***"

// Secret is a password or passphrase. Whatever prints, logs or encodes it shows ***; [Secret.Reveal] alone gives it
// away. The zero value is a secret that is not set, which is not the same as an empty one.
//
// The text is kept behind a pointer, because package fmt prints unexported fields of a struct without asking
// their methods: of a pointer it then shows the address only.
type Secret struct {
	text *string
}

// NewSecret returns a Secret that is set to text.
func NewSecret(text string) Secret { return Secret{text: &text} }

// Reveal returns the text itself; empty if it is not set.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsSet says whether there is a secret at all.
func (s Secret) IsSet() bool { return s.text != nil }

// Equal compares by content.
func (s Secret) Equal(o Secret) bool { return s.IsSet() == o.IsSet() && s.Reveal() == o.Reveal() }

// String returns ***.
func (s Secret) String() string { return masked }

// GoString returns ***.
func (s Secret) GoString() string { return masked }

// Format prints ***, whatever the verb and its flags.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// MarshalJSON returns "***", or null if it is not set.
func (s Secret) MarshalJSON() ([]byte, error) {
	if s.text == nil {
		return []byte("null"), nil
	}
	return []byte(`"` + masked + `"`), nil
}

// MarshalText returns ***.
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// LogValue returns ***.
func (s Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalLogObject shows whether it is set, and *** for what it is.
func (s Secret) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	if s.text != nil {
		enc.AddString("secret", masked)
	}
	return nil
}

// UnmarshalJSON takes a string, null (not set), or a number, since YAML makes one of a password that consists of digits.
// Its errors do not show what was there.
func (s *Secret) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	switch {
	case bytes.Equal(b, []byte("null")):
		*s = Secret{}
		return nil
	case len(b) > 0 && (b[0] == '-' || b[0] >= '0' && b[0] <= '9'):
		*s = NewSecret(string(b))
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return errors.New("a password must be a string")
	}
	// What is behind a line's end can be typed nowhere. Whoever encrypts what echo prints has one there, which sshpass and sudo do not mind.
	if line, _, more := strings.Cut(text, "\n"); more {
		text = strings.TrimSuffix(line, "\r")
	}
	*s = NewSecret(text)
	return nil
}
