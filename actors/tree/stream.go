package tree

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/sys/unix"

	"spindle/actors"
	"spindle/transports"
	"spindle/transports/wire"
)

// onOpenStream asks the agent to start a program and connects the relay to its id.
func (p *interpreter) onOpenStream(ctx actor.Context, m *openStream) {
	if p.lost || p.draining {
		ctx.Respond(&streamRefused{})
		return
	}
	env := map[string]string{}
	for _, kv := range m.command.Env {
		if k, v, ok := strings.Cut(kv, "="); ok {
			env[k] = v
		}
	}
	meta, err := json.Marshal(struct {
		Argv []string          `json:"argv"`
		Env  map[string]string `json:"env"`
		Cwd  string            `json:"cwd,omitempty"`
	}{m.command.Argv, env, m.command.Dir})
	if err != nil {
		panic(actors.Fault{Class: actors.ClassDefect, Err: err}) // strings always marshal
	}
	id := p.newID()
	if !m.relay.opened(id) { // whoever asked has gone meanwhile: nobody would ever end the program
		ctx.Respond(&streamRefused{})
		return
	}
	p.relays[id] = m.relay
	p.push(wire.Frame{ID: id, Header: wire.Spawn{Mode: int(m.command.Mode), MetaLen: len(meta)}, Body: meta})
	ctx.Respond(&streamOpened{id: id})
}

func (p *interpreter) onStreamWrite(m *streamWrite) {
	if p.relays[m.id] == nil {
		return
	}
	if len(m.data) > 0 {
		p.push(wire.Frame{ID: m.id, Header: wire.Data{Channel: m.channel}, Body: m.data})
	}
	if m.eof {
		p.push(wire.Frame{ID: m.id, Header: wire.EOF{Channel: m.channel}})
	}
}

// onStreamSplice sends a blob to the agent, unless that has it, and the word to pass it on: however many programs behind
// this agent need it, it crosses the link to here once. Where this link is a relay itself, the blob comes in the same way.
func (p *interpreter) onStreamSplice(m *streamSplice) {
	if p.relays[m.id] == nil {
		return
	}
	p.give(m.blob, m.content)
	p.push(wire.Frame{ID: m.id, Header: wire.Splice{Channel: wire.ChannelIn, Digest: m.blob.Digest, Form: m.form}})
}

func (p *interpreter) onRelayFrame(ctx actor.Context, r *relay, f wire.Frame) {
	switch h := f.Header.(type) {
	case wire.Data:
		if !r.deliver(h.Channel, f.Body) {
			p.onLost(ctx, errors.New("protocol error: DATA without credit"))
		}
	case wire.Credit:
		r.granted(h.Channel, h.Bytes)
	case wire.EOF:
		r.finished(h.Channel)
	case wire.Exit:
		delete(p.relays, f.ID)
		e := transports.Exit{Code: h.RC, Text: h.Text}
		if h.Signal != 0 {
			e.Signal = strings.TrimPrefix(unix.SignalName(unix.Signal(h.Signal)), "SIG")
		}
		r.exited(e)
	}
}
