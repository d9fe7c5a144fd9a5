package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// sshOptions are the letters of ssh's options that take an argument (ssh(1), SYNOPSIS).
const sshOptions = "BbcDEeFIiJLlmOoPpQRSWw"

// rshFailed is the exit status of an error of its own, as ssh has it (ssh(1), EXIT STATUS).
const rshFailed = 255

// exitStatus makes the program end with a status that is not an error of its own.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// rshCall is what the command line of `spindle rsh` asks for.
type rshCall struct {
	socket, ticket string
	noInput        bool
	command        string
}

func newRshCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rsh --socket PATH --ticket TICKET [SSH-OPTION...] HOST COMMAND...",
		Short: "Run a command over a connection that is there, in the place of ssh",
		Long: `Run a command over a connection of a multiplexer, in the place of ssh, for programs that start ssh themselves.

The action spindle_rsh returns the words to use, with the ticket in them. The ticket says which host and account are
meant, so HOST and ssh's options are read past. Input, output, errors and the exit status are the command's.

    - spindle_rsh:
      register: way
    - ansible.builtin.command: rsync -a -e '{{ way.command }}' /srv/ {{ inventory_hostname }}:/srv/
      delegate_to: localhost
      become: false

synchronize needs none of it: its rsync is led over Spindle's connections by itself.`,
		DisableFlagParsing: true, // what follows is ssh's command line
		RunE: func(cmd *cobra.Command, args []string) error {
			call, err := parseRsh(args)
			if errors.Is(err, errHelp) {
				return cmd.Help()
			}
			if err != nil {
				return err
			}
			// Who reads the output may have enough of it, and still wants the exit status, as rsync does.
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
			var input io.Reader = os.Stdin
			if call.noInput {
				input = strings.NewReader("")
			}
			status, err := rsh(cmd.Context(), call, input, cmd.OutOrStdout(), cmd.ErrOrStderr())
			if err != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "spindle rsh:", err)
				status = rshFailed
			}
			if status != 0 {
				return exitStatus(status)
			}
			return nil
		},
	}
}

var errHelp = errors.New("help")

// parseRsh reads the command line: options of our own and of ssh, the host, and the rest as ssh takes it: words with blanks between.
func parseRsh(args []string) (rshCall, error) {
	var c rshCall
	own := map[string]*string{"--socket": &c.socket, "--ticket": &c.ticket}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		name, value, joined := strings.Cut(word, "=")
		if into := own[name]; into != nil {
			if !joined {
				if len(args) == 0 {
					return c, fmt.Errorf("%s wants a value", name)
				}
				value, args = args[0], args[1:]
			}
			*into = value
			continue
		}
		if word == "--help" || word == "-h" {
			return c, errHelp
		}
		if strings.HasPrefix(word, "--") {
			return c, fmt.Errorf("there is no option %s", word)
		}
		for i, letter := range word[1:] {
			c.noInput = c.noInput || letter == 'n'
			if strings.ContainsRune(sshOptions, letter) {
				if i == len(word)-2 && len(args) > 0 {
					args = args[1:]
				}
				break
			}
		}
	}
	switch {
	case c.socket == "" || c.ticket == "":
		return c, errors.New("--socket and --ticket are needed: use what the action spindle_rsh returns")
	case len(args) < 2:
		return c, errors.New("a host and a command are needed")
	}
	c.command = strings.Join(args[1:], " ")
	return c, nil
}

// rsh connects by the ticket, runs the command and returns its exit status.
func rsh(ctx context.Context, call rshCall, in io.Reader, out, errs io.Writer) (int, error) {
	c, err := openClient(ctx, call.socket)
	if err != nil {
		return 0, err
	}
	defer c.close()
	reply, err := c.connect(call.ticket)
	if err != nil {
		return 0, err
	}
	meta, err := json.Marshal(map[string]any{"command": call.command})
	if err != nil {
		return 0, err
	}
	return c.stream(ctx, reply, meta, in, out, errs)
}
