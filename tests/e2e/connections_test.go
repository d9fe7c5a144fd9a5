//go:build e2e

package e2e

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// lane is one engine, and how Ansible calls its connection.
type lane struct {
	engine string
	stock  string // the plugin of a collection
	users  bool   // it can enter as some user
	setns  bool   // its containers can be entered by their first process, too
	plain  string // why the stock plugin is not compared with, or ""
}

var lanes = []lane{
	{engine: env.Docker, stock: "community.docker.docker", users: true, setns: true},
	{engine: env.Podman, stock: "containers.podman.podman", users: true, setns: true},
	{engine: env.Buildah, stock: "containers.podman.buildah", users: true},
	{engine: env.LXC, stock: "community.general.lxc", setns: true},
	{engine: env.LXD, stock: "community.general.lxd", setns: true},
	{engine: env.Incus, stock: "community.general.incus", setns: true},
	{engine: env.Machinectl, users: true},
	{engine: env.Kubectl, stock: "kubernetes.core.kubectl"},
	{engine: env.Jail, stock: "community.general.jail", users: true, plain: "it wants FreeBSD's jls in all its detail"},
}

// boxPlay is what is done in every container. What it makes, it removes, so that everything else is a leftover.
const boxPlay = `
- name: all
  hosts: all
  connection: %[1]s
  gather_facts: false
  tasks:
    - name: where
      ansible.builtin.command: cat /etc/where
    - name: who
      ansible.builtin.command: id -un
- name: thorough
  hosts: all:!brief
  connection: %[1]s
  gather_facts: false
  tasks:
    - name: fact
      ansible.builtin.setup: {gather_subset: [min], filter: [ansible_distribution, ansible_user_id]}
    - name: input
      ansible.builtin.command: {cmd: sha256sum, stdin: "{{ 'lines\n' * 2000 }}"}
    - name: script
      ansible.builtin.script: files/where.sh argument
    - name: failing
      ansible.builtin.command: sh -c 'echo out; echo err >&2; exit 3'
      ignore_errors: true
    - name: small
      ansible.builtin.copy: {content: "small\n", dest: "/tmp/small-{{ inventory_hostname }}", mode: "0640"}
    - name: large
      ansible.builtin.copy: {src: files/large, dest: "/tmp/large-{{ inventory_hostname }}"}
    - name: digest
      ansible.builtin.command: sha256sum /tmp/large-{{ inventory_hostname }}
    - name: fetch
      ansible.builtin.fetch: {src: "/tmp/large-{{ inventory_hostname }}", dest: "fetched/", flat: true}
    - name: other account
      ansible.builtin.command: id -un
      become: true
      become_user: app
    - name: administrator
      ansible.builtin.command: id -un
      become: true
    - name: job
      ansible.builtin.command: sh -c 'sleep 0.3; cat /etc/where'
      async: 30
      poll: 1
      tags: [job]
    - name: remove
      ansible.builtin.file: {path: "{{ item }}", state: absent}
      become: true
      tags: [remove]
      loop: ["/tmp/small-{{ inventory_hostname }}", "/tmp/large-{{ inventory_hostname }}"]
`

// boxScript is a script of the controller's that runs in the container.
const boxScript = "#!/bin/sh\ncat /etc/where\nid -un\necho \"$1\"\n"

// boxLarge goes to each container and comes back.
var boxLarge = strings.Repeat("a large file\n", 100000)

// inBox is what containers keep of any run, as hosts do: Ansible's directories, the times of sudo.
var inBox = []*regexp.Regexp{regexp.MustCompile(`^/(root|home/\w+)/\.(ansible|ansible_async|sudo_as_admin_successful)(/|$)`), regexp.MustCompile(`^/run/sudo(/|$)|^/var/lib/sudo(/|$)`)}

// fill puts what the play needs where it needs it.
func fill(t *testing.T, c *env.Controller, connection string) {
	t.Helper()
	c.Write(t, env.PlayDir+"/box.yml", fmt.Sprintf(boxPlay, connection), 0o644)
	c.Write(t, env.PlayDir+"/files/where.sh", boxScript, 0o755)
	c.Write(t, env.PlayDir+"/files/large", boxLarge, 0o644)
}

// mark gives a container something to be known by, whatever its engine calls it.
func mark(t *testing.T, c *env.Container) {
	t.Helper()
	c.MustExec(t, "sh", "-c", "echo this is "+c.Name+" >/etc/where")
}

// entry is one line of the inventory, and who its tasks are.
type entry struct {
	name, vars, user string
	where            string // the container
	brief            bool   // only to see whether it gets there, and as whom
}

func inventoryOf(entries []entry) string {
	var all, brief strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&all, "%s ansible_python_interpreter=/usr/bin/python3 %s\n", e.name, e.vars)
		if e.brief {
			fmt.Fprintln(&brief, e.name)
		}
	}
	return all.String() + "[brief]\n" + brief.String()
}

