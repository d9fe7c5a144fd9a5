package scale

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"spindle/bootstrap"
	"spindle/transports/wire"
)

// handshakeLimit bounds how long a client of the stand-in may take to log in.
const handshakeLimit = 5 * time.Minute

// standIn is the SSH server with everybody's agent in it.
type standIn struct {
	config *gossh.ServerConfig
	facts  []byte
}

// marker finds the nonce in an agent's command line.
var marker = regexp.MustCompile(`SPINDLE1 ([A-Za-z0-9]+)`)

// newKey makes a key pair; the private one goes into a file.
func newKey(path string) (gossh.Signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return gossh.NewSignerFromKey(private)
}

// serve answers on all of 127/8, with the keys that it makes in dir, until its standard input ends. It says its port in one line.
func serve(dir string) error {
	host, err := newKey(filepath.Join(dir, "host"))
	if err != nil {
		return err
	}
	client, err := newKey(filepath.Join(dir, "id"))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	facts, err := json.Marshal(map[string]any{
		"user": "standin", "uid": 0, "gid": 0, "home": "/root", "cwd": "/root", "shell": "/bin/sh", "python": "/usr/bin/python3",
		"hostname": "standin", "tmp": "/tmp", "tmp_tried": []string{"/tmp"}, "agent": fmt.Sprintf("%x", bootstrap.AgentDigest()),
	})
	if err != nil {
		return err
	}
	s := &standIn{facts: facts, config: &gossh.ServerConfig{
		ServerVersion: "SSH-2.0-StandIn",
		PublicKeyCallback: func(_ gossh.ConnMetadata, key gossh.PublicKey) (*gossh.Permissions, error) {
			if string(key.Marshal()) != string(client.PublicKey().Marshal()) {
				return nil, fmt.Errorf("not the key of this run")
			}
			return nil, nil
		},
	}}
	s.config.AddHostKey(host)
	known := "[127.*]:" + fmt.Sprint(port) + " " + string(gossh.MarshalAuthorizedKey(host.PublicKey()))
	if err := os.WriteFile(filepath.Join(dir, "known_hosts"), []byte(known), 0o600); err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			// On all interfaces to have all of 127/8, but for this machine only.
			if from, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !from.IP.IsLoopback() {
				conn.Close()
				continue
			}
			go s.host(conn)
		}
	}()
	if err := json.NewEncoder(os.Stdout).Encode(port); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// host is one connection: one host.
func (s *standIn) host(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(handshakeLimit))
	sc, channels, requests, err := gossh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	_ = conn.SetDeadline(time.Time{})
	defer sc.Close()
	go gossh.DiscardRequests(requests)
	for c := range channels {
		if c.ChannelType() != "session" {
			_ = c.Reject(gossh.UnknownChannelType, "sessions only")
			continue
		}
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				if r.Type == "exec" {
					var line struct{ Command string }
					if gossh.Unmarshal(r.Payload, &line) == nil {
						go s.agent(channel, line.Command)
					}
				}
				_ = r.Reply(r.Type == "exec", nil)
			}
		}()
	}
}

// agent says what an agent says.
func (s *standIn) agent(channel gossh.Channel, command string) {
	defer channel.Close()
	found := marker.FindStringSubmatch(command)
	if found == nil {
		return
	}
	if _, err := io.WriteString(channel, "SPINDLE1 "+found[1]+"\n"); err != nil {
		return
	}
	if _, err := io.CopyN(io.Discard, channel, int64(bootstrap.PackedSize())); err != nil {
		return
	}
	say := func(f wire.Frame) bool {
		b, err := wire.Append(nil, f)
		if err == nil {
			_, err = channel.Write(b)
		}
		return err == nil
	}
	for in := wire.NewUnpacker(wire.NewReader(channel)); ; {
		f, err := in.Next()
		if err != nil {
			return
		}
		ok := true
		switch h := f.Header.(type) {
		case wire.Ready:
			ok = say(wire.Frame{Header: wire.Hello{Proto: wire.Proto, Role: "agent", PID: 1, Version: "3.11.2"}, Body: s.facts})
		case wire.Call:
			if h.Flags&wire.FlagNoReply == 0 {
				ok = say(wire.Frame{ID: f.ID, Header: wire.Result{OutLen: len(standInSays)}, Body: []byte(standInSays)})
			}
		case wire.Ping:
			ok = h.Reply || say(wire.Frame{ID: f.ID, Header: wire.Ping{Reply: true, Stamp: h.Stamp}})
		case wire.Bye:
			return
		}
		if !ok {
			return
		}
	}
}

// standInSays is the answer to every call.
const standInSays = `{"changed": false, "stand-in": true}`
