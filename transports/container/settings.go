package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"spindle/transports"
)

// Settings reads the kwargs of a method key by key. Each method looks at its own keys only, so what others know is left
// alone. The first mistake is kept for Err; what comes behind it yields nothing.
type Settings struct {
	method string
	values map[string]json.RawMessage
	err    error
}

// Read begins to read kwargs. The method's name stands in front of every error.
func Read(method string, kwargs json.RawMessage) *Settings {
	s := &Settings{method: method}
	if err := transports.ParseKwargs(kwargs, &s.values); err != nil {
		s.fail("%w", err)
	}
	return s
}

// Err returns the first mistake.
func (s *Settings) Err() error { return s.err }

func (s *Settings) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(s.method+": "+format, args...)
	}
}

// Name returns a name that is to become an argument; empty if it is not set.
func (s *Settings) Name(key string) string {
	var name text
	s.value(key, &name)
	s.check(key, string(name))
	return string(name)
}

// Needed is Name for what cannot be left out.
func (s *Settings) Needed(key string) string {
	name := s.Name(key)
	if name == "" {
		s.fail("%s is missing", key)
	}
	return name
}

// Path returns the path or name of a program.
func (s *Settings) Path(key, otherwise string) string {
	if path := s.Name(key); path != "" {
		return path
	}
	return otherwise
}

// Words returns a list of arguments, which may be options.
func (s *Settings) Words(key string) []string {
	var list []text
	s.value(key, &list)
	words := make([]string, len(list))
	for i, w := range list {
		if words[i] = string(w); strings.ContainsRune(words[i], 0) {
			s.fail("%s holds a NUL character", key)
		}
	}
	return words
}

// Env returns variables as NAME=value, sorted.
func (s *Settings) Env(key string) []string {
	var vars map[string]text
	s.value(key, &vars)
	var env []string
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			s.fail("%s: %q cannot be the name of a variable", key, name)
		}
		if strings.ContainsRune(string(vars[name]), 0) {
			s.fail("%s: the value of %s holds a NUL character", key, name)
		}
		env = append(env, name+"="+string(vars[name]))
	}
	return env
}

// Timeout returns that of a dial.
func (s *Settings) Timeout() time.Duration {
	var seconds transports.Seconds
	s.value("connect_timeout", &seconds)
	return seconds.Or(transports.DefaultTimeout)
}

// value reads the value of key, if there is one.
func (s *Settings) value(key string, into any) {
	raw, ok := s.values[key]
	if !ok || s.err != nil {
		return
	}
	err := json.Unmarshal(raw, into)
	var te *json.UnmarshalTypeError
	switch {
	case errors.As(err, &te):
		s.fail("%s cannot be of type %s", key, te.Value)
	case err != nil:
		s.fail("%s: %w", key, err)
	}
}

// check refuses what would not reach a tool as the name that it is.
func (s *Settings) check(key, name string) {
	switch {
	case strings.HasPrefix(name, "-"):
		s.fail("%s %q would be read as an option", key, name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == '\x7f' }):
		s.fail("%s %q holds a control character", key, name)
	}
}

// text is a string in settings. It may have come as a number, since YAML makes one of a user named 1000.
type text string

// UnmarshalJSON reads either.
func (t *text) UnmarshalJSON(b []byte) error {
	switch {
	case string(b) == "null":
		*t = ""
		return nil
	case b[0] == '-' || b[0] >= '0' && b[0] <= '9':
		*t = text(b)
		return nil
	case b[0] != '"':
		return errors.New("neither text nor number")
	}
	return json.Unmarshal(b, (*string)(t))
}
