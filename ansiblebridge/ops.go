package ansiblebridge

import (
	"encoding/json"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors/tree"
	"spindle/services/blobs"
	"spindle/services/connections"
	"spindle/transports/wire"
)

// lostContext is the contract's text (§1.10) for a call to a context whose link has ended.
const lostContext = "Mitogen was disconnected from the remote environment while a call was in-progress. If you feel this is in error, " +
	"please file a bug. Original error was: the respondent Context has disconnected"

// onCall starts a call: some ops are served here or by a service, the rest goes to the context's interpreter.
func (s *session) onCall(ctx actor.Context, id uint32, h wire.Call, body []byte) {
	s.calls++
	s.describe(ctx)
	noreply := h.Flags&wire.FlagNoReply != 0
	if _, taken := s.open[id]; taken || id == 0 {
		s.protocolError(ctx, "the id of a CALL is in use")
		return
	}
	if h.MetaLen < 0 || h.MetaLen > len(body) {
		s.protocolError(ctx, "a CALL's meta is longer than its body")
		return
	}
	meta := body[:h.MetaLen]
	if !noreply {
		s.open[id] = nil
		s.windows[id] = wire.WindowInitial
	}
	switch h.Op {
	case "connect":
		s.onConnect(ctx, id, meta)
	case "closure":
		s.onClosure(ctx, id, h, meta, body[h.MetaLen:])
	case "expect":
		s.onExpect(ctx, id, h)
	case "reset":
		s.onReset(ctx, id, h, meta)
	case "retire":
		s.onRetire(ctx, id, h, meta)
	case "ticket":
		s.onTicket(ctx, id, meta)
	case "tree":
		s.reply(id, s.cfg.Census.Snapshot())
	case "stats":
		s.onStats(id, meta)
	case "put", "get":
		s.onTransfer(ctx, id, h, meta)
	default:
		s.forward(ctx, id, h, body)
	}
}

// forward sends a call to its context's agent.
func (s *session) forward(ctx actor.Context, id uint32, h wire.Call, body []byte) {
	pid := s.contexts[h.Context]
	if pid == nil {
		s.finish(id, wire.Result{Status: wire.StatusStale, Text: lostContext}, nil)
		return
	}
	if _, open := s.open[id]; open {
		s.open[id] = pid
	}
	ctx.Request(pid, &tree.Invoke{Key: id, Call: h, Body: body})
}

// stack is the meta of ops that describe a context by its hops.
type stack struct {
	Hops []connections.HopRequest `json:"hops"`
	Bare bool                     `json:"bare"`
	Boot bool                     `json:"boot"`
	// Holder is the client's number for the user of the way.
	Holder uint32 `json:"holder"`
	// Ticket names the hops instead.
	Ticket string `json:"ticket"`
	// User is whose accounts are to be retired.
	User string `json:"user"`
}

func (s *session) onConnect(ctx actor.Context, id uint32, meta []byte) {
	var req stack
	if err := json.Unmarshal(meta, &req); err != nil {
		s.bad(id, "connect", err)
		return
	}
	s.ask(ctx, id, s.cfg.Connections, &connections.Acquire{Key: id, Hops: req.Hops, Ticket: req.Ticket, Bare: req.Bare, Boot: req.Boot, Holder: req.Holder})
}

func (s *session) onReset(ctx actor.Context, id uint32, h wire.Call, meta []byte) {
	var req stack
	if len(meta) > 0 {
		if err := json.Unmarshal(meta, &req); err != nil {
			s.bad(id, "reset", err)
			return
		}
	}
	s.ask(ctx, id, s.cfg.Connections, &connections.Reset{Key: id, Context: h.Context, Hops: req.Hops})
}

func (s *session) onRetire(ctx actor.Context, id uint32, h wire.Call, meta []byte) {
	var req stack
	if len(meta) > 0 {
		if err := json.Unmarshal(meta, &req); err != nil {
			s.bad(id, "retire", err)
			return
		}
	}
	m := &connections.Retire{Key: id, Context: h.Context, Interpreter: s.contexts[h.Context], Hops: req.Hops, User: req.User}
	if h.Context != "" && m.Interpreter == nil {
		s.finish(id, wire.Result{}, nil)
		return
	}
	delete(s.contexts, h.Context)
	s.ask(ctx, id, s.cfg.Connections, m)
}

func (s *session) onTicket(ctx actor.Context, id uint32, meta []byte) {
	var req stack
	if err := json.Unmarshal(meta, &req); err != nil {
		s.bad(id, "ticket", err)
		return
	}
	s.ask(ctx, id, s.cfg.Connections, &connections.Ticket{Key: id, Hops: req.Hops})
}

// ticketReply answers the op ticket.
type ticketReply struct {
	Ticket string `json:"ticket"`
}

// contextReply is a context as the worker sees it.
type contextReply struct {
	Context string          `json:"context"`
	Path    string          `json:"path"`
	Hello   json.RawMessage `json:"hello"`
	How     string          `json:"how"`
	Why     string          `json:"why"`
}

