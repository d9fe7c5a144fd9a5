package ssh

import (
	"encoding/binary"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// listen stands for a connection that somebody has opened already; gone leaves its socket behind.
func (d *desk) listen(name string, gone bool) {
	l, err := net.Listen("unix", d.path(name))
	if err != nil {
		d.t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(!gone)
	if gone {
		_ = l.Close()
		return
	}
	d.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = binary.Write(conn, binary.BigEndian, []uint32{8, muxHello, muxVersion})
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}()
}

// control_path leads to a connection that is there already, and to that of the very host. It never has ssh make one.
func TestMaster(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("SKIPPED: no ssh")
	}
	d := newDesk(t, &theLab)
	d.config("Host alias\n  HostName web1")
	d.listen("web1-2222-u", false)
	d.listen("one", false)
	d.listen("stale", true)
	for _, c := range []struct {
		path, host string
		more       kw
		there      bool
		how        string
	}{
		{path: "one", host: "web1", there: true, how: Binary},
		{path: "%h-%p-%r", host: "web1", there: true, how: Binary},
		{path: "%h-%p-%r", host: "alias", there: true, how: Binary},
		{path: "%h-%p-%r", host: "web2", how: Native},
		{path: "%n-%p-%r", host: "alias", how: Native},
		{path: "%(directory)s/x", host: "web1", how: Native},
		{path: "nothing", host: "web1", how: Native},
		{path: "stale", host: "web1", how: Native},
		{path: "ssh_config", host: "web1", how: Native},
		{path: "nothing", host: "web1", more: kw{"spindle_ssh": "binary"}, how: Binary},
		{path: "one", host: "web1", more: kw{"spindle_ssh": "binary"}, there: true, how: Binary},
		{path: "one", host: "web1", more: kw{"ssh_path": d.script()}, there: true, how: Binary},
		{path: "%h-%p-%r", host: "web1", more: kw{"ssh_path": d.script()}, how: Binary},
	} {
		more := kw{"username": "u", "control_path": d.path(c.path)}
		for k, v := range c.more {
			more[k] = v
		}
		dl := d.dialer(d.kwargs(&server{host: c.host, port: "2222"}, more))
		p, err := dl.Explain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		said := func(argv []string) bool {
			return slices.ContainsFunc(argv, func(word string) bool { return strings.HasPrefix(word, "ControlPath=") })
		}
		if p.How != c.how || said(p.Argv) != c.there {
			t.Errorf("%s for %s: %s because %s, by %q", c.path, c.host, p.How, p.Why, p.Argv)
		}
		if far := dl.settings.argv(nil, dl.manner(t.Context(), false)); said(far) {
			t.Errorf("another machine has no such socket: %q", far)
		}
		if _, err := dl.through(t.Context()); (err == nil) != (c.more == nil) {
			t.Errorf("%s for %s: behind another host it gave %v", c.path, c.host, err)
		}
	}
	resolve := func(path string) string {
		got, err := d.dialer(d.kwargs(&server{host: "web1", port: "2222"}, kw{"username": "u", "control_path": path})).Resolve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	none, one, host := resolve(""), resolve(d.path("one")), resolve(d.path("%h-%p-%r"))
	if none == "" || one == "" || none == one || one == host || none != resolve(d.path("nothing")) {
		t.Errorf("without %s\nby one %s\nby another %s", none, one, host)
	}
}

// After a reset the host is logged in to, whoever asks, by whichever name, for as long as the run; others go on as before.
func TestUnshare(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("SKIPPED: no ssh")
	}
	d := newDesk(t, &theLab)
	d.config("Host alias\n  HostName web1")
	for _, name := range []string{"web1-u", "web1-v", "web2-u", "one"} {
		d.listen(name, false)
	}
	shared := func(host, user, path string) bool {
		t.Helper()
		p, err := d.dialer(d.kwargs(&server{host: host, port: "2222"}, kw{"username": user, "control_path": d.path(path)})).Explain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return p.How == Binary
	}
	unshare := func(host, user, path string) {
		d.dialer(d.kwargs(&server{host: host, port: "2222"}, kw{"username": user, "control_path": d.path(path)})).Unshare()
	}
	unshare("web1", "v", "%h-%r") // nobody has looked for it yet
	for range 2 {
		for _, c := range []struct {
			host, user, path string
			want             bool
		}{
			{"web1", "u", "%h-%r", true},
			{"alias", "u", "%h-%r", true},
			{"web2", "u", "%h-%r", true},
			{"web1", "v", "%h-%r", false},
			{"web1", "u", "one", true},
		} {
			if got := shared(c.host, c.user, c.path); got != c.want {
				t.Errorf("%+v: %v", c, got)
			}
		}
	}
	unshare("web1", "u", "%h-%r")
	for host, want := range map[string]bool{"web1": false, "alias": false, "web2": true} {
		if shared(host, "u", "%h-%r") != want {
			t.Errorf("%s, after web1 was reset: want %v", host, want)
		}
	}
	unshare("web1", "u", "one")
	if shared("web1", "u", "one") || shared("web2", "u", "one") {
		t.Error("one is used after it was reset")
	}
}

// Who has stopped, or is no master, is not waited for.
func TestSilentMasters(t *testing.T) {
	d := newDesk(t, &theLab)
	d.config("")
	l, err := net.Listen("unix", d.path("silent"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	started := time.Now()
	for range 3 {
		p, err := d.dialer(d.kwargs(&server{host: "web1", port: "2222"}, kw{"control_path": d.path("silent")})).Explain(t.Context())
		if err != nil || p.How != Native {
			t.Errorf("%s because %s, %v", p.How, p.Why, err)
		}
	}
	if took := time.Since(started); took < masterAnswers || took > 2*masterAnswers {
		t.Errorf("it took %v", took)
	}
}
