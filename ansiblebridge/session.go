package ansiblebridge

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"spindle/actors"
	"spindle/actors/frames"
	"spindle/actors/tree"
	"spindle/services/blobs"
	"spindle/services/connections"
	"spindle/transports"
	"spindle/transports/wire"
)

// session serves one client. It owns the socket and the client's open calls.
//
//	state   accepts                                     leaves by
//	new     HELLO                                       → open
//	open    CALL, CANCEL, DATA, EOF, CREDIT, BLOB, BYE  socket's end, BYE, protocol error → gone
type session struct {
	cfg  *Config
	name string
	conn *net.UnixConn
	out  *frames.Outbox

	greeted  bool
	leaving  bool                  // BYE is on its way out; nothing more is taken in
	open     map[uint32]*actor.PID // calls by the client's id; nil while a service works on it
	asked    map[uint32]*actor.PID // the services that do, by the client's id
	contexts map[string]*actor.PID // interpreters by context name
	watched  map[string]*actor.PID // interpreters that know of this session, by id: also those that no context has any more
	windows  map[uint32]int        // input credit that the client still has, by id
	long     map[uint32]*longReply // answers of this session's own that are too large for one frame
	bytesIn  uint64
	bytesOut uint64
	calls    int
	peer     string
}

func sessionSpec(cfg *Config, name string, conn *net.UnixConn) actors.Spec {
	return actors.Spec{Kind: "session", Name: "session:" + name, New: func() actor.Actor {
		return &session{
			cfg: cfg, name: name, conn: conn,
			open: map[uint32]*actor.PID{}, asked: map[uint32]*actor.PID{}, contexts: map[string]*actor.PID{}, watched: map[string]*actor.PID{}, windows: map[uint32]int{}, long: map[uint32]*longReply{},
		}
	}}
}

func (s *session) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.out = frames.NewOutbox(ctx, s.conn)
		frames.Read(ctx, wire.NewReader(s.conn))
	case *frames.In:
		s.onFrame(ctx, m)
	case *frames.Wrote:
		s.bytesOut += uint64(m.Bytes)
		s.out.OnWrote(m)
		if s.leaving && s.out.Idle() {
			ctx.Stop(ctx.Self())
		}
	case *leaveLate:
		ctx.Stop(ctx.Self())
	case *frames.Rested:
		s.out.OnRested()
	case *frames.Lost:
		s.onLost(ctx, m)
	case *tree.Done:
		s.finish(m.Key, m.Result, m.Body)
	case *tree.Output:
		s.onOutput(m)
	case *tree.InputCredit:
		s.onInputCredit(m)
	case *actors.PumpDone:
		if m.Err != nil {
			ctx.Stop(ctx.Self())
		}
	case *connections.Acquired:
		s.onAcquired(ctx, m)
	case *connections.Refused:
		s.onRefused(m)
	case *connections.TicketMade:
		s.reply(m.Key, ticketReply{m.Ticket})
	case *connections.ResetDone:
		s.finish(m.Key, wire.Result{}, nil)
	case *blobs.Missing:
		s.onMissing(m)
	case *actor.Terminated:
		delete(s.watched, m.Who.Id)
		// The engine lets this overtake what is queued, and a finished call's answer may be: look at it behind those.
		ctx.Send(ctx.Self(), &interpreterGone{who: m.Who})
	case *interpreterGone:
		s.onGone(m.who)
	case *actors.Failed:
		s.onServiceFailed(m)
	case *actor.Stopping:
		s.onStopping(ctx)
	}
}

func (s *session) onFrame(ctx actor.Context, m *frames.In) {
	defer m.Done()
	s.bytesIn += uint64(m.Bytes)
	if s.leaving {
		return
	}
	f := m.Frame
	if h, hello := f.Header.(wire.Hello); hello != !s.greeted {
		s.protocolError(ctx, "HELLO comes first, and once")
		return
	} else if hello {
		s.onHello(ctx, h)
		return
	}
	switch h := f.Header.(type) {
	case wire.Call:
		s.onCall(ctx, f.ID, h, f.Body)
	case wire.Cancel:
		s.toCall(ctx, f.ID, &tree.Abort{Key: f.ID, Reason: wire.Clip(h.Reason)})
	case wire.Data:
		s.onInput(ctx, f.ID, h, f.Body)
	case wire.EOF:
		s.toCall(ctx, f.ID, &tree.Input{Key: f.ID, EOF: true})
	case wire.Credit:
		if r := s.long[f.ID]; r != nil {
			r.credit += h.Bytes
			s.continueReply(f.ID, r)
			return
		}
		s.toCall(ctx, f.ID, &tree.OutputCredit{Key: f.ID, Channel: h.Channel, Bytes: h.Bytes})
	case wire.Blob:
		ctx.Send(s.cfg.Blobs, &blobs.Store{Blob: tree.Blob{Digest: h.Digest, Size: h.Size, Encoding: h.Encoding, Content: f.Body}})
	case wire.Ping:
		if !h.Reply {
			s.out.Push(wire.Frame{ID: f.ID, Header: wire.Ping{Reply: true, Stamp: h.Stamp}})
		}
	case wire.Bye:
		ctx.Stop(ctx.Self())
	default:
		s.protocolError(ctx, fmt.Sprintf("a client may not send %s", f.Header.Kind()))
	}
}

