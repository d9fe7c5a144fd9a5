package bootstrap

import (
	"testing"
)

// everyPair runs a test with every Python and the modules of every ansible-core that supports it.
func everyPair(t *testing.T, test func(t *testing.T, r *remote, modules map[string]closure, c controller)) {
	each(t, func(t *testing.T, tg target) {
		for _, c := range controllers {
			if tg.name == "2.7" && c.since != "2.7" {
				continue
			}
			t.Run(c.version, func(t *testing.T) {
				modules := c.modules(t)
				test(t, boot(t, tg), modules, c)
			})
		}
	})
}

func TestModules(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		res, got := r.module(modules["command"], false, map[string]any{"_raw_params": "echo hello", "_uses_shell": true})
		if res.RC != 0 || got["stdout"] != "hello" {
			t.Errorf("command: %+v", res)
		}
		res, got = r.module(modules["ping"], false, map[string]any{"data": "crash"})
		if res.RC != 1 {
			t.Errorf("crash: %+v", res)
		}
		t.Logf("%+v", res)
	})
}