func (s *session) onAcquired(ctx actor.Context, m *connections.Acquired) {
	if _, open := s.open[m.Key]; !open {
		return
	}
	view := func(c connections.Context) contextReply {
		if s.contexts[c.Name] == nil || !s.contexts[c.Name].Equal(c.Interpreter) {
			s.contexts[c.Name] = c.Interpreter
			ctx.Watch(c.Interpreter)
			s.watched[c.Interpreter.Id] = c.Interpreter
		}
		return contextReply{Context: c.Name, Path: c.Interpreter.Id, Hello: c.Facts, How: c.How, Why: c.Why}
	}
	s.reply(m.Key, struct {
		contextReply
		Login contextReply `json:"login"`
		Said  []string     `json:"said,omitempty"`
	}{view(m.Target), view(m.Login), m.Said})
}

func (s *session) onClosure(ctx actor.Context, id uint32, h wire.Call, meta, input []byte) {
	const size = len(wire.Digest{})
	var req struct {
		Python2 int `json:"python2"`
	}
	if len(meta) > 0 {
		if err := json.Unmarshal(meta, &req); err != nil {
			s.bad(id, "closure", err)
			return
		}
	}
	if !h.HasClosure || len(input) == 0 || len(input)%size != 0 {
		s.finish(id, wire.Result{Status: wire.StatusError, Text: "closure: the input must be whole digests, and closure be set"}, nil)
		return
	}
	if req.Python2 < 0 || req.Python2 > len(input)/size {
		s.finish(id, wire.Result{Status: wire.StatusError, Text: "closure: python2 must count some of the digests"}, nil)
		return
	}
	digests := make([]wire.Digest, 0, len(input)/size)
	for i := 0; i < len(input); i += size {
		digests = append(digests, wire.Digest(input[i:i+size]))
	}
	s.ask(ctx, id, s.cfg.Blobs, &blobs.Register{Key: id, Closure: h.Closure, Digests: digests, Python2: req.Python2})
}

// onExpect passes on which closure new agents will be asked for first.
func (s *session) onExpect(ctx actor.Context, id uint32, h wire.Call) {
	if !h.HasClosure {
		s.finish(id, wire.Result{Status: wire.StatusError, Text: "expect: closure must be set"}, nil)
		return
	}
	ctx.Send(s.cfg.Tree, &tree.Expect{Closure: h.Closure})
	s.finish(id, wire.Result{}, nil)
}

func (s *session) onMissing(m *blobs.Missing) {
	var out []byte
	for _, d := range m.Digests {
		out = append(out, d[:]...)
	}
	s.finish(m.Key, wire.Result{OutLen: len(out)}, out)
}

func (s *session) onTransfer(ctx actor.Context, id uint32, h wire.Call, meta []byte) {
	var req struct {
		Src   tree.Path `json:"src"`
		Dest  tree.Path `json:"dest"`
		Mode  *uint32   `json:"mode"`
		Times bool      `json:"times"`
	}
	if err := json.Unmarshal(meta, &req); err != nil {
		s.bad(id, h.Op, err)
		return
	}
	pid := s.contexts[h.Context]
	if pid == nil {
		s.finish(id, wire.Result{Status: wire.StatusStale, Text: lostContext}, nil)
		return
	}
	src, dest := string(req.Src), string(req.Dest)
	var m any = &tree.Get{Key: id, Src: src, Dest: dest, Timeout: h.Timeout}
	if h.Op == "put" {
		m = &tree.Put{Key: id, Src: src, Dest: dest, Mode: req.Mode, Times: req.Times, Timeout: h.Timeout}
	}
	if _, open := s.open[id]; open {
		s.open[id] = pid
	}
	ctx.Request(pid, m)
}

func (s *session) bad(id uint32, op string, err error) {
	s.finish(id, wire.Result{Status: wire.StatusError, Text: op + ": bad meta: " + err.Error()}, nil)
}

// reply answers with JSON.
func (s *session) reply(id uint32, v any) {
	out, err := json.Marshal(v)
	if err != nil {
		s.finish(id, wire.Result{Status: wire.StatusFault, Text: err.Error()}, nil)
		return
	}
	s.replyRaw(id, out)
}

// replyRaw answers with what is no longer to be encoded.
func (s *session) replyRaw(id uint32, out []byte) {
	if len(out) <= wire.InlineMax {
		s.finish(id, wire.Result{OutLen: len(out)}, out)
		return
	}
	s.long[id] = &longReply{rest: out, credit: wire.WindowInitial}
	s.continueReply(id, s.long[id])
}

// longReply is an answer that goes out as DATA, against the client's credit.
type longReply struct {
	rest   []byte
	credit int
}

func (s *session) continueReply(id uint32, r *longReply) {
	for len(r.rest) > 0 && r.credit > 0 {
		n := min(len(r.rest), r.credit, wire.ChunkMax)
		s.out.Push(wire.Frame{ID: id, Header: wire.Data{Channel: 1}, Body: r.rest[:n]})
		r.rest, r.credit = r.rest[n:], r.credit-n
	}
	if len(r.rest) == 0 {
		s.finish(id, wire.Result{}, nil)
	}
}
