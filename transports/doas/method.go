package doas

import (
	"context"
	"encoding/json"
	"regexp"
	"time"

	"spindle/transports"
	"spindle/transports/become"
)

// Factory is the method "doas". Its errors are *transports.ConnectError of the class BecomeFailed.
func Factory(kwargs json.RawMessage) (transports.Dialer, error) {
	d, err := parse(kwargs)
	if err != nil {
		return nil, become.Refuse(err)
	}
	return d, nil
}

// dialer is one account to be reached.
type dialer struct {
	exe, args    []string
	user         string
	conversation become.Conversation
}

func parse(kwargs json.RawMessage) (*dialer, error) {
	var k struct {
		ConnectTimeout transports.Seconds `json:"connect_timeout"`
		DoasArgs       []string           `json:"doas_args"`
		DoasPath       string             `json:"doas_path"`
		Exe            []string           `json:"exe"`
		Password       transports.Secret  `json:"password"`
		Prompts        []string           `json:"prompts"`
		Username       string             `json:"username"`
	}
	if err := transports.ParseKwargs(kwargs, &k); err != nil {
		return nil, err
	}
	d := &dialer{exe: become.Exe(k.Exe, k.DoasPath, "doas"), user: k.Username, conversation: become.Conversation{
		Tool: "doas", Password: k.Password, Timeout: k.ConnectTimeout.Or(transports.DefaultTimeout),
		Prompts: []*regexp.Regexp{become.PasswordPrompt(k.Prompts...)},
		Wrong:   wrong(), Missing: missing(), Refused: refused(), Silent: silent,
	}}
	if d.user == "" {
		d.user = "root"
	}
	for _, arg := range k.DoasArgs {
		if arg != "-n" { // the conversation on a terminal takes its place
			d.args = append(d.args, arg)
		}
	}
	return d, nil
}

func (d *dialer) Name() string           { return "doas:" + d.user }
func (d *dialer) Timeout() time.Duration { return d.conversation.Timeout }

func (d *dialer) Dial(ctx context.Context, via transports.Spawner, p transports.Program) (*transports.Booted, error) {
	return d.plan(p.Argv).Dial(ctx, via, p)
}

func (d *dialer) Plan(_ context.Context, _ transports.Spawner, program []string) (transports.Plan, error) {
	return d.plan(program), nil
}

func (d *dialer) plan(program []string) transports.Plan {
	return d.conversation.Plan(transports.Command{Argv: d.argv(program), Mode: transports.ControlTTY})
}

// argv is the whole command line.
func (d *dialer) argv(program []string) []string {
	argv := append(d.exe[:len(d.exe):len(d.exe)], d.args...)
	argv = append(argv, "-u", d.user, "--")
	return append(argv, program...)
}
