package transports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// ParseKwargs reads a hop's kwargs into a struct with JSON tags. Nothing at all counts as no settings; unknown keys are
// left alone. Its errors name the key, never the value.
func ParseKwargs(kwargs json.RawMessage, into any) error {
	if len(bytes.TrimSpace(kwargs)) == 0 {
		return nil
	}
	err := json.Unmarshal(kwargs, into)
	var te *json.UnmarshalTypeError
	if errors.As(err, &te) {
		return fmt.Errorf("setting %q must not be a %s", te.Field, te.Value)
	}
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	return nil
}

// Seconds is a duration in settings: a number of seconds, which may be written as a string, or null for none.
type Seconds struct {
	D   time.Duration
	Set bool
}

// Or returns the duration, or def if it is not set or not above zero.
func (s Seconds) Or(def time.Duration) time.Duration {
	if !s.Set || s.D <= 0 {
		return def
	}
	return s.D
}

// UnmarshalJSON reads it.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	text := string(bytes.Trim(bytes.TrimSpace(b), `"`))
	if text == "null" || text == "" {
		*s = Seconds{}
		return nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.Abs(n) > math.MaxInt64/float64(time.Second)/2 {
		return errors.New("a time must be a number of seconds")
	}
	*s = Seconds{D: time.Duration(n * float64(time.Second)), Set: true}
	return nil
}
