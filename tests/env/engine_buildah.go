package env

import (
	"context"
	"testing"
)

// buildahSpec has working containers of buildah's: a root file system that every run is a new container over. One run that lasts is what
// is looked at from outside.
var buildahSpec = engineSpec{
	up: podmanUp,
	make: func(t testing.TB, e *Engine, name string) {
		podmanImage(t, e)
		e.On.MustExec(t, "buildah", "from", "--name", name, "--network", "none", "-v", innerUsr+":/usr:ro,suid,dev,exec", "localhost/inner")
		cmd, err := e.On.Command(context.Background(), "", "/", nil, "buildah", "run", "--hostname", name, "--", name, initProgram, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { _ = cmd.Wait() }()
	},
	enter: func(name, user string) []string {
		argv := []string{"buildah", "run"}
		if user != "" {
			argv = append(argv, "--user="+user)
		}
		return append(argv, "--", name)
	},
}
