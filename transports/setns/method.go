package setns

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"spindle/transports"
	"spindle/transports/container"
)

// Factory is the method "setns".
func Factory(kwargs json.RawMessage) (transports.Dialer, error) {
	s := container.Read("setns", kwargs)
	d := &dialer{container: s.Needed("container"), user: s.Name("username"), timeout: s.Timeout()}
	name := s.Needed("kind")
	if err := s.Err(); err != nil {
		return nil, err
	}
	k, ok := kinds[name]
	if !ok {
		known := strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
		return nil, fmt.Errorf("setns: kind: unsupported container kind: '%s' (there are %s)", name, known)
	}
	d.kind = k
	d.ask = slices.Concat([]string{s.Path(k.path, k.tool)}, k.args, []string{d.container})
	if err := s.Err(); err != nil {
		return nil, err
	}
	return d, nil
}

// dialer is one account in one container.
type dialer struct {
	container, user string // no user is root
	kind            kind
	ask             []string // the tool's command line
	timeout         time.Duration
}

func (d *dialer) Name() string           { return container.Name("setns", d.user, d.container) }
func (d *dialer) Timeout() time.Duration { return d.timeout }

// said is how enter.py, and the shell in front of it, complain.
var said = regexp.MustCompile(`^setns: `)

func (d *dialer) Dial(ctx context.Context, via transports.Spawner, p transports.Program) (*transports.Booted, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	plan, err := d.Plan(ctx, via, p.Argv)
	if err != nil {
		return nil, err
	}
	return plan.Dial(ctx, via, p)
}

// Plan is how a program is started in the container, as it is now: its first process may be another the next time.
func (d *dialer) Plan(ctx context.Context, via transports.Spawner, program []string) (transports.Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	pid, err := d.leader(ctx, via)
	if err != nil {
		return transports.Plan{}, err
	}
	return transports.Plan{
		Command: transports.Command{Argv: enter(pid, d.user, program)},
		Script:  transports.Script{Failures: []transports.Failure{{Pattern: said}}, Timeout: d.timeout},
		How:     "setns",
		Why:     "process " + pid + ", says " + d.kind.tool,
	}, nil
}

// leader asks the tool for the container's first process.
func (d *dialer) leader(ctx context.Context, via transports.Spawner) (pid string, err error) {
	r, err := ask(ctx, via, d.ask)
	if err != nil {
		return "", err
	}
	if r.exit.Code != 0 {
		return "", failed(fmt.Sprintf("%s exitted with status %d: %s", command(d.ask), r.exit.Code, r.words()))
	}
	pid, problem := d.kind.pid(r.out)
	if problem != "" {
		return "", failed(problem)
	}
	return pid, nil
}
