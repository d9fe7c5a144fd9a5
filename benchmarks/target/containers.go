package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"spindle/tests/cgroups"

	"golang.org/x/sys/unix"
)

// ContainerName is the name of the n-th container on a machine, from 1.
func ContainerName(n int) string { return fmt.Sprintf("container%d", n) }

// containerLimit bounds how much longer a machine may take to start for each container, and at least for the engine.
const containerLimit = 3 * time.Second

// innerRoot is where a machine has the root that its containers are made of.
const innerRoot = "/opt/inner"

// groupsPrefix begins the names of the control groups of machines with containers.
const groupsPrefix = "spindle-bench."

// groupsVariable asks a program that calls ServeIfAsked to keep control groups.
const groupsVariable = "SPINDLE_BENCHMARK_GROUPS"

// startKeeper starts a process that makes control groups for one machine. It removes them when it is closed, and also when this program was
// killed: the kernel ends all processes of a machine then, and unmounts what it had, but leaves empty groups.
func startKeeper(ctx context.Context) (*child, *cgroups.Groups, error) {
	keeper, said, err := startChild(ctx, childSpec{what: "keeper of control groups", variable: groupsVariable, wish: true, attributes: &syscall.SysProcAttr{}})
	return keeper, said.Groups, err
}

// keepGroups is the keeper's process.
func keepGroups(string) error {
	groups, err := cgroups.New(groupsPrefix, "machine", false)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(announcement{Groups: groups}); err != nil {
		return errors.Join(err, groups.Remove())
	}
	io.Copy(io.Discard, os.Stdin)
	if err := groups.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return err
	}
	return nil
}

// mountEngine mounts what a container engine needs besides what every machine has.
func mountEngine(root string, o Options) error {
	cmd := exec.Command("/bin/sh", "-ec", o.Groups.Mount)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mount control groups: %w: %s", err, strings.TrimSpace(string(out)))
	}
	inner, store := filepath.Join(root, innerRoot), filepath.Join(root, "var/lib/docker")
	if err := errors.Join(os.MkdirAll(inner, 0o755), os.MkdirAll(store, 0o755)); err != nil {
		return err
	}
	if err := unix.Mount(o.Inner, inner, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("show %s: %w", o.Inner, err)
	}
	// An overlay cannot be the upper layer of another one.
	if err := unix.Mount("tmpfs", store, "tmpfs", 0, "mode=711"); err != nil {
		return fmt.Errorf("mount the engine's memory: %w", err)
	}
	return nil
}

// image packs what a container has of its own. Its /usr is mounted, the same for all.
const image = `tar -C ` + innerRoot + ` --exclude='./usr/*' --exclude='./var/*' --exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' -c . |
	docker import - container`

// process1 is what a container runs: it collects the dead, and sleeps.
const process1 = `trap 'exit 0' TERM; while :; do sleep 2147483647 & wait; done`

// runContainers starts the engine on the machine that this process is, and the containers on it. All of it ends with the machine.
func runContainers(n int) error {
	env := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
	log, err := os.Create("/var/log/dockerd.log")
	if err != nil {
		return err
	}
	defer log.Close()
	// No networks: nobody uses them, and they take long to make. The login may use the engine, as on many a machine.
	daemon := exec.Command("/usr/sbin/dockerd", "--host=unix:///run/docker.sock", "--group="+Login, "--iptables=false", "--ip6tables=false",
		"--ip-forward=false", "--bridge=none", "--storage-driver=overlay2", "--exec-opt=native.cgroupdriver=cgroupfs")
	daemon.Env, daemon.Stdout, daemon.Stderr = env, log, log
	if err := daemon.Start(); err != nil {
		return fmt.Errorf("start the container engine: %w", err)
	}
	engine := func(argv ...string) error {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	for deadline := time.Now().Add(startLimit); ; time.Sleep(50 * time.Millisecond) {
		if err = engine("/usr/bin/docker", "version"); err == nil {
			break
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("the container engine does not come up: %w\n%s", err, text[max(0, len(text)-2000):])
		}
	}
	if err := engine("/bin/sh", "-ec", image); err != nil {
		return err
	}
	var group sync.WaitGroup
	failed := make([]error, n)
	turn := make(chan struct{}, 4)
	for i := range n {
		group.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			name := ContainerName(i + 1)
			failed[i] = engine("/usr/bin/docker", "run", "--detach", "--pull=never", "--name="+name, "--hostname="+name, "--network=none",
				"--log-driver=none", "--volume="+innerRoot+"/usr:/usr:ro", "container", "/bin/sh", "-c", process1)
		})
	}
	group.Wait()
	return errors.Join(failed...)
}
