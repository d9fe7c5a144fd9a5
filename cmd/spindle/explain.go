package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"spindle/ansiblebridge"
	"spindle/transports"
	"spindle/transports/ssh"
)

// explanation is what the action spindle_explain writes for one host.
type explanation struct {
	Host  string         `json:"host"`
	Hops  []explainedHop `json:"hops,omitempty"`
	Stock string         `json:"stock,omitempty"` // the connection type that Ansible itself makes
	Why   string         `json:"why,omitempty"`   // what Spindle does not do of it, where it knows the type
	Error string         `json:"error,omitempty"`
}

type explainedHop struct {
	Host         string            `json:"host"`
	Method       string            `json:"method"`
	Kwargs       map[string]any    `json:"kwargs"`
	Origins      map[string]string `json:"origins"`
	Python       []string          `json:"python"`
	PythonOrigin string            `json:"python_origin"`
	Name         string            `json:"name,omitempty"`
	How          string            `json:"how,omitempty"`
	Why          string            `json:"why,omitempty"`
	Path         []string          `json:"path,omitempty"` // the SSH servers passed through, the host itself last
}

func newExplainCommand() *cobra.Command {
	var asJSON bool
	var inventory, extra []string
	cmd := &cobra.Command{
		Use:   "explain PATTERN [-- more arguments for ansible]",
		Short: "Show how hosts are reached, and where each setting comes from",
		Long: `Show the hops that lead to the hosts of a pattern, from the nearest to the farthest: their settings, where each of them was
set, and for SSH whether the built-in client or the ssh program makes the connection, and why. Nothing is connected to.

The inventory and ansible.cfg are read by ansible itself, so what is found is what a playbook gets; only what stands in
plays and tasks is not known here. Arguments behind -- are handed to ansible, for instance to become somebody:

    spindle explain web1 -i production -- --become --become-user postgres`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, i := range inventory {
				extra = append(extra, "-i", i)
			}
			found, err := explain(cmd.Context(), cmd.ErrOrStderr(), append(append(args[:1:1], extra...), args[1:]...))
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(found)
			}
			for _, e := range found {
				e.print(cmd.OutOrStdout())
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVarP(&inventory, "inventory", "i", nil, "inventory file, directory or host list, as for ansible")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// explain asks ansible, with the given arguments, for the hops of hosts, and adds what only this program knows.
func explain(ctx context.Context, stderr io.Writer, args []string) (_ []explanation, err error) {
	ansible, err := exec.LookPath("ansible")
	if err != nil {
		return nil, errors.New("the ansible program was not found: put it into PATH")
	}
	plugins, err := unpackPlugins()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "spindle-explain-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	answers := filepath.Join(dir, "answers")
	cmd := exec.CommandContext(ctx, ansible, append(args, "-m", "spindle_explain")...)
	cmd.Env = append(os.Environ(), "SPINDLE_EXPLAIN="+answers, "ANSIBLE_STRATEGY=mitogen_linear",
		"ANSIBLE_STRATEGY_PLUGINS="+filepath.Join(plugins, ansiblebridge.StrategyDir),
		"ANSIBLE_ACTION_PLUGINS="+filepath.Join(plugins, ansiblebridge.ActionDir))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, io.MultiWriter(stderr, &said)
	failed := cmd.Run()
	content, err := os.ReadFile(answers)
	if err != nil {
		if failed == nil {
			failed = errors.New("no host matches")
		}
		return nil, fmt.Errorf("ansible gave no answer: %w\n%s", failed, strings.TrimSpace(said.String()))
	}
	var found []explanation
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e explanation
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("ansible's answer: %w", err)
		}
		e.reach(ctx)
		found = append(found, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("ansible's answer: %w", err)
	}
	slices.SortFunc(found, func(a, b explanation) int { return strings.Compare(a.Host, b.Host) })
	return found, nil
}

// reach adds the names of the hops, and how SSH connections would be made.
func (e *explanation) reach(ctx context.Context) {
	known := factories()
	for i := range e.Hops {
		h := &e.Hops[i]
		h.Name, h.How = h.Method, h.Method
		kwargs, err := json.Marshal(h.Kwargs)
		factory := known[h.Method]
		if err != nil || factory == nil {
			continue
		}
		dialer, err := factory(kwargs)
		if err != nil {
			h.How, h.Why = "wrong", err.Error()
			continue
		}
		h.Name = dialer.Name()
		h.reach(ctx, i == 0, dialer)
	}
}

func (h *explainedHop) reach(ctx context.Context, first bool, dialer transports.Dialer) {
	d, ok := dialer.(*ssh.Dialer)
	switch {
	case !ok:
	case !first:
		h.How, h.Why = "ssh program", "it runs on the machine before it"
	default:
		plan, err := d.Explain(ctx)
		switch {
		case err != nil:
			h.How, h.Why = "wrong", err.Error()
		case plan.How == ssh.Native:
			h.How, h.Why = "built-in client", plan.Why
		default:
			h.How, h.Why = "ssh program", plan.Why
		}
	}
}

func (e explanation) print(w io.Writer) {
	fmt.Fprintln(w, e.Host)
	switch {
	case e.Error != "":
		fmt.Fprintf(w, "  %s\n", e.Error)
	case e.Why != "":
		fmt.Fprintf(w, "  goes Ansible's own way: %s is not supported yet\n", e.Why)
	case e.Stock != "":
		fmt.Fprintf(w, "  goes Ansible's own way: Spindle does not know the connection type %s\n", e.Stock)
	}
	for i, h := range e.Hops {
		fmt.Fprintf(w, "  %d. %s", i+1, h.Name)
		if h.How != h.Method {
			fmt.Fprintf(w, " by the %s", h.How)
		}
		if h.Why != "" {
			fmt.Fprintf(w, ": %s", h.Why)
		}
		fmt.Fprintln(w)
		if h.Host != e.Host {
			fmt.Fprintf(w, "     %-20s %s\n", "of the host", h.Host)
		}
		if len(h.Path) > 1 {
			fmt.Fprintf(w, "     %-20s %s\n", "jumps", strings.Join(h.Path, " -> "))
		}
		fmt.Fprintf(w, "     %-20s %-40s %s\n", "python", strings.Join(h.Python, ", "), h.PythonOrigin)
		for _, key := range slices.Sorted(maps.Keys(h.Kwargs)) {
			if text := asText(h.Kwargs[key]); text != "" {
				fmt.Fprintf(w, "     %-20s %-40s %s\n", key, text, h.Origins[key])
			}
		}
	}
}

// asText is a setting's value for people; nothing for one that is not set.
func asText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		words := make([]string, len(v))
		for i, w := range v {
			words[i] = asText(w)
		}
		return strings.Join(words, " ")
	}
	return fmt.Sprint(v)
}
