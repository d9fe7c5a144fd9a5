package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Engine is one way to run a playbook.
type Engine struct {
	Name     string   // short, as in flags and JSON: "stock", "mitogen", "spindle"
	Title    string   // for people
	Version  string   // for people too, if it is known
	Strategy string   // the strategy to set
	Plugins  string   // directory for strategy_plugins, or nothing
	Env      []string // what its processes need beside the common environment
	// Patience is how long its daemons may take to end by themselves after a run. Stock Ansible's SSH masters would stay a minute.
	Patience time.Duration
}

// patience is enough for any multiplexer to notice that its run has ended.
const patience = 5 * time.Second

// Stock is Ansible as it comes.
func Stock() Engine {
	return Engine{Name: "stock", Title: "stock Ansible", Strategy: "linear"}
}

// mitogenPlaces are where distributions put Mitogen's strategies.
var mitogenPlaces = []string{
	"/usr/lib/python3/dist-packages/ansible_mitogen/plugins/strategy",
	"/usr/share/ansible/plugins/mitogen/strategy",
}

// ErrNoMitogen says that Mitogen for Ansible is not installed where distributions put it.
var ErrNoMitogen = errors.New("mitogen for Ansible is not installed (Debian: apt-get install ansible-mitogen)")

// Mitogen is the original: what is unpacked below a directory as benchmarks/mitogen.sh does it, or the distribution's if that is empty.
func Mitogen(dir string) (Engine, error) {
	e := Engine{Name: "mitogen", Title: "Mitogen", Strategy: "mitogen_linear", Patience: patience}
	places := mitogenPlaces
	if dir != "" {
		packages, err := filepath.Abs(filepath.Join(dir, "usr/lib/python3/dist-packages"))
		if err != nil {
			return Engine{}, err
		}
		places = []string{filepath.Join(packages, "ansible_mitogen/plugins/strategy")}
		e.Env = []string{"PYTHONPATH=" + packages}
		if version, err := os.ReadFile(filepath.Join(dir, "version")); err == nil {
			e.Version = strings.Join(strings.Split(strings.TrimSpace(string(version)), "\n"), ", ")
		}
	}
	for _, place := range places {
		if _, err := os.Stat(filepath.Join(place, "mitogen_linear.py")); err == nil {
			e.Plugins = place
			return e, nil
		}
	}
	return Engine{}, ErrNoMitogen
}

// Spindle is the given binary, with its plugins unpacked below dir.
func Spindle(ctx context.Context, binary, dir string) (Engine, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return Engine{}, err
	}
	data, runtime := filepath.Join(dir, "data"), filepath.Join(dir, "rt")
	if err := os.MkdirAll(runtime, 0o700); err != nil {
		return Engine{}, err
	}
	e := Engine{
		Name:     "spindle",
		Title:    "Spindle",
		Strategy: "mitogen_linear",
		Patience: patience,
		Env:      []string{"XDG_DATA_HOME=" + data, "XDG_RUNTIME_DIR=" + runtime, "SPINDLE_BINARY=" + binary},
	}
	cmd := exec.CommandContext(ctx, binary, "plugins")
	cmd.Env = append(os.Environ(), e.Env...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return Engine{}, fmt.Errorf("run %s plugins: %w: %s", binary, err, strings.TrimSpace(complaints.String()))
	}
	e.Plugins = strings.TrimSpace(string(out))
	return e, nil
}
