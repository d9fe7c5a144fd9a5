package bootstrap

import (
	"testing"

	"spindle/transports/wire"
)

func TestExec(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		got := r.call("exec", meta{"command": "cat; echo err >&2; exit 3", "tty": true}, []byte("a\nb\n"))
		if want := (result{wire.Result{RC: 3}, "a\r\nb\r\nerr\r\n", ""}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}
