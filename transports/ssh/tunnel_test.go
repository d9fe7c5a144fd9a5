package ssh

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"spindle/transports"
	"spindle/transports/local"
)

// A connection in a connection in a connection. On the way nothing is run.
func TestTunnel(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	first, second, last := l.startServer(t, "LogLevel DEBUG1"), l.startServer(t, "LogLevel DEBUG1"), l.startServer(t)
	d := newDesk(t, l)
	d.knows(first.known(), second.known(), last.known())
	// The way has been said: what the configuration says of another one does not count.
	d.config("Host " + last.host + "\n ProxyCommand false\nHost " + second.host + "\n ProxyJump 192.0.2.1\n")
	key := kw{"identity_file": d.identity()}
	a := d.mustBare(Native, d.kwargs(first, key), &local.Spawner{})
	b := d.mustBare(Native, d.kwargs(second, key), a)
	if got, want := b.About().Why, "connected through "+first.host; got != want {
		t.Errorf("why %q, want %q", got, want)
	}
	booted, err := d.dialer(d.kwargs(last, kw{"password": l.password})).Dial(context.Background(), b, echoProgram())
	if err != nil {
		t.Fatal(err)
	}
	if booted.How != Native || booted.Why != "connected through "+second.host {
		t.Errorf("%s because %s", booted.How, booted.Why)
	}
	exchange(t, booted)
	for _, s := range []*server{first, second} {
		log := s.waitLog(t, "server_request_direct_tcpip: originator")
		if n := strings.Count(log, "Starting session: command"); n != 1 { // its name was asked for
			t.Errorf("%d commands were run on the way", n)
		}
	}
	// Closing what goes through it does not end it, and closing it ends what goes through.
	if err := booted.Link.Close(); err != nil {
		t.Error(err)
	}
	if got := runLine(t, b, transports.Line{Text: "echo still"}, ""); got != (outcome{out: "still\n"}) {
		t.Errorf("%+v", got)
	}
	_ = a.Close()
	select {
	case <-b.Lost():
	case <-time.After(10 * time.Second):
		t.Error("what went through a closed connection lives on")
	}
}

func TestTunnelErrors(t *testing.T) {
	l := needLab(t)
	t.Parallel()
	open, shut, last := l.startServer(t), l.startServer(t, "AllowTcpForwarding no"), l.startServer(t)
	d := newDesk(t, l)
	d.knows(open.known(), shut.known(), last.known())
	key := kw{"identity_file": d.identity()}
	through := d.mustBare(Native, d.kwargs(open, key), &local.Spawner{})
	refusing := d.mustBare(Native, d.kwargs(shut, key), &local.Spawner{})
	where := "ssh: connect to host " + last.host + " port " + last.port + ": "
	for _, tt := range []struct {
		name string
		via  transports.Shell
		k    kw
		want string
	}{
		{"prohibited", refusing, d.kwargs(last, key), where + "administratively prohibited: the SSH server of " + shut.host +
			" forwards no such connection (look at AllowTcpForwarding and PermitOpen in its sshd_config)"},
		{"nobody there", through, d.kwargs(last, kw{"port": 1}), strings.Replace(where, last.port, "1", 1) + "Connection refused (from " + open.host + ")"},
		{"wrong password", through, d.kwargs(last, kw{"password": "wrong"}), textPasswordWrong},
		{"unknown key", through, d.kwargs(l.startServer(t), key), textHostKey},
		{
			"program wanted", through, d.kwargs(last, kw{"spindle_ssh": "binary"}),
			"ssh: " + last.host + " cannot be connected to through another connection: spindle_ssh is binary",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := d.dialer(tt.k).Dial(context.Background(), tt.via, echoProgram())
			wantText(t, err, tt.want)
			_, err = d.bare(tt.k, tt.via)
			wantText(t, err, tt.want)
		})
	}
	if n := strings.Count(last.logText(), "Failed password"); n != 2 {
		t.Errorf("a wrong password was sent %d times in 2 dials", n)
	}
}

func TestTunnelSetting(t *testing.T) {
	make := NewFactory()
	for value, want := range map[string]string{
		`"tunnel"`: "true", `"auto"`: "false", `""`: "false", "null": "false",
		`"bridge"`: `ssh: spindle_via: "bridge" is neither auto nor tunnel`,
	} {
		got := ""
		if d, err := make(json.RawMessage(`{"hostname": "h", "spindle_via": ` + value + `}`)); err != nil {
			got = err.Error()
		} else {
			got = strconv.FormatBool(d.(*Dialer).Tunnel())
		}
		if got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
}
