package transports

import (
	"context"
	"errors"
	"time"
)

var errDeadline = errors.New("dial deadline")

type sideLog struct{}

// Converse boots the program behind link.
func Converse(ctx context.Context, link Link, s Script, p Program) (*Booted, error) {
	_ = link.Close()
	return nil, &ConnectError{Class: s.Class, Text: "not built yet", Err: ctx.Err()}
}

func (s Script) timeout() time.Duration {
	if s.Timeout > 0 {
		return s.Timeout
	}
	return DefaultTimeout
}

func (s Script) spawnFailed(_ context.Context, err error) error {
	return &ConnectError{Class: s.Class, Text: err.Error(), Err: err}
}
