package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments. It returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	if len(args) == 0 || args[0] != "serve" { // which has its own rules for signals
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
	}
	err := root.ExecuteContext(ctx)
	if status, ok := errors.AsType[exitStatus](err); ok {
		return int(status)
	}
	if err != nil {
		fmt.Fprintln(stderr, "spindle:", err)
		return 1
	}
	return 0
}

const about = `Spindle makes Ansible faster. Playbooks, inventories and modules stay as they are: Spindle replaces how
work travels to the targets. One multiplexer beside ansible-playbook keeps one connection to each machine, and
a small agent there runs modules from memory, so that a task costs one round trip instead of several
connections, uploads and Python starts.

Add two lines to ansible.cfg, and run ansible-playbook as ever:

    [defaults]
    strategy_plugins = <what "spindle plugins" prints>
    strategy = mitogen_linear

Nothing has to be installed on the targets but Python, 2.7 or 3.5 and later. What Spindle cannot do itself goes the
stock way, with one warning. To go back, remove the lines.

While a playbook runs, "spindle tree" shows what is connected and what each part is doing.`

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "spindle",
		Short:         "Makes Ansible faster: a multiplexer for its connections",
		Long:          about,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.AddCommand(newPluginsCommand(), newTreeCommand(), newVersionCommand(), newExplainCommand(), newServeCommand(), newRshCommand())
	return root
}
