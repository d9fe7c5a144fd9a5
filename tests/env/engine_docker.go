package env

import "testing"

// dockerSpec is a dockerd without a network of its own, on its usual socket.
var dockerSpec = engineSpec{
	up: func(t testing.TB, e *Engine) {
		e.On.daemon(t, nil, []string{"docker", "version"}, "dockerd", "--host", "unix:///run/docker.sock", "--iptables=false", "--ip6tables=false",
			"--ip-forward=false", "--bridge=none", "--storage-driver=overlay2", "--exec-opt", "native.cgroupdriver=cgroupfs")
		e.On.MustExec(t, "chmod", "666", "/run/docker.sock")
	},
	make: func(t testing.TB, e *Engine, name string) {
		if e.On.Exec(t, "docker", "image", "inspect", "inner").Code != 0 {
			e.On.MustExec(t, "docker", "import", imageTar, "inner")
		}
		e.On.MustExec(t, "docker", "run", "-d", "--name", name, "--hostname", name, "--network", "none", "-v", innerUsr+":/usr:ro", "inner", initProgram, name)
	},
	enter: func(name, user string) []string {
		argv := []string{"docker", "exec", "--interactive"}
		if user != "" {
			argv = append(argv, "--user="+user)
		}
		return append(argv, name)
	},
}
