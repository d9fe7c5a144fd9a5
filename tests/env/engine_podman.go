package env

import "testing"

// containersConf keeps podman and buildah from what may be forbidden here: raising limits, systemd. Nothing has a network.
const containersConf = `[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
cgroups = "enabled"
netns = "none"
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
`

// podmanUp sets up what podman and buildah share. Neither has a daemon.
func podmanUp(t testing.TB, e *Engine) {
	e.On.put(t, "/etc/containers/containers.conf", containersConf, 0o644)
	if o := e.On.Exec(t, "podman", "info"); o.Code != 0 {
		Unavailable(t, "podman does not work here: "+o.Stderr)
	}
}

// podmanImage imports the image into the storage that podman and buildah share.
func podmanImage(t testing.TB, e *Engine) {
	if e.On.Exec(t, "podman", "image", "exists", "localhost/inner").Code != 0 {
		e.On.MustExec(t, "podman", "import", imageTar, "localhost/inner")
	}
}

var podmanSpec = engineSpec{
	up: podmanUp,
	make: func(t testing.TB, e *Engine, name string) {
		podmanImage(t, e)
		e.On.MustExec(t, "podman", "run", "-d", "--name", name, "--hostname", name, "-v", innerUsr+":/usr:ro,suid,dev,exec", "localhost/inner", initProgram, name)
	},
	enter: func(name, user string) []string {
		argv := []string{"podman", "exec", "--interactive"}
		if user != "" {
			argv = append(argv, "--user="+user)
		}
		return append(argv, "--", name)
	},
}
