package tree

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"spindle/actors"
	"spindle/actors/frames"
	"spindle/transports"
	"spindle/transports/wire"
)

// drainGrace is how long an interpreter that is draining waits for what is below it, and then for its agent.
const drainGrace = 3 * time.Second

// callKey names a requester's call.
type callKey struct {
	from string
	key  uint32
}

// owner is the child that an id belongs to, and the requester's name for it.
type owner struct {
	pid *actor.PID
	key callKey
}

// waiting is a call whose closure is being fetched. A nil closure entry in the queue keeps later calls behind it.
type waiting struct {
	invoke *Invoke
	sender *actor.PID
	input  []*Input // what has come for it meanwhile, no more than its requester sends unasked
}

// interpreter is the conversation with one agent.
//
//	state     accepts                                   leaves by
//	ready     everything                                link end → gone; Drain → draining
//	retiring  frames, Terminated, Drain                 nothing open → draining
//	draining  frames, Terminated, drainTick             link end or two graces → gone
type interpreter struct {
	cfg     *Config
	booted  *transports.Booted
	host    string
	python3 bool
	packs   bool
	split   transports.Splitter // nil if there are no byways

	out      *frames.Outbox
	link     *frames.Closer
	nextID   uint32
	owners   map[uint32]owner // call and transfer children, by id
	byPID    map[string]uint32
	relays   map[uint32]*relay // spawned programs, by id
	byKey    map[callKey]uint32
	present  map[wire.Digest]bool // blobs that the agent has
	complete map[wire.Digest]bool // closures that the agent has
	fetching map[wire.Digest][]waiting
	loads    []*Fetched                    // closures whose content is under way, the first one's right now
	bundles  map[wire.Digest][]wire.Digest // what is in bundles that may come by
	hops     map[string]bool               // children that are hops, by PID id

	beat     heart
	retiring bool
	draining bool
	grace    *actors.Timer // of the half of draining that it is in
	goodbye  bool
	lost     bool
	bytesIn  uint64
	bytesOut uint64
	lastErr  string
}

type drainTick struct{}

// hello is what is read of an agent's HELLO.
type hello struct {
	Python   string `json:"python"`
	Hostname string `json:"hostname"`
	// Agent is the digest of the agent itself, which it holds as a blob.
	Agent string `json:"agent"`
}

// interpreterSpec describes the conversation with an agent that has been given some blobs already.
func interpreterSpec(cfg *Config, b *transports.Booted, facts hello, given []wire.Digest) actors.Spec {
	name := path.Base(facts.Python)
	present := map[wire.Digest]bool{}
	if d, err := wire.ParseDigest(facts.Agent); err == nil {
		present[d] = true
	}
	for _, d := range given {
		present[d] = true
	}
	if facts.Python == "" || name == "." || name == "/" {
		name = "python"
	}
	said, _ := b.Hello.Header.(wire.Hello)
	python3 := strings.HasPrefix(said.Version, "3.")
	return actors.Spec{Kind: "interpreter", Name: name, New: func() actor.Actor {
		return &interpreter{
			cfg: cfg, booted: b, host: facts.Hostname, python3: python3, packs: b.Packs(), present: present,
			owners: map[uint32]owner{}, byPID: map[string]uint32{}, relays: map[uint32]*relay{}, byKey: map[callKey]uint32{},
			complete: map[wire.Digest]bool{}, fetching: map[wire.Digest][]waiting{}, bundles: map[wire.Digest][]wire.Digest{}, hops: map[string]bool{},
		}
	}}
}

