package env

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spindle/tests/cgroups"
)

// The engines that a machine can run, by the name of Ansible's connection for them. Jail is a stand-in: see jail.sh.
const (
	Docker     = "docker"
	Podman     = "podman"
	Buildah    = "buildah"
	LXC        = "lxc"
	LXD        = "lxd"
	Incus      = "incus"
	Machinectl = "machinectl"
	Kubectl    = "kubectl"
	Jail       = "jail"
)

// Engines are all of them.
var Engines = []string{Docker, Podman, Buildah, LXC, LXD, Incus, Machinectl, Kubectl, Jail}

// engineSpec is what an engine is made of.
type engineSpec struct {
	up   func(t testing.TB, e *Engine)              // starts its daemons
	make func(t testing.TB, e *Engine, name string) // makes a container, and has it run initProgram with its name
	// enter is the engine's own way into a container, as somebody would type it.
	enter func(name, user string) []string
}

var engineSpecs = map[string]engineSpec{
	Docker: dockerSpec, Podman: podmanSpec, Buildah: buildahSpec, LXC: lxcSpec, LXD: lxdSpec, Incus: incusSpec,
	Machinectl: machinectlSpec, Kubectl: kubectlSpec, Jail: jailSpec,
}

// Engine is a container engine that runs on a machine, at the places where its clients look for it without being told.
type Engine struct {
	Kind    string
	On      *Machine
	Private bool // only root may use it

	spec engineSpec
	kube *kubeAPI
}

// Engine starts an engine on the machine, which must have been started with room for engines. It goes with the machine.
func (m *Machine) Engine(t testing.TB, kind string) *Engine {
	t.Helper()
	if m.cgroups == nil {
		t.Fatalf("%s has no room for engines", m.Name)
	}
	spec, ok := engineSpecs[kind]
	if !ok {
		t.Fatalf("no such engine: %s", kind)
	}
	e := &Engine{Kind: kind, On: m, spec: spec}
	switch kind {
	case Podman, Buildah, LXC, Machinectl, Jail:
		e.Private = true
	}
	if spec.up != nil {
		spec.up(t, e)
	}
	m.Settle()
	return e
}

// Container is one container, seen from outside. Its Exec, Processes and Files need no engine. Its accounts are those of every host.
type Container struct {
	*Machine
	Engine *Engine
}

// Run makes a container and starts it. It has Python and sudo, its host name is its name, and it runs nothing.
func (e *Engine) Run(t testing.TB, name string) *Container {
	t.Helper()
	c := &Container{Engine: e}
	if e.Kind == Kubectl {
		// A pod is somewhere else.
		h := e.On.lab.Host(t, HostOptions{Name: name, Root: e.On.layer.root})
		c.Machine = h.Machine
		e.kube.add(t, name, h.Machine)
		return c
	}
	e.On.image(t)
	e.spec.make(t, e, name)
	c.Machine = e.On.inner(t, name)
	e.On.Settle()
	return c
}

// Enter runs a program in the container the engine's own way. User "" is root; not every engine knows others.
func (c *Container) Enter(t testing.TB, user string, argv ...string) Output {
	t.Helper()
	return c.Engine.On.Exec(t, append(c.Engine.spec.enter(c.Name, user), argv...)...)
}

// ownDirs are the directories of a container that belong to it; the others are the kernel's, or its image's.
var ownDirs = []string{"/etc", "/home", "/root", "/tmp", "/var", "/run", "/opt", "/srv", "/mnt", "/dev/shm"}

// Files takes a snapshot of everything in the container that its image does not have for all.
func (c *Container) Files(t testing.TB) Files {
	t.Helper()
	if c.Engine.Kind == Kubectl {
		return c.Machine.Files(t)
	}
	out := Files{}
	for _, d := range ownDirs {
		if _, err := os.Stat(c.Root() + d); err == nil {
			scan(t, out, c.Root()+d, d)
		}
	}
	delete(out, "/run/.containerenv") // each of buildah's runs makes it and takes it away
	return out
}

// initProgram is process 1 of every container. Its name and the container's are how it is found from outside.
const initProgram = "/init"

//go:embed image.sh
var imageScript string

const (
	imageDir = "/var/lib/engines/image"     // on a machine: the root file system of a container, without /usr
	imageTar = "/var/lib/engines/image.tar" // the same as one file
	innerUsr = "/opt/inner/usr"             // what every container has mounted on its /usr
)

// image makes what the containers of a machine are made of.
func (m *Machine) image(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(m.Root() + imageTar); err == nil {
		return
	}
	m.MustExec(t, "/bin/sh", "-c", imageScript, "image", imageDir, imageTar)
}

// inner waits for the first process of a container on the machine, and returns the container as a machine of its own.
func (m *Machine) inner(t testing.TB, name string) *Machine {
	t.Helper()
	c := &Machine{Name: name, lab: m.lab, log: &tail{}}
	late := Poll(stepLimit, func() string {
		entries, _ := filepath.Glob("/proc/[0-9]*")
		for _, dir := range entries {
			p, ok := readProcess(dir)
			if !ok || p.Inner != 1 || !slices.Equal(p.Args, []string{"/bin/sh", initProgram, name}) || !m.owns(dir) {
				continue
			}
			if ns, err := os.Readlink(dir + "/ns/pid"); err == nil && ns != m.nsid {
				c.pid, c.nsid = p.PID, ns
				return ""
			}
		}
		return "not there"
	})
	if late != "" {
		t.Fatalf("%s: container %s does not start", m.Name, name)
	}
	return c
}

// owns says whether a process, by its directory in /proc, is in the control groups of the machine: there may be others of its name.
func (m *Machine) owns(dir string) bool {
	b, err := os.ReadFile(dir + "/cgroup")
	return err == nil && bytes.Contains(b, []byte(cgroups.Top(cgroupPrefix, os.Getpid())+"/"+filepath.Base(m.dir)+"/"))
}

// put writes a file on the machine, for root.
func (m *Machine) put(t testing.TB, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.Root()+path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.Root()+path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// daemon starts a program that stays, and waits until a client is content. It ends with the machine.
func (m *Machine) daemon(t testing.TB, env []string, client []string, argv ...string) {
	t.Helper()
	cmd, err := m.Command(context.Background(), "", "/", env, argv...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(m.dir, filepath.Base(argv[0])+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", argv[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	late := Poll(stepLimit, func() string {
		select {
		case err := <-ended:
			ended <- err
			return ""
		default:
		}
		if o := m.Exec(t, client...); o.Code != 0 {
			return o.Stdout + o.Stderr
		}
		return ""
	})
	select {
	case err := <-ended:
		late = fmt.Sprintf("it ended: %v", err)
	default:
	}
	if late != "" {
		log, _ := os.ReadFile(out.Name())
		Unavailable(t, fmt.Sprintf("%s does not come up here: %s\n%s", argv[0], strings.TrimSpace(late), end(string(log))))
	}
}
