package parity

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Playbook is one file of the parity playbooks, and how it wants to be run. Comments at its beginning say so, one setting a line:
//
//	# parity: alone                          in a run of its own: it ends with a failure, or leaves the machines in disorder
//	# parity: args=--check --diff            more arguments
//	# parity: stdin="y\nc\n"                 what can be read from standard input, as a Go string
//	# parity: terminal                       on a terminal
//	# parity: strategies=linear,free         under each of these; linear is the default
//	# parity: also=free,host_pinned          and under these in make soak
//	# parity: versions>=2.15                 not with an older ansible-core
//	# parity: versions<2.20                  not with this one or a newer one
//	# parity: python>=3.9                    not where web2 has an older Python
//	# parity: env=ANSIBLE_KEEP_REMOTE_FILES=1
//	# parity: config=pipelining=False        a setting of [defaults], or of [ssh_connection] where it is one; without a value it is left out
//	# parity: fails                          it ends with another exit code than 0
//	# parity: soak                           only in make soak, and where a version or a Python is asked for: others show the same in less time
//
// All but strategies, also, versions, Pythons and soak make it run alone.
type Playbook struct {
	Path       string // as it was found
	Theme      string // the name of its directory
	Name       string // without the ending
	Alone      bool
	Terminal   bool
	Stdin      string
	Fails      bool
	Soak       bool
	Args, Env  []string
	Config     map[string]string
	Strategies []string
	Also       []string // strategies, in make soak

	atLeast, below int  // versions as minor numbers; 0 is no limit
	python         int  // 309 is 3.9; 0 is no limit
	chosen         bool // it names its strategies itself
}

// Load reads how a playbook wants to be run.
func Load(path string) (Playbook, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Playbook{}, err
	}
	p := Playbook{
		Path: path, Theme: filepath.Base(filepath.Dir(path)), Name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)),
		Strategies: []string{"linear"}, Config: map[string]string{},
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "#") {
			break
		}
		if setting, ok := strings.CutPrefix(line, "# parity: "); ok {
			if err := p.set(setting); err != nil {
				return Playbook{}, fmt.Errorf("%s: %q: %w", path, line, err)
			}
		}
	}
	return p, nil
}

func (p *Playbook) set(setting string) error {
	for op, at := range map[string]*int{"versions>=": &p.atLeast, "versions<": &p.below} {
		if v, ok := strings.CutPrefix(setting, op); ok {
			n, err := minor(v)
			*at = n
			return err
		}
	}
	if v, ok := strings.CutPrefix(setting, "python>="); ok {
		n, err := python(v)
		p.python = n
		return err
	}
	key, value, _ := strings.Cut(setting, "=")
	if key == "strategies" {
		p.Strategies, p.chosen = strings.Split(value, ","), true
		return nil
	}
	if key == "also" {
		p.Also = strings.Split(value, ",")
		return nil
	}
	if key == "soak" {
		p.Soak = true
		return nil
	}
	p.Alone = true
	var err error
	switch key {
	case "alone":
	case "terminal":
		p.Terminal = true
	case "args":
		p.Args = append(p.Args, strings.Fields(value)...)
	case "env":
		p.Env = append(p.Env, value)
	case "config":
		k, v, _ := strings.Cut(value, "=")
		p.Config[k] = v
	case "stdin":
		p.Stdin, err = strconv.Unquote(value)
	case "fails":
		p.Fails = true
	default:
		err = fmt.Errorf("no such setting")
	}
	return err
}

// minor is the number behind the point of a version of ansible-core.
func minor(version string) (int, error) {
	_, after, ok := strings.Cut(version, "2.")
	n, err := strconv.Atoi(after)
	if !ok || err != nil {
		return 0, fmt.Errorf("%q is no version of ansible-core", version)
	}
	return n, nil
}

// python is a version of Python as one number.
func python(version string) (int, error) {
	var a, b int
	if n, err := fmt.Sscanf(version, "%d.%d", &a, &b); n != 2 || err != nil {
		return 0, fmt.Errorf("%q is no version of Python", version)
	}
	return 100*a + b, nil
}

// Under chooses the strategies of a run: one that was asked for, where the playbook does not name others; or all that it has, or those of every run.
func (p *Playbook) Under(asked string, all bool) {
	every := append(slices.Clone(p.Strategies), p.Also...)
	switch {
	case asked != "" && (!p.chosen || slices.Contains(every, asked)):
		p.Strategies = []string{asked}
	case asked != "":
		p.Strategies = nil
	case all:
		p.Strategies = every
	}
}

// Finds says whether the playbook is meant for a Python on web2.
func (p Playbook) Finds(version string) bool {
	n, err := python(version)
	return err == nil && n >= p.python
}

// Runs says whether the playbook is meant for a version of ansible-core.
func (p Playbook) Runs(version string) bool {
	n, err := minor(version)
	return err == nil && n >= p.atLeast && (p.below == 0 || n < p.below)
}

// LoadAll reads the playbooks of every theme below a directory, in order.
func LoadAll(dir string) ([]Playbook, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*.yml"))
	if err != nil {
		return nil, err
	}
	var out []Playbook
	for _, path := range paths {
		if strings.HasPrefix(filepath.Base(path), "_") {
			continue // imported by another
		}
		p, err := Load(path)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// Batch is what one ansible-playbook runs: one playbook that must be alone, or several of a theme.
type Batch struct {
	Name      string
	Strategy  string
	Playbooks []Playbook
}

// Batches groups the playbooks of a theme that run with a version. With each, every playbook has a run of its own: to look for what differs.
func Batches(theme []Playbook, version string, each bool) []Batch {
	var out []Batch
	for _, p := range theme {
		if !p.Runs(version) {
			continue
		}
		for _, strategy := range p.Strategies {
			name := strategy
			if p.Alone || each {
				name = p.Name + "," + strategy
			}
			i := slices.IndexFunc(out, func(b Batch) bool { return b.Name == name })
			if i < 0 {
				i, out = len(out), append(out, Batch{Name: name, Strategy: strategy})
			}
			out[i].Playbooks = append(out[i].Playbooks, p)
		}
	}
	return out
}
