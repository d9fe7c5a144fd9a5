package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"spindle/bootstrap"
	"spindle/transports/wire"
)

// release is the version of this source. The Makefile leaves it alone: a build's commit is told beside it.
const release = "0.1.0"

// commit is set by the Makefile (-ldflags -X main.commit=…). It is empty where nobody knew it.
var commit string

// version is what this program calls itself, to people and on the wire.
func version() string { return release }

// builtFrom is the commit, from the linker or from what the go command recorded, or nothing.
func builtFrom() string {
	if commit != "" {
		return commit
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	revision, modified := "", ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			revision = setting.Value[:min(12, len(setting.Value))]
		case setting.Key == "vcs.modified" && setting.Value == "true":
			modified = "+changes"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + modified
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show what this is",
		Long:  "Show the version, what it was built from and with, the version of the wire protocol, and the size of the agent as it is sent to a target.",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			out := cmd.OutOrStdout()
			fmt.Fprintln(out, "spindle", version())
			if from := builtFrom(); from != "" {
				fmt.Fprintln(out, "commit  ", from)
			}
			fmt.Fprintf(out, "go       %s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
			fmt.Fprintln(out, "protocol", wire.Proto)
			fmt.Fprintf(out, "agent    %d bytes packed, %s\n", bootstrap.PackedSize(), bootstrap.AgentDigest().String()[:12])
		},
	}
}