// assertBoxes checks that the play did in every container what it says.
func assertBoxes(t *testing.T, c *env.Controller, r env.Run, entries []entry) {
	t.Helper()
	if r.Code != 0 || r.Hung {
		t.Fatalf("play: %v", r)
	}
	records, err := parity.Parse(r.Records)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		for task, want := range map[string]string{
			"where": "this is " + e.where, "who": e.user, "script": "this is " + e.where + "\n" + e.user + "\nargument",
			"other account": "app", "administrator": "root", "job": "this is " + e.where,
			"digest": fmt.Sprintf("%x  /tmp/large-%s", sha256.Sum256([]byte(boxLarge)), e.name),
		} {
			if e.brief && task != "where" && task != "who" {
				continue
			}
			rec, ok := parity.Find(records, e.name, task, "ok")
			got, _ := rec.Result["stdout"].(string)
			if got = strings.TrimSpace(strings.ReplaceAll(got, "\r\n", "\n")); !ok || got != want {
				t.Errorf("%s: %s: %q, want %q", e.name, task, got, want)
			}
		}
		if e.brief {
			continue
		}
		if rec, _ := parity.Find(records, e.name, "failing", "failed"); fmt.Sprintf("%v %v %v", rec.Result["rc"], rec.Result["stdout"], rec.Result["stderr"]) != "3 out err" {
			t.Errorf("%s: the failing task: %v", e.name, rec.Result)
		}
		if b, err := os.ReadFile(c.Root() + env.PlayDir + "/fetched/large-" + e.name); err != nil || string(b) != boxLarge {
			t.Errorf("%s: %d bytes fetched: %v", e.name, len(b), err)
		}
	}
}

// TestConnections enters a container of every engine by every name that its connection has, and as every account that it can.
func TestConnections(t *testing.T) {
	for _, l := range lanes {
		t.Run(l.engine, func(t *testing.T) {
			t.Parallel() // each has machines of its own
			c := env.New(t).Controller(t, env.WithEngines)
			e := c.Engine(t, l.engine)
			box := e.Run(t, "inner1")
			mark(t, box)
			fill(t, c, l.engine)
			who := map[bool]string{true: "root", false: env.Operator}[e.Private]
			entries := []entry{
				{name: "full", vars: "ansible_host=inner1 ansible_connection=" + cmp.Or(l.stock, "mitogen_"+l.engine), user: "root", where: "inner1"},
				{name: "short", vars: "ansible_host=inner1", user: "root", where: "inner1", brief: true}, // as the play says
				{name: "own", vars: "ansible_host=inner1 ansible_connection=mitogen_" + l.engine, user: "root", where: "inner1", brief: true},
			}
			if l.users {
				entries = append(entries,
					entry{name: "deploy", vars: "ansible_host=inner1 ansible_user=deploy ansible_connection=" + l.engine, user: "deploy", where: "inner1", brief: true},
					entry{name: "admin", vars: "ansible_host=inner1 ansible_user=admin ansible_become_password=" + env.AdminPassword, user: "admin", where: "inner1"})
			}
			if l.setns && e.Private {
				entries = append(entries, setnsOf(l)...)
			}
			records := runBoxes(t, c, box, who, entries)
			if l.setns && !e.Private {
				runBoxes(t, c, box, "root", setnsOf(l)) // whoever may use the engine may not do this
			}
			if l.stock != "" && l.plain == "" {
				play := env.Play{
					Strategy: "linear", User: who, Playbook: "box.yml", Inventory: inventoryOf(entries[:1]), Config: map[string]string{"collections_path": collections, "timeout": patient},
					Args: []string{"--skip-tags", "job"}, // with buildah's stock plugin, a job ends with the run that started it
					Env:  []string{"PODMAN_IGNORE_CGROUPSV1_WARNING=1"},
				}
				stock := c.Play(t, play)
				// On a busy machine, an engine's program may end with 0 and have lost what came from the container, which is not what this is about.
				for tries := 1; tries < 3 && stock.Code != 0 && !stock.Hung; tries++ {
					t.Logf("stock, once more: %v", stock)
					clean := play
					clean.Args = []string{"--tags", "remove"}
					c.Play(t, clean)
					stock = c.Play(t, play)
				}
				t.Logf("stock: %v", stock.Took.Round(time.Second/10))
				want, err := parity.Parse(stock.Records)
				if err != nil || stock.Code != 0 {
					t.Fatalf("%v %v", err, stock)
				}
				if d := parity.Compare(comparable(want), comparable(records), append(parity.All(), likeSSH...)); len(d) > 0 {
					t.Errorf("%d differences:\n%s", len(d), parity.Summary(d, 30))
				}
			}
		})
	}
}

// comparable is what both plays do.
func comparable(records []parity.Record) []parity.Record {
	return slices.DeleteFunc(parity.Of(records, "full"), func(r parity.Record) bool { return r.Task == "job" || r.Event == "recap" })
}

// likeSSH is where all connections of ours are as over ssh, and the stock ones are not.
var likeSSH = []parity.Rule{
	{Why: "a script runs as if on a terminal", Task: `.* / script / .*`, Path: `stdout`, From: `\r\n`, To: "\n"},
	{Why: "the same: nothing goes to standard error, where the stock plugin has also what the engine's program says", Task: `.* / script / .*`, Path: `stderr(_lines(\..*)?)?`},
	{Why: "the stock path warns of a temporary directory that it had to make", Task: `.* / other account / .*`, Path: `warnings(\..*)?`},
}

