package container

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"al.essio.dev/pkg/shellescape"

	"spindle/transports"
	"spindle/transports/become"
)

// dialer is one container to be entered.
type dialer struct {
	method, user, container string
	argv                    []string          // what the program's own words follow
	su                      []string          // in the container, what the program follows as one word; may be none
	env                     []string          // of the tool
	lead                    transports.Secret // what argv reads first
	timeout                 time.Duration
	loses                   bool     // the tool may lose the output of a program that ends soon
	hint                    string   // follows the lines of a tool that ended too early
	hidden                  []hidden // what no error shows
}

// hidden is a word that no error shows, and what it shows in its place.
type hidden struct{ word, shown string }

// made completes a dialer, unless there was a mistake in the settings.
func (s *Settings) made(d dialer) (transports.Dialer, error) {
	d.method, d.timeout = s.method, s.Timeout()
	if s.err != nil {
		return nil, s.err
	}
	return &d, nil
}

// Name is the name of the actor that stands for a user in a container.
func Name(method, user, container string) string {
	if user != "" {
		container = user + "@" + container
	}
	return method + ":" + container
}

func (d *dialer) Name() string           { return Name(d.method, d.user, d.container) }
func (d *dialer) Timeout() time.Duration { return d.timeout }

func (d *dialer) Dial(ctx context.Context, via transports.Spawner, p transports.Program) (*transports.Booted, error) {
	return d.plan(p.Argv).Dial(ctx, via, p)
}

// Plan is how the tool starts a program in the container.
func (d *dialer) Plan(_ context.Context, _ transports.Spawner, program []string) (transports.Plan, error) {
	return d.plan(program), nil
}

func (d *dialer) plan(program []string) transports.Plan {
	if d.su != nil {
		program = append(slices.Clone(d.su), become.CommandLine(program))
	}
	return transports.Plan{
		Command: transports.Command{Argv: slices.Concat(d.argv, program), Env: d.env},
		Script:  transports.Script{Lead: d.lead, Waits: d.loses, Timeout: d.timeout},
		How:     d.method,
		Explain: d.explain,
	}
}

// explain adds the hint to an error, and takes out what it must not show.
func (d *dialer) explain(err error) error {
	var ce *transports.ConnectError
	if !errors.As(err, &ce) {
		return err
	}
	e := *ce
	if d.hint != "" && strings.HasPrefix(e.Text, transports.TextEOF) {
		e.Text += "\n\n" + d.hint
	}
	if len(d.hidden) > 0 {
		var pairs []string
		for _, h := range d.hidden {
			pairs = append(pairs, shellescape.Quote(h.word), h.shown, h.word, h.shown)
		}
		mask := strings.NewReplacer(pairs...)
		e.Text = mask.Replace(e.Text)
		e.Lines = slices.Clone(e.Lines)
		for i, line := range e.Lines {
			e.Lines[i] = mask.Replace(line)
		}
	}
	return &e
}