func (s *session) onHello(ctx actor.Context, h wire.Hello) {
	if h.Proto != wire.Proto {
		s.protocolError(ctx, fmt.Sprintf("the plugins speak protocol %d and this multiplexer (%s) speaks %d: run `spindle plugins` again",
			h.Proto, s.cfg.Version, wire.Proto))
		return
	}
	s.greeted = true
	s.peer = h.Role + ":" + strconv.Itoa(h.PID)
	s.describe(ctx)
	s.out.Push(wire.Frame{Header: wire.Ready{Proto: wire.Proto, PID: os.Getpid(), Version: s.cfg.Version}})
}

func (s *session) describe(ctx actor.Context) {
	actors.Describe(ctx, actors.Facts{
		State: "open", Bytes: actors.Bytes{In: s.bytesIn, Out: s.bytesOut},
		Extra: map[string]string{"peer": s.peer, "calls": strconv.Itoa(s.calls)},
	})
}

func (s *session) protocolError(ctx actor.Context, text string) {
	s.cfg.Logger.Warn("protocol error", zap.String("path", ctx.Self().Id), zap.String("text", text))
	s.leaving = true
	s.out.Push(wire.Frame{Header: wire.Bye{Reason: wire.Clip(text)}})
	actors.After(ctx, byeGrace, &leaveLate{})
}

// byeGrace is how long a client that is told to go may take to read why.
const byeGrace = time.Second

type leaveLate struct{}

func (s *session) onLost(ctx actor.Context, m *frames.Lost) {
	var pe *wire.ProtocolError
	if errors.As(m.Err, &pe) {
		s.protocolError(ctx, pe.Error())
		return
	}
	ctx.Stop(ctx.Self())
}

// onInput passes input on; a client without credit is broken.
func (s *session) onInput(ctx actor.Context, id uint32, h wire.Data, data []byte) {
	if _, open := s.open[id]; !open {
		return // the call has ended; what was under way is late
	}
	if h.Channel != 0 || len(data) > s.windows[id] {
		s.protocolError(ctx, "DATA without credit")
		return
	}
	s.windows[id] -= len(data)
	s.toCall(ctx, id, &tree.Input{Key: id, Data: data})
}

func (s *session) onInputCredit(m *tree.InputCredit) {
	if _, open := s.open[m.Key]; open && m.Bytes > 0 {
		s.windows[m.Key] += m.Bytes
		s.out.Push(wire.Frame{ID: m.Key, Header: wire.Credit{Channel: 0, Bytes: m.Bytes}})
	}
}

func (s *session) onOutput(m *tree.Output) {
	if _, open := s.open[m.Key]; open {
		s.out.Push(wire.Frame{ID: m.Key, Header: wire.Data{Channel: m.Channel}, Body: m.Data})
	}
}

// toCall hands a message to the interpreter that runs the call, as this session's.
func (s *session) toCall(ctx actor.Context, id uint32, m any) {
	if pid := s.open[id]; pid != nil {
		ctx.Request(pid, m)
	}
}

// finish sends the one terminal answer to a call; a second one for the same id is dropped.
func (s *session) finish(id uint32, r wire.Result, body []byte) {
	if _, open := s.open[id]; !open {
		return
	}
	delete(s.open, id)
	delete(s.asked, id)
	delete(s.windows, id)
	delete(s.long, id)
	r.Text = wire.Clip(r.Text) // one that no header can carry would end the session
	s.out.Push(wire.Frame{ID: id, Header: r, Body: body})
}

func (s *session) onRefused(m *connections.Refused) {
	r := wire.Result{Status: wire.StatusFault, Text: m.Err.Error()}
	var ce *transports.ConnectError
	if errors.As(m.Err, &ce) {
		r.Status = wire.StatusUnreachable
		if ce.Class == transports.BecomeFailed {
			r.Status = wire.StatusFailed
			r.RC = ce.ExitStatus()
		}
	}
	s.finish(m.Key, r, nil)
}

// ask has a service do a call. Its answer names the call.
func (s *session) ask(ctx actor.Context, id uint32, service *actor.PID, m any) {
	if _, open := s.open[id]; open {
		s.asked[id] = service
	}
	ctx.Request(service, m)
}

// onServiceFailed answers what a service has been asked and will not answer. Calls to interpreters end with Terminated, and what is sent to one that
// has just ended comes back, too.
func (s *session) onServiceFailed(m *actors.Failed) {
	for id, service := range s.asked {
		if service.Id == m.Path {
			s.cfg.Logger.Error("a request failed", zap.String("path", m.Path), zap.Error(m.Err))
			s.finish(id, wire.Result{Status: wire.StatusFault, Text: m.Error()}, nil)
		}
	}
}

// interpreterGone is Terminated of an interpreter, in its place among the answers.
type interpreterGone struct{ who *actor.PID }

// onGone answers what an interpreter that is gone has left open.
func (s *session) onGone(who *actor.PID) {
	for name, pid := range s.contexts {
		if pid.Equal(who) {
			delete(s.contexts, name)
		}
	}
	for id, pid := range s.open {
		if pid != nil && pid.Equal(who) {
			s.finish(id, wire.Result{Status: wire.StatusUnreachable, Text: lostContext}, nil)
		}
	}
}

func (s *session) onStopping(ctx actor.Context) {
	for id, pid := range s.open {
		if pid != nil {
			ctx.Request(pid, &tree.Abort{Key: id, Reason: "the worker is gone"})
		}
	}
	for _, pid := range s.watched { // they would keep the session for as long as they live
		ctx.Unwatch(pid)
	}
	ctx.Send(s.cfg.Connections, &connections.Forget{Requester: ctx.Self()})
	s.out.Close()
	s.conn.Close()
}
