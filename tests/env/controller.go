package env

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Operator is the account that runs ansible-playbook on a controller, and its home.
const (
	Operator = "ops"
	home     = "/home/ops"
	// PlayDir is where a controller keeps the playbooks, and where it runs.
	PlayDir = home + "/play"
)

// Version is one ansible-core that everything has to work with.
type Version struct {
	Name string // 2.14
	root string // the Debian root that carries it
}

// Versions are the ansible-core of Debian 12, Debian 13 and sid.
var Versions = []Version{{"2.14", "bookworm"}, {"2.19", "trixie"}, {"2.22", "sid"}}

// Oldest is the ansible of Debian 11, from before ansible-core was called so.
var Oldest = Version{"2.10", "bullseye"}

// WithEngines is a controller's version on a root that also has every container engine.
var WithEngines = Version{"2.19", "engines"}

// Root returns the root file system that carries this version.
func (v Version) Root(t testing.TB) string {
	t.Helper()
	return RootOf(t, v.root)
}

// Controller is the machine that runs ansible-playbook, as an ordinary user with a home of its own.
type Controller struct {
	*Machine
	Version Version
	plugins map[string]string // what spindle plugins printed, once asked, by user
}

// Controller starts a controller with one version of Ansible on the switch. It has the playbooks of tests/playbooks in PlayDir, the
// private key in ~/.ssh, and the hosts in its known_hosts.
func (l *Lab) Controller(t testing.TB, v Version, hosts ...*Host) *Controller {
	t.Helper()
	keys := userKeys(t)
	c := &Controller{Version: v, plugins: map[string]string{}}
	var inner *layer
	if v == WithEngines {
		inner = layerOf(t, v.Root(t), "target")
	}
	c.Machine = l.start(t, machineSpec{
		name:  "controller-" + v.Name,
		layer: layerOf(t, v.Root(t), "controller"),
		inner: inner,
		argv:  []string{"/bin/sh", "-c", "echo ready >&2; while :; do " + reaperSleep + " & wait; done"},
		up:    "ready",
	})
	known := ""
	for _, h := range hosts {
		known += h.KnownKey + "\n"
	}
	c.Write(t, home+"/.ssh/id_ed25519", string(keys.private), 0o600)
	c.Write(t, home+"/.ssh/id_encrypted", string(keys.encrypted), 0o600)
	c.Write(t, home+"/.ssh/known_hosts", known, 0o644)
	c.put(t, "/root/.ssh/id_ed25519", string(keys.private), 0o600)
	c.put(t, "/root/.ssh/known_hosts", known, 0o644)
	c.copyTree(t, filepath.Join(repository(t), "tests/playbooks"), PlayDir)
	c.Write(t, PlayDir+"/library/tour_binary", string(binaryModule(t)), 0o755)
	return c
}

// Write puts a file on the controller, owned by the operator.
func (c *Controller) Write(t testing.TB, path, text string, mode fs.FileMode) {
	t.Helper()
	u, err := c.lookup(Operator)
	if err != nil {
		t.Fatal(err)
	}
	var uid, gid int
	fmt.Sscan(u.uid, &uid)
	fmt.Sscan(u.gid, &gid)
	dir := filepath.Dir(path)
	var fresh []string
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(c.Root() + d); err == nil {
			break
		}
		fresh = append(fresh, d)
	}
	if err := os.MkdirAll(c.Root()+dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Root()+path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	for _, p := range append(fresh, path) {
		if err := os.Chown(c.Root()+p, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(c.Root()+path, mode); err != nil {
		t.Fatal(err)
	}
}

// Put copies a directory of this machine to the controller, for the operator.
func (c *Controller) Put(t testing.TB, from, to string) {
	t.Helper()
	c.copyTree(t, from, to)
}

func (c *Controller) copyTree(t testing.TB, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		c.Write(t, to+strings.TrimPrefix(path, from), string(b), info.Mode().Perm())
		return nil
	})
	if err != nil {
		t.Fatalf("playbooks: %v", err)
	}
}

// Known replaces the operator's known_hosts.
func (c *Controller) Known(t testing.TB, lines ...string) {
	t.Helper()
	c.Write(t, home+"/.ssh/known_hosts", strings.Join(lines, "\n")+"\n", 0o644)
}

// InstallSpindle puts the binary on the controller's PATH, as a user would, and returns the directory for strategy_plugins.
func (c *Controller) InstallSpindle(t testing.TB) string {
	t.Helper()
	return c.installFor(t, Operator)
}

func (c *Controller) installFor(t testing.TB, user string) string {
	t.Helper()
	if dir, ok := c.plugins[user]; ok {
		return dir
	}
	const path = "/usr/local/bin/spindle"
	// Not by this process: a child that it forks meanwhile would have the file open for writing for a moment, and nobody could run it.
	if out, err := exec.Command("install", "-m", "0755", Binary(t), c.Root()+path).CombinedOutput(); err != nil {
		t.Fatalf("install: %v: %s", err, out)
	}
	o := c.ExecAs(t, user, path, "plugins")
	if o.Code != 0 || !strings.Contains(o.Stdout, "/") {
		t.Fatalf("spindle plugins ended with %d: %q %q", o.Code, o.Stdout, o.Stderr)
	}
	c.plugins[user] = strings.TrimSpace(o.Stdout)
	return c.plugins[user]
}

// Ours says whether a strategy is one of Spindle's.
func Ours(strategy string) bool { return strings.HasPrefix(strategy, "mitogen") }

