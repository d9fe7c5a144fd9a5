package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"spindle/actors/census"
)

// multiplexer is one running multiplexer as "spindle tree --json" prints it. Only ever add to the names.
type multiplexer struct {
	PID     int           `json:"pid"`
	Owner   int           `json:"ansible_pid"`
	Version string        `json:"version"`
	Socket  string        `json:"socket"`
	Error   string        `json:"error,omitempty"`
	Nodes   []census.Node `json:"nodes"`
}

func newTreeCommand() *cobra.Command {
	var asJSON, pumps bool
	var timeout time.Duration
	var dirs []string
	cmd := &cobra.Command{
		Use:   "tree",
		Short: "Show the live supervision tree of every running multiplexer of this user",
		Long: `Show what every running multiplexer of this user is connected to, and what each of its parts is doing. There is one
multiplexer for each running ansible-playbook that uses Spindle.

Below "tree" stand the connections: each machine and account is a hop, each hop holds the interpreter that runs there, and
what is reached through it stands below. The columns:

    KIND, STATE   what it is, and what it says of itself
    QUEUE         messages waiting in front of it
    RESTARTS      how often it failed and was begun anew
    IN, OUT       bytes that came to it, and went from it
    AGE           since it was started
    NOTE          what it has been busy with for a while, and its last error

The tree is read without asking the parts themselves, so it shows a part that hangs, too.`,
		Example: "  spindle tree\n  spindle tree --json | jq '.[].nodes[] | select(.last_error)'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			named := len(dirs) > 0
			if !named {
				dirs = runDirectories()
			}
			found, err := findMultiplexers(ctx, dirs, named, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				encoder := json.NewEncoder(out)
				encoder.SetIndent("", "  ")
				return encoder.Encode(found)
			}
			if len(found) == 0 {
				fmt.Fprintf(out, "No multiplexer of yours is running (looked in %s).\n", strings.Join(dirs, " and "))
				return nil
			}
			p := painter{color: wantsColor(out), now: time.Now(), pumps: pumps}
			for i, one := range found {
				if i > 0 {
					fmt.Fprintln(out)
				}
				p.write(out, one)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, for programs")
	cmd.Flags().BoolVar(&pumps, "pumps", false, "show the goroutines that work for an actor, too")
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Second, "how long to wait for answers")
	cmd.Flags().StringSliceVar(&dirs, "dir", nil, "look for sockets in this directory, instead of $XDG_RUNTIME_DIR/spindle and /tmp/spindle-<uid>")
	return cmd
}

// findMultiplexers asks every socket, all at once. One that does not answer is told of on complaints, and is no error: others do. So is a
// directory that cannot be used, unless the user named it: anybody can make one in /tmp.
func findMultiplexers(ctx context.Context, dirs []string, named bool, complaints io.Writer) ([]multiplexer, error) {
	var asked []multiplexer
	for _, dir := range dirs {
		sockets, err := findSockets(dir)
		switch {
		case err != nil && named:
			return nil, err
		case err != nil:
			fmt.Fprintf(complaints, "spindle: skipped %s: %s\n", dir, err)
		}
		for _, socket := range sockets {
			asked = append(asked, multiplexer{Socket: socket, Owner: ownerOf(socket), Nodes: []census.Node{}})
		}
	}
	var all sync.WaitGroup
	for i := range asked {
		all.Go(func() {
			one := &asked[i]
			from, err := askJSON(ctx, one.Socket, "tree", &one.Nodes)
			one.PID, one.Version = from.PID, from.Version
			if err != nil {
				one.Error = err.Error()
			}
		})
	}
	all.Wait()
	answered := []multiplexer{}
	for _, one := range asked {
		if one.Error != "" {
			fmt.Fprintf(complaints, "spindle: skipped %s: %s\n", one.Socket, one.Error)
			continue
		}
		answered = append(answered, one)
	}
	return answered, nil
}

// wantsColor holds for a terminal whose user did not refuse colour (https://no-color.org).
func wantsColor(out io.Writer) bool {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}