func (p *interpreter) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.onStarted(ctx)
	case *frames.In:
		p.onFrame(ctx, m)
	case *frames.Wrote:
		p.onWrote(ctx, m)
	case *frames.Rested:
		p.out.OnRested()
	case *frames.Lost:
		p.onLost(ctx, m.Err)
	case *Invoke:
		p.onInvoke(ctx, m, ctx.Sender())
	case *Fetched:
		p.onFetched(ctx, m)
	case *seek:
		p.onSeek(ctx, m)
	case *sought:
		p.onSought(ctx, m)
	case *Loaded:
		p.onLoaded(ctx, m)
	case *Unknown:
		p.onUnknown(ctx, m)
	case *Put:
		p.onTransfer(ctx, m.Key, m.spec)
	case *Get:
		p.onTransfer(ctx, m.Key, m.spec)
	case *Input, *OutputCredit, *Abort:
		p.toCall(ctx, m)
	case *sendFrame:
		p.push(m.frame)
	case *openStream:
		p.onOpenStream(ctx, m)
	case *streamWrite:
		p.onStreamWrite(m)
	case *streamSplice:
		p.onStreamSplice(m)
	case *streamGrant:
		if p.relays[m.id] != nil {
			p.push(wire.Frame{ID: m.id, Header: wire.Credit{Channel: m.channel, Bytes: m.bytes}})
		}
	case *streamClose:
		if p.relays[m.id] != nil {
			p.push(wire.Frame{ID: m.id, Header: wire.Cancel{Reason: "closed"}})
		}
	case *OpenHop:
		p.onOpenHop(ctx, m)
	case *measureTrip:
		p.onMeasureTrip(ctx.Sender())
	case *bywaysRefused:
		p.split = nil
	case *beatTick:
		p.onBeat(ctx)
	case *Drain:
		p.onDrain(ctx, m)
	case *Retire:
		p.onRetire(ctx, m)
	case *drainTick:
		p.onDrainTick(ctx)
	case *actors.PumpDone:
		if m.Err != nil {
			p.onLost(ctx, m.Err)
		}
	case *actors.Failed:
		p.onFetchFailed(ctx, m)
	case *violation:
		p.onLost(ctx, fmt.Errorf("protocol error: %s", m.text))
	case *actor.Terminated:
		p.onTerminated(ctx, m)
	case *actor.Stopping:
		p.onStopping()
	}
}

func (p *interpreter) onStarted(ctx actor.Context) {
	p.link = frames.NewCloser(ctx, p.booted.Link)
	if s, ok := p.booted.Link.(transports.Splitter); ok && s.Splits() {
		p.split = s
	}
	if p.packs {
		p.out = frames.NewPackingOutbox(ctx, p.booted.Link)
		frames.Read(ctx, wire.NewUnpacker(p.booted.Frames))
	} else {
		p.out = frames.NewOutbox(ctx, p.booted.Link)
		frames.Read(ctx, p.booted.Frames)
	}
	p.describe(ctx)
	p.startBeat(ctx)
}

