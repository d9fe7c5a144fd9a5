package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"spindle/ansiblebridge"
)

func newPluginsCommand() *cobra.Command {
	var action, callback bool
	cmd := &cobra.Command{
		Use:   "plugins",
		Short: "Unpack the Ansible plugins and print the directory for strategy_plugins",
		Long: `Unpack the Ansible plugins that this program carries, and print the directory to name in ansible.cfg:

    [defaults]
    strategy_plugins = <that directory>
    strategy = mitogen_linear

They go below $XDG_DATA_HOME/spindle, or ~/.local/share/spindle if that is not set, into a directory named by version and
content. Calling it again changes nothing, except that the plugins will use the program it was called with. Call it again
after an upgrade, or in scripts:

    ANSIBLE_STRATEGY_PLUGINS=$(spindle plugins) ANSIBLE_STRATEGY=mitogen_linear ansible-playbook site.yml

Playbooks that name mitogen_get_stack need a third line, with what --action prints:

    action_plugins = <that directory>

Where strategy plugins are not wanted (ansible-core 2.19 and later warn of them), a callback plugin, with what --callback
prints, does the same under the stock strategies linear, free and host_pinned:

    [defaults]
    callback_plugins = <that directory>
    callbacks_enabled = spindle`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := unpackPlugins()
			if err != nil {
				return err
			}
			sub := ansiblebridge.StrategyDir
			switch {
			case action:
				sub = ansiblebridge.ActionDir
			case callback:
				sub = ansiblebridge.CallbackDir
			}
			fmt.Fprintln(cmd.OutOrStdout(), filepath.Join(dir, sub))
			return nil
		},
	}
	cmd.Flags().BoolVar(&action, "action", false, "print the directory for action_plugins instead")
	cmd.Flags().BoolVar(&callback, "callback", false, "print the directory for callback_plugins instead")
	cmd.MarkFlagsMutuallyExclusive("action", "callback")
	return cmd
}

func unpackPlugins() (string, error) {
	base, err := dataDirectory()
	if err != nil {
		return "", err
	}
	binary, err := ownPath()
	if err != nil {
		return "", err
	}
	dir, err := ansiblebridge.Unpack(base, version(), binary)
	if err != nil {
		return "", fmt.Errorf("unpack the plugins: %w (set XDG_DATA_HOME to a directory that you may write to)", err)
	}
	return dir, nil
}

// dataDirectory is where this user's data of Spindle goes.
func dataDirectory() (string, error) {
	if data := os.Getenv("XDG_DATA_HOME"); data != "" {
		if !filepath.IsAbs(data) {
			return "", fmt.Errorf("XDG_DATA_HOME is %q, which is no absolute path: set it to one, or unset it", data)
		}
		return filepath.Join(data, "spindle"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil { // a service of the system's has none
		if account, e := user.Current(); e == nil {
			home, err = account.HomeDir, nil
		}
	}
	if err != nil || !filepath.IsAbs(home) {
		return "", errors.New("neither XDG_DATA_HOME nor HOME is set, and the account has no home directory: set XDG_DATA_HOME to the directory that the plugins may go to")
	}
	return filepath.Join(home, ".local", "share", "spindle"), nil
}

// ownPath is the file of this program, with links resolved: the plugins of one version should not start another one because a link moved.
func ownPath() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program's own file: %w", err)
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved, nil
	}
	return "", fmt.Errorf("this program's file, %s, was replaced or removed while it ran: call the new one", strings.TrimSuffix(path, " (deleted)"))
}
