package sudo

import (
	"context"
	"encoding/json"
	"regexp"
	"time"

	"spindle/transports"
	"spindle/transports/become"
)

// Factory is the method "sudo". Its errors are *transports.ConnectError of the class BecomeFailed.
func Factory(kwargs json.RawMessage) (transports.Dialer, error) {
	d, err := parse(kwargs)
	if err != nil {
		return nil, become.Refuse(err)
	}
	return d, nil
}

// dialer is one account to be reached.
type dialer struct {
	settings     settings
	dir          string // where sudo is started, and the account's programs after it; empty for where the spawner's are
	conversation become.Conversation
}

func parse(kwargs json.RawMessage) (*dialer, error) {
	var k struct {
		Chdir          string             `json:"chdir"`
		ConnectTimeout transports.Seconds `json:"connect_timeout"`
		Exe            []string           `json:"exe"`
		Password       transports.Secret  `json:"password"`
		SudoArgs       []string           `json:"sudo_args"`
		SudoPath       string             `json:"sudo_path"`
		Username       string             `json:"username"`
	}
	if err := transports.ParseKwargs(kwargs, &k); err != nil {
		return nil, err
	}
	s := settings{exe: become.Exe(k.Exe, k.SudoPath, "sudo")}
	if err := s.parse(k.SudoArgs); err != nil {
		return nil, err
	}
	if k.Username != "" {
		s.user = k.Username
	}
	if s.user == "" {
		s.user = "root"
	}
	return &dialer{s, k.Chdir, become.Conversation{
		Tool: "sudo", Password: k.Password, Timeout: k.ConnectTimeout.Or(transports.DefaultTimeout),
		Prompts: []*regexp.Regexp{asks()}, Unless: framed(), Wrong: wrong(), Others: true, Refused: refused(), Silent: silent,
	}}, nil
}

func (d *dialer) Name() string           { return "sudo:" + d.settings.user }
func (d *dialer) Timeout() time.Duration { return d.conversation.Timeout }

func (d *dialer) Dial(ctx context.Context, via transports.Spawner, p transports.Program) (*transports.Booted, error) {
	return d.plan(p.Argv).Dial(ctx, via, p)
}

func (d *dialer) Plan(_ context.Context, _ transports.Spawner, program []string) (transports.Plan, error) {
	return d.plan(program), nil
}

func (d *dialer) plan(program []string) transports.Plan {
	return d.conversation.Plan(transports.Command{Argv: d.settings.argv(program), Dir: d.dir, Mode: transports.ControlTTY})
}