// Play is one run of ansible-playbook.
type Play struct {
	Strategy  string            // linear, mitogen_free...
	Callback  bool              // with Spindle's callback plugin, which puts it under the stock strategies
	User      string            // who runs it; "" is the operator
	Playbook  string            // in PlayDir; more than one are separated by spaces
	Inventory string            // its text
	Args      []string          // more arguments
	Config    map[string]string // settings of [defaults], over those of the harness; "" leaves one out
	SSH       map[string]string // settings of [ssh_connection]
	Env       []string
	Stdin     string        // what it can read; "" is nothing
	Limit     time.Duration // how long it may take; 0 is three minutes
	Program   string        // instead of ansible-playbook: "ansible" for an ad-hoc command
	Started   func()        // called once the process has been started
}

// Run is what became of it.
type Run struct {
	Code    int
	Stdout  string
	Stderr  string
	Records []byte // JSON lines of the record callback
	Took    time.Duration
	Hung    bool // it had to be killed at its limit
}

// Record is where the record callback writes.
const recordFile = home + "/record.jsonl"

// Patience multiplies the limits of runs: SPINDLE_TEST_PATIENCE, for a machine that has other things to do.
func Patience() time.Duration {
	if n, err := strconv.Atoi(os.Getenv("SPINDLE_TEST_PATIENCE")); err == nil && n > 0 {
		return time.Duration(n)
	}
	return 1
}

// Play runs ansible-playbook to its end, or to its limit.
func (c *Controller) Play(t testing.TB, p Play) Run {
	t.Helper()
	if p.Limit == 0 {
		p.Limit = 3 * time.Minute
	}
	if p.Program == "" {
		p.Program = "ansible-playbook"
	}
	if p.User == "" {
		p.User = Operator
	}
	config := map[string]string{
		"strategy": p.Strategy, "forks": "10", "timeout": "10", "host_key_checking": "True", "retry_files_enabled": "False",
		"callbacks_enabled": "record", "callback_plugins": PlayDir + "/callback_plugins", "nocows": "True", "inventory": PlayDir + "/hosts.ini",
		"interpreter_python": "auto_silent", "deprecation_warnings": "False", "localhost_warning": "False",
	}
	if Ours(p.Strategy) {
		config["strategy_plugins"] = c.installFor(t, p.User)
	}
	for k, v := range p.Config {
		config[k] = v
		if v == "" {
			delete(config, k)
		}
	}
	if p.Callback {
		config["callback_plugins"] += ":" + filepath.Join(filepath.Dir(c.installFor(t, p.User)), "callback")
		config["callbacks_enabled"] += ",spindle"
		if c.Version == Oldest {
			config["callback_whitelist"] = "spindle" // record needs no leave there
		}
	}
	c.Write(t, PlayDir+"/ansible.cfg", ini("defaults", config)+ini("ssh_connection", p.SSH), 0o644)
	c.Write(t, PlayDir+"/hosts.ini", p.Inventory, 0o644)
	_ = os.Remove(c.Root() + recordFile)
	argv := append([]string{p.Program}, p.Args...)
	argv = append(argv, strings.Fields(p.Playbook)...)
	ctx, cancel := context.WithTimeout(context.Background(), p.Limit*Patience())
	defer cancel()
	env := append([]string{"ANSIBLE_CONFIG=" + PlayDir + "/ansible.cfg", "SPINDLE_TEST_RECORD=" + recordFile, "PYTHONWARNINGS=ignore"}, p.Env...)
	cmd, err := c.Command(ctx, p.User, PlayDir, env, argv...)
	if err != nil {
		t.Fatal(err)
	}
	// Files rather than pipes: whoever outlives ansible-playbook must not hold up its end.
	out, errs := c.spool(t, "stdout"), c.spool(t, "stderr")
	defer out.Close()
	defer errs.Close()
	cmd.Stdout, cmd.Stderr = out, errs
	if p.Stdin != "" {
		cmd.Stdin = strings.NewReader(p.Stdin)
	}
	kill, evidence := cmd.Cancel, ""
	cmd.Cancel = func() error {
		evidence = c.evidence(cmd.Process.Pid)
		return kill()
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", p.Program, err)
	}
	if p.Started != nil {
		p.Started()
	}
	err = cmd.Wait()
	r := Run{Took: time.Since(start), Code: cmd.ProcessState.ExitCode(), Hung: ctx.Err() != nil}
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok && !r.Hung {
		t.Fatalf("%s: %v", p.Program, err)
	}
	if evidence != "" {
		t.Logf("it hung after %v:\n%s", r.Took.Round(time.Second/10), evidence)
	}
	r.Stdout, r.Stderr = slurp(out.Name()), slurp(errs.Name())
	r.Records, _ = os.ReadFile(c.Root() + recordFile)
	return r
}

func (c *Controller) spool(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(c.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func slurp(path string) string {
	b, _ := os.ReadFile(path)
	return string(b)
}

func ini(section string, values map[string]string) string {
	if len(values) == 0 {
		return ""
	}
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	fmt.Fprintf(w, "[%s]\n", section)
	for k, v := range values {
		fmt.Fprintf(w, "%s = %s\n", k, v)
	}
	w.Flush()
	return b.String()
}

// String shows a run for a failure message.
func (r Run) String() string {
	return fmt.Sprintf("code %d after %v (hung: %v)\n--- stdout\n%s\n--- stderr\n%s", r.Code, r.Took.Round(time.Millisecond), r.Hung, end(r.Stdout), end(r.Stderr))
}

// end is the last part of a long text, with long lines cut.
func end(s string) string {
	lines := strings.Split(s, "\n")
	if more := len(lines) - 60; more > 0 {
		lines = append([]string{fmt.Sprintf("(%d lines)", more)}, lines[more:]...)
	}
	for i, l := range lines {
		if len(l) > 1000 {
			lines[i] = l[:700] + " … " + l[len(l)-200:]
		}
	}
	return strings.Join(lines, "\n")
}
