package become

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"spindle/transports"
)

// Factory is the method "become". Its errors are *transports.ConnectError of the class BecomeFailed.
func Factory(kwargs json.RawMessage) (transports.Dialer, error) {
	d, err := parse(kwargs)
	if err != nil {
		return nil, Refuse(err)
	}
	return d, nil
}

// Refuse makes the error of a become method's factory of err, with err's text.
func Refuse(err error) error {
	return &transports.ConnectError{Class: transports.BecomeFailed, Text: err.Error(), Err: errors.Unwrap(err)}
}

// Exe is the program of a become method, with the words that stand before its own arguments: users put a whole command there, such as
// "sudo su -". Its path is all there is, where nobody took that apart, and its name where nothing is set.
func Exe(words []string, path, name string) []string {
	switch {
	case len(words) > 0:
		return words
	case path != "":
		return []string{path}
	}
	return []string{name}
}

// success is what a plugin's command says when it has become somebody, without the random word that Ansible puts behind it: the command
// comes without.
const success = "BECOME-SUCCESS"

// dialer is one account to be reached.
type dialer struct {
	plugin, user, command string
	password              transports.Secret
	prompts               []*regexp.Regexp
	failures, missing     []string
	pipes                 bool
	timeout               time.Duration
}

func parse(kwargs json.RawMessage) (*dialer, error) {
	var k struct {
		ConnectTimeout transports.Seconds `json:"connect_timeout"`
		Plugin         string             `json:"plugin"`
		Command        string             `json:"command"`
		Username       string             `json:"username"`
		Password       transports.Secret  `json:"password"`
		Prompts        []string           `json:"prompts"`
		Failures       []string           `json:"failures"`
		Missing        []string           `json:"missing"`
		TTY            *bool              `json:"tty"`
	}
	if err := transports.ParseKwargs(kwargs, &k); err != nil {
		return nil, err
	}
	d := &dialer{
		plugin: k.Plugin[strings.LastIndexByte(k.Plugin, '.')+1:], user: k.Username, command: k.Command, password: k.Password,
		failures: k.Failures, missing: k.Missing, pipes: k.TTY != nil && !*k.TTY, timeout: k.ConnectTimeout.Or(transports.DefaultTimeout),
	}
	if d.plugin == "" {
		d.plugin = "become"
	}
	if err := d.check(k.Prompts); err != nil {
		return nil, fmt.Errorf("become plugin %s: %w", d.plugin, err)
	}
	return d, nil
}

// check tries what is not needed before the dial, so that what is wrong is known before.
func (d *dialer) check(prompts []string) error {
	if _, err := place(d.command, []string{"sh", "-c", ""}); err != nil {
		return err
	}
	for _, text := range prompts {
		if strings.TrimSpace(text) == "" {
			continue // it would match everything
		}
		p, err := promptPattern(strings.TrimSpace(text))
		if err != nil {
			return err
		}
		d.prompts = append(d.prompts, p)
	}
	if d.prompts == nil {
		d.prompts = []*regexp.Regexp{PasswordPrompt()}
	}
	return nil
}

// Name leaves out the account where the plugin does.
func (d *dialer) Name() string {
	if d.user == "" {
		return d.plugin
	}
	return d.plugin + ":" + d.user
}

func (d *dialer) Timeout() time.Duration { return d.timeout }

func (d *dialer) Dial(ctx context.Context, via transports.Spawner, p transports.Program) (*transports.Booted, error) {
	plan, err := d.Plan(ctx, via, p.Argv)
	if err != nil {
		return nil, err
	}
	return plan.Dial(ctx, via, p)
}

func (d *dialer) Plan(_ context.Context, _ transports.Spawner, program []string) (transports.Plan, error) {
	c, err := d.launch(program)
	if err != nil {
		return transports.Plan{}, Refuse(err)
	}
	return d.conversation().Plan(c), nil
}

// launch is the plugin's command with program in it.
func (d *dialer) launch(program []string) (transports.Command, error) {
	mode := transports.Pipes
	if !d.pipes {
		mode = transports.FullTTY
		program = Raw(program)
	}
	text, err := place(d.command, program)
	return transports.Command{Argv: []string{"/bin/sh", "-c", text}, Mode: mode}, err
}

func (d *dialer) conversation() Conversation {
	c := Conversation{
		Tool: d.plugin, Password: d.password, Timeout: d.timeout, Prompts: d.prompts,
		Wrong: containing(d.failures), Missing: containing(d.missing),
	}
	if c.Wrong == nil {
		// A plugin that does not know what a wrong password looks like: it ends before Ansible's word that all went well.
		c.Silent = func(said []string) bool { return !strings.Contains(strings.Join(said, "\n"), success) }
	}
	return c
}