func (p *interpreter) describe(ctx actor.Context) {
	state := "ready"
	switch {
	case p.draining:
		state = "draining"
	case p.retiring:
		state = "retiring"
	}
	actors.Describe(ctx, actors.Facts{
		State: state, LastError: p.lastErr, Bytes: actors.Bytes{In: p.bytesIn, Out: p.bytesOut},
		Extra: map[string]string{"calls": strconv.Itoa(len(p.owners)), "blobs": strconv.Itoa(len(p.present)), "packed": yes(p.packs)},
	})
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (p *interpreter) push(f wire.Frame) {
	if !p.lost {
		p.out.Push(f)
	}
}

func (p *interpreter) onOpenHop(ctx actor.Context, m *OpenHop) {
	if p.lost || p.draining || p.retiring {
		ctx.Send(m.Report, &HopFailed{Key: m.Hop.Key, Err: &transports.ConnectError{Class: transports.Unreachable, Text: Interrupted}})
		return
	}
	if pid := spawnHop(ctx, p.cfg, &agentSpawner{system: actors.SystemOf(ctx), interp: ctx.Self(), packs: p.packs}, m, p.host); pid != nil {
		p.hops[pid.Id] = true
	}
}

// --- calls ---

// onInvoke starts a call, after its closure's content if the agent lacks any of it.
func (p *interpreter) onInvoke(ctx actor.Context, m *Invoke, sender *actor.PID) {
	if p.refused(ctx, m.Key, sender) {
		return
	}
	if m.Call.HasClosure && !p.complete[m.Call.Closure] {
		c := m.Call.Closure
		queue, asked := p.fetching[c] // which may be empty: see abortWaiting
		p.fetching[c] = append(queue, waiting{invoke: m, sender: sender})
		if !asked {
			ctx.Request(p.cfg.Blobs, &Fetch{Closure: c})
		}
		return
	}
	p.start(ctx, m, sender)
}

func (p *interpreter) start(ctx actor.Context, m *Invoke, sender *actor.PID) {
	id := p.newID()
	head := m.Call
	head.Context, head.HasClosure, head.Closure = "", false, wire.Digest{}
	frame := wire.Frame{ID: id, Header: head, Body: m.Body}
	if head.Flags&wire.FlagNoReply != 0 {
		p.push(frame)
		return
	}
	x := exchange{id: id, key: m.Key, requester: sender}
	if p.startExchange(ctx, x, callSpec(x, head.Timeout)) {
		p.push(frame)
	}
}

// refused answers a request that comes too late, so that nothing is done about it.
func (p *interpreter) refused(ctx actor.Context, key uint32, sender *actor.PID) bool {
	if !p.lost && !p.draining && !p.retiring {
		return false
	}
	answer(ctx, sender, key, wire.Result{Status: wire.StatusStale, Text: disconnected("the connection is being closed")})
	return true
}

func answer(ctx actor.Context, to *actor.PID, key uint32, r wire.Result) {
	if to != nil {
		ctx.Send(to, &Done{Key: key, Result: r})
	}
}

func (p *interpreter) own(id uint32, pid, sender *actor.PID, key uint32) {
	o := owner{pid: pid}
	if sender != nil {
		o.key = callKey{sender.Id, key}
		p.byKey[o.key] = id
	}
	p.owners[id] = o
	p.byPID[pid.Id] = id
}

func (p *interpreter) newID() uint32 {
	for {
		p.nextID++
		if p.nextID == 0 {
			continue
		}
		if p.owners[p.nextID].pid == nil && p.relays[p.nextID] == nil {
			return p.nextID
		}
	}
}

// toCall hands a requester's message to the child that runs its call; a call that has ended meanwhile needs nothing more.
func (p *interpreter) toCall(ctx actor.Context, m any) {
	var key uint32
	switch m := m.(type) {
	case *Input:
		key = m.Key
		if p.keepInput(ctx, m) {
			return
		}
	case *OutputCredit:
		key = m.Key
	case *Abort:
		key = m.Key
		if p.abortWaiting(ctx, m) {
			return
		}
	}
	if ctx.Sender() != nil {
		p.toOwner(ctx, callKey{ctx.Sender().Id, key}, m)
	}
}

// toOwner hands a message to the child that runs a call, if there is one.
func (p *interpreter) toOwner(ctx actor.Context, key callKey, m any) {
	if o := p.owners[p.byKey[key]]; o.pid != nil {
		ctx.Send(o.pid, m)
	}
}

// keepInput keeps the input of a call that is not begun yet, as its closure's content is on its way.
func (p *interpreter) keepInput(ctx actor.Context, m *Input) bool {
	for _, queue := range p.fetching {
		for i, w := range queue {
			if w.invoke.Key == m.Key && w.sender.Equal(ctx.Sender()) {
				queue[i].input = append(w.input, m)
				return true
			}
		}
	}
	return false
}

// abortWaiting ends a call that has not been sent yet because its closure is on its way.
func (p *interpreter) abortWaiting(ctx actor.Context, m *Abort) bool {
	for c, queue := range p.fetching {
		for i, w := range queue {
			if w.invoke.Key == m.Key && w.sender.Equal(ctx.Sender()) {
				// The entry stays, emptied, so that the answer to Fetch still finds its queue.
				answer(ctx, w.sender, m.Key, wire.Result{Status: wire.StatusCancelled, Text: m.Reason})
				p.fetching[c] = append(queue[:i:i], queue[i+1:]...)
				if len(p.fetching[c]) == 0 {
					p.fetching[c] = []waiting{}
				}
				return true
			}
		}
	}
	return false
}

// --- frames from the agent ---

func (p *interpreter) onFrame(ctx actor.Context, m *frames.In) {
	defer m.Done()
	p.bytesIn += uint64(m.Bytes)
	p.beat.heard()
	if p.lost {
		return
	}
	f := m.Frame
	switch h := f.Header.(type) {
	case wire.Result, wire.Data, wire.Credit, wire.EOF, wire.Exit, wire.Byway:
		p.onOwned(ctx, f)
	case wire.Ping:
		p.onPing(ctx, h)
	case wire.Log:
		p.cfg.Logger.Info("agent", zap.String("path", ctx.Self().Id), zap.String("logger", h.Logger), zap.String("text", h.Text))
	case wire.Bye:
		p.goodbye = true
		p.lastErr = h.Reason
	default:
		p.onLost(ctx, fmt.Errorf("protocol error: the agent sent a %s frame", f.Header.Kind()))
	}
}

// onOwned gives a frame to whoever owns its id. A frame for an id that has ended is late and is dropped, unless the id was never given out.
func (p *interpreter) onOwned(ctx actor.Context, f wire.Frame) {
	if r := p.relays[f.ID]; r != nil {
		p.onRelayFrame(ctx, r, f)
		p.leaveIfIdle(ctx)
		return
	}
	if o := p.owners[f.ID]; o.pid != nil {
		if _, last := f.Header.(wire.Result); last {
			p.disown(f.ID)
		}
		ctx.Send(o.pid, &agentFrame{frame: f})
		p.leaveIfIdle(ctx)
		return
	}
	if f.ID == 0 || f.ID > p.nextID {
		p.onLost(ctx, fmt.Errorf("protocol error: the agent sent a %s frame for id %d, which is not open", f.Header.Kind(), f.ID))
	}
}

func (p *interpreter) disown(id uint32) {
	if o, open := p.owners[id]; open {
		delete(p.owners, id)
		delete(p.byPID, o.pid.Id)
		delete(p.byKey, o.key)
	}
}

// onRetire lets the interpreter end when it has nothing left to do. It takes nothing new.
func (p *interpreter) onRetire(ctx actor.Context, m *Retire) {
	if p.retiring || p.draining || p.lost {
		return
	}
	p.retiring = true
	p.describe(ctx)
	for _, c := range p.hopsBelow(ctx) {
		ctx.Send(c, m)
	}
	p.leaveIfIdle(ctx)
}

// leaveIfIdle starts the end of a retiring interpreter once nothing is open.
func (p *interpreter) leaveIfIdle(ctx actor.Context) {
	if p.retiring && !p.lost && len(p.owners)+len(p.fetching)+len(p.relays)+len(p.hopsBelow(ctx)) == 0 {
		p.onDrain(ctx, &Drain{Reason: "retired"})
	}
}

func (p *interpreter) onWrote(ctx actor.Context, m *frames.Wrote) {
	p.bytesOut += uint64(m.Bytes)
	p.out.OnWrote(m)
	for _, s := range m.Data {
		if o := p.owners[s.ID]; o.pid != nil {
			ctx.Send(o.pid, &frameSent{id: s.ID, channel: s.Channel, bytes: s.Bytes})
		}
	}
	p.describe(ctx)
	if p.draining && p.goodbye && p.out.Idle() {
		_ = p.booted.Link.CloseWrite()
	}
}

// --- the end ---

// onLost ends the interpreter: everything open is answered, then the hop is told.
func (p *interpreter) onLost(ctx actor.Context, cause error) {
	if p.lost {
		return
	}
	p.lost = true
	clean := errors.Is(cause, io.EOF) && p.draining
	if errors.Is(cause, io.EOF) {
		cause = errors.New("the respondent Context has disconnected")
		if p.lastErr != "" {
			cause = errors.New(p.lastErr)
		}
	}
	if !clean {
		p.cfg.Logger.Info("link lost", zap.String("path", ctx.Self().Id), zap.Error(cause))
	}
	p.lastErr = cause.Error()
	p.describe(ctx)
	result := wire.Result{Status: wire.StatusUnreachable, Text: disconnected(p.lastErr)}
	for _, o := range p.owners {
		ctx.Send(o.pid, &callLost{result: result})
	}
	for _, queue := range p.fetching {
		for _, w := range queue {
			answer(ctx, w.sender, w.invoke.Key, result)
		}
	}
	p.fetching, p.loads = map[wire.Digest][]waiting{}, nil
	for _, r := range p.relays {
		r.fail(cause)
	}
	p.link.Close()
	ctx.Send(ctx.Parent(), &linkLost{cause: cause, clean: clean})
}

func (p *interpreter) onStopping() {
	p.lost = true
	p.out.Close()
	for _, r := range p.relays {
		r.fail(io.ErrClosedPipe)
	}
}

// disconnected is the contract's text (§1.10) for a link that ends under a call.
func disconnected(reason string) string {
	return "Mitogen was disconnected from the remote environment while a call was in-progress. If you feel this is in error, " +
		"please file a bug. Original error was: " + reason
}

// lostWith is the answer of a call that has to stop, with the reason of whatever above it ended.
func lostWith(ctx actor.Context) wire.Result {
	reason := "the connection is being closed"
	var f *actors.Failed
	if cause := actors.Cause(ctx); errors.As(cause, &f) {
		reason = f.Err.Error()
	} else if cause != nil {
		reason = cause.Error()
	}
	return wire.Result{Status: wire.StatusUnreachable, Text: disconnected(reason)}
}

// --- draining ---

func (p *interpreter) onDrain(ctx actor.Context, m *Drain) {
	if p.draining || p.lost {
		return
	}
	p.draining = true
	p.describe(ctx)
	p.grace = actors.After(ctx, drainGrace, &drainTick{})
	for _, c := range p.hopsBelow(ctx) {
		ctx.Send(c, m)
	}
	p.leaveIfAlone(ctx)
}

// hopsBelow lists the children that are hops.
func (p *interpreter) hopsBelow(ctx actor.Context) []*actor.PID {
	var hops []*actor.PID
	for _, c := range ctx.Children() {
		if p.hops[c.Id] {
			hops = append(hops, c)
		}
	}
	return hops
}

// leaveIfAlone says BYE once no hop is left below: the agent then ends its tasks, cleans up and closes the link.
func (p *interpreter) leaveIfAlone(ctx actor.Context) {
	if !p.draining || p.goodbye || len(p.hopsBelow(ctx)) > 0 {
		return
	}
	p.sayBye(ctx)
}

// sayBye begins the second half of draining, which has its whole grace whatever is left of the first one's.
func (p *interpreter) sayBye(ctx actor.Context) {
	p.goodbye = true
	p.push(wire.Frame{Header: wire.Bye{Reason: "drain"}})
	p.grace.Stop()
	p.grace = actors.After(ctx, drainGrace, &drainTick{})
}

// onDrainTick is the deadline of each half of draining: first for what is below, then for the agent itself.
func (p *interpreter) onDrainTick(ctx actor.Context) {
	if p.goodbye {
		p.onLost(ctx, errors.New("the agent did not end in time"))
		return
	}
	p.sayBye(ctx)
}

func (p *interpreter) onTerminated(ctx actor.Context, m *actor.Terminated) {
	delete(p.hops, m.Who.Id)
	if id, open := p.byPID[m.Who.Id]; open {
		p.disown(id)
	}
	p.leaveIfAlone(ctx)
	p.leaveIfIdle(ctx)
}
