package su

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"

	"spindle/transports"
	"spindle/transports/become"
)

// Factory is the method "su". Its errors are *transports.ConnectError of the class BecomeFailed.
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
		Exe            []string           `json:"exe"`
		Password       transports.Secret  `json:"password"`
		Prompts        []string           `json:"prompts"`
		SuArgs         []string           `json:"su_args"`
		SuPath         string             `json:"su_path"`
		Username       string             `json:"username"`
	}
	if err := transports.ParseKwargs(kwargs, &k); err != nil {
		return nil, err
	}
	d := &dialer{exe: become.Exe(k.Exe, k.SuPath, "su"), user: k.Username, args: k.SuArgs, conversation: become.Conversation{
		Tool: "su", Password: k.Password, Timeout: k.ConnectTimeout.Or(transports.DefaultTimeout),
		Prompts: []*regexp.Regexp{become.PasswordPrompt(k.Prompts...)},
		Wrong:   wrong(), Refused: refused(), Silent: silent,
	}}
	if d.user == "" {
		d.user = "root"
	}
	if strings.HasPrefix(d.user, "-") {
		return nil, errors.New("su: a user's name must not begin with -: su would take it for an option")
	}
	return d, nil
}

func (d *dialer) Name() string           { return "su:" + d.user }
func (d *dialer) Timeout() time.Duration { return d.conversation.Timeout }

func (d *dialer) Dial(ctx context.Context, via transports.Spawner, p transports.Program) (*transports.Booted, error) {
	return d.plan(p.Argv).Dial(ctx, via, p)
}

func (d *dialer) Plan(_ context.Context, _ transports.Spawner, program []string) (transports.Plan, error) {
	return d.plan(program), nil
}

func (d *dialer) plan(program []string) transports.Plan {
	// A profile that the login shell reads may have set the terminal to its liking.
	return d.conversation.Plan(transports.Command{Argv: d.argv(become.Raw(program)), Mode: transports.FullTTY})
}

// argv is the whole command line; the user stands between the options and the command.
func (d *dialer) argv(program []string) []string {
	argv := append(d.exe[:len(d.exe):len(d.exe)], d.args...)
	return append(argv, d.user, "-c", become.CommandLine(program))
}
