package local

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"spindle/transports"
)

// Factory is the method "local": an agent on this machine, under this account. Of its settings only connect_timeout
// means anything here; python_path is the bootstrap's.
func Factory(kwargs json.RawMessage) (transports.Dialer, error) {
	var k struct {
		ConnectTimeout transports.Seconds `json:"connect_timeout"`
	}
	if err := transports.ParseKwargs(kwargs, &k); err != nil {
		return nil, fmt.Errorf("local: %w", err)
	}
	return dialer{k.ConnectTimeout.Or(transports.DefaultTimeout)}, nil
}

type dialer struct{ timeout time.Duration }

func (d dialer) Name() string           { return "local" }
func (d dialer) Timeout() time.Duration { return d.timeout }

func (d dialer) Dial(ctx context.Context, via transports.Spawner, p transports.Program) (*transports.Booted, error) {
	return d.plan(p.Argv).Dial(ctx, via, p)
}

func (d dialer) Plan(_ context.Context, _ transports.Spawner, program []string) (transports.Plan, error) {
	return d.plan(program), nil
}

func (d dialer) plan(program []string) transports.Plan {
	return transports.Plan{
		Command: transports.Command{Argv: program},
		Script:  transports.Script{Timeout: d.timeout},
		How:     "local",
	}
}