func setnsOf(l lane) []entry {
	return []entry{
		{name: "setns", vars: "ansible_host=inner1 ansible_connection=setns mitogen_kind=" + l.engine, user: "root", where: "inner1", brief: true},
		{name: "setns_deploy", vars: "ansible_host=inner1 ansible_connection=mitogen_setns ansible_user=deploy mitogen_kind=" + l.engine, user: "deploy", where: "inner1"},
	}
}

// runBoxes plays in a container, looks for what is left there and on the machine that the play ran on, and returns the results.
func runBoxes(t *testing.T, c *env.Controller, box *env.Container, who string, entries []entry) []parity.Record {
	t.Helper()
	before := box.Files(t)
	play := env.Play{Strategy: "mitogen_linear", User: who, Playbook: "box.yml", Inventory: inventoryOf(entries)}
	play.Config = map[string]string{"collections_path": "/nonexistent", "timeout": patient} // it has to do without
	onController := c.Files(t)
	r := c.Play(t, play)
	t.Logf("%d entries: %v", len(entries), r.Took.Round(time.Second/10))
	assertBoxes(t, c, r, entries)
	if err := os.RemoveAll(c.Root() + env.PlayDir + "/fetched"); err != nil {
		t.Error(err)
	}
	if left := box.Quiet(10*time.Second) + c.Quiet(10*time.Second); left != "" {
		t.Error(left)
	}
	if d := before.Without(inBox...).Diff(box.Files(t).Without(inBox...)); len(d) > 0 {
		t.Errorf("left in the container: %v", d)
	}
	if d := onController.Without(incidental...).Without(ofRun...).Diff(c.Files(t).Without(incidental...).Without(ofRun...)); len(d) > 0 {
		t.Errorf("left on the controller: %v", d)
	}
	if r.Stderr != "" {
		t.Errorf("it prints on standard error: %s", r.Stderr)
	}
	records, _ := parity.Parse(r.Records)
	return records
}

// ofRun is what a run of a play is expected to leave on the controller.
var ofRun = []*regexp.Regexp{regexp.MustCompile(`^/home/ops/play(/hosts\.ini)?$|^/root/\.(local|cache)(/|$)|^/(root|home/ops)/(\.kube/cache|\.config)(/|$)`)}

// patient is the timeout of connections here: the programs of some engines take their time, and eight start at once.
const patient = "60"

// collections is where a controller with engines keeps the collections of the stock plugins.
const collections = "/opt/collections"

// TestContainersBehindSSH enters containers of a machine that is reached by ssh, on every version of Ansible: there is nothing of an engine on
// the controller.
func TestContainersBehindSSH(t *testing.T) {
	for _, v := range env.Versions {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			l := env.New(t)
			h := l.Host(t, env.HostOptions{Name: "engines", Engines: true})
			c := l.Controller(t, v, h)
			fill(t, c, "ssh")
			inventory := []entry{}
			before := map[*env.Container]env.Files{}
			for _, lane := range lanes {
				if lane.engine == env.Kubectl {
					continue
				}
				box := h.Engine(t, lane.engine).Run(t, "in-"+lane.engine)
				mark(t, box)
				before[box] = box.Files(t)
				via := "mitogen_via=root@engines"
				if lane.engine == env.Docker {
					via = "mitogen_via=engines" // its socket is everybody's, there
				}
				inventory = append(inventory, entry{
					name: lane.engine, vars: fmt.Sprintf("ansible_host=%s ansible_connection=%s %s", box.Name, lane.engine, via), user: "root", where: box.Name,
					brief: v != env.Versions[0] && lane.engine != env.Docker,
				})
			}
			onHost := h.Files(t)
			r := c.Play(t, env.Play{
				Strategy: "mitogen_linear", Playbook: "box.yml", Args: []string{"--limit", "!engines"}, Config: map[string]string{"timeout": patient},
				Inventory: inventoryOf(append(inventory, entry{name: "engines", vars: fmt.Sprintf("ansible_host=%s ansible_user=deploy", h.Addr)})),
			})
			t.Logf("%d containers: %v", len(inventory), r.Took.Round(time.Second/10))
			assertBoxes(t, c, r, inventory)
			if n := strings.Count(h.Log(), "Accepted publickey"); n != 1 {
				t.Errorf("%d connections to the machine of the containers, want one", n)
			}
			if left := h.Quiet(10*time.Second) + c.Quiet(10*time.Second); left != "" {
				t.Error(left)
			}
			for box, files := range before {
				if left := box.Quiet(5 * time.Second); left != "" {
					t.Error(left)
				}
				if d := files.Without(inBox...).Diff(box.Files(t).Without(inBox...)); len(d) > 0 {
					t.Errorf("left in %s: %v", box.Name, d)
				}
			}
			if d := onHost.Without(incidental...).Diff(h.Files(t).Without(incidental...)); len(d) > 0 {
				t.Errorf("left on the machine of the containers: %v", d)
			}
		})
	}
}
