package ssh

import (
	"testing"
)

func TestPlainKey(t *testing.T) {
	l := needLab(t)
	s := l.startServer(t)
	bothWays(t, func(t *testing.T, way string) {
		d := newDesk(t, l)
		d.knows(s.known())
		d.mustDial(way, d.kwargs(s, kw{"identity_file": d.identity()}))
	})
}
