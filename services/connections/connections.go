package connections

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"spindle/actors"
	"spindle/actors/tree"
	"spindle/bootstrap"
	"spindle/transports"
)

// Config is what the service needs. It is immutable.
type Config struct {
	Logger *zap.Logger
	// Tree is the parent of first hops.
	Tree *actor.PID
	// Factories makes a Dialer from a method's settings.
	Factories map[string]transports.Factory
	// MaxInterpreters is how many accounts are kept at a time behind one login; 0 stands for DefaultMaxInterpreters.
	MaxInterpreters int
}

// state of an entry.
type state int

const (
	dialing state = iota
	ready
	closing
)

// entry is one hop that exists or is on its way.
type entry struct {
	key     string // of the hop
	bare    bool   // it has no agent
	passage bool   // others have been led through it
	above   *entry // the one that it starts from, which may have lost its name to another one; nil for first hops
	from    string // PID id of the interpreter that it starts from
	become  bool
	state   state
	hop     *actor.PID
	interp  *actor.PID
	facts   json.RawMessage
	how     string
	why     string
	said    []string // what the user wants to see, until the first one has been told
	waiters []*request
	used    uint64 // when it was last asked for, by the service's clock
}

func (e *entry) name() string {
	if e.bare {
		return bareName(e.key)
	}
	return e.key
}

// going says that nothing new may start from it or join it.
func (e *entry) going() bool {
	return e.state == closing || e.above != nil && e.above.state == closing
}

// behind says whether an entry is another one, or starts from it at whatever distance.
func (e *entry) behind(other *entry) bool {
	for ; e != nil; e = e.above {
		if e == other {
			return true
		}
	}
	return false
}

// request is one Acquire on its way outwards.
type request struct {
	key    uint32
	reply  *actors.Reply
	holder uint32 // what who asks calls the user of this way
	hops   []*tree.Hop
	bare   bool     // an account without an agent will do
	boot   bool     // but an agent is tried first
	login  int      // the hop that leads to the last host; those behind it change the account there
	way    []*entry // for each hop, as far as it has come
}

type connections struct {
	cfg        *Config
	secret     []byte
	entries    map[string]*entry   // by name: the hop's key, or bareName of it
	dials      map[string]*entry   // that are dialing, by what the hop is told to call itself
	byPID      map[string]*entry   // that have a hop, by its PID id
	resets     map[string][]func() // hop PID id → what to do when it is gone
	pythonless map[string]bool     // hops, by key, that had no Python when they were last asked for an agent
	pinned     map[string]*pins    // by requester's PID id
	parting    []*entry            // given up, and still held by somebody
	clock      uint64
	tickets    map[string]ticket     // by the last hop's key
	meant      map[string]meaning    // what stands behind the settings of a first hop, by those settings as a keyed digest
	unread     map[string]*question  // requests that wait for that
	owed       map[*actors.Reply]any // what is to be answered to whoever has asked, should this actor end before it has something better
}

// Spec describes the connections service.
func Spec(cfg *Config) actors.Spec {
	return actors.Spec{Kind: "connections", Name: "connections", New: func() actor.Actor {
		secret := make([]byte, 32)
		rand.Read(secret) // never fails (crypto/rand)
		if cfg.MaxInterpreters == 0 {
			own := *cfg
			own.MaxInterpreters = DefaultMaxInterpreters
			cfg = &own
		}
		return &connections{
			cfg: cfg, secret: secret, pinned: map[string]*pins{}, tickets: map[string]ticket{},
			meant: map[string]meaning{}, unread: map[string]*question{}, owed: map[*actors.Reply]any{},
			entries: map[string]*entry{}, dials: map[string]*entry{}, byPID: map[string]*entry{}, resets: map[string][]func(){}, pythonless: map[string]bool{},
		}
	}}
}

func (s *connections) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		ctx.Send(s.cfg.Tree, &tree.DropHops{}) // hops of an earlier life, after a restart
	case *Acquire, *Reset, *Retire, *Ticket:
		s.ask(ctx, m)
	case *resolving:
		s.onResolving(ctx, m)
	case *resolved:
		s.onResolved(ctx, m)
	case *Forget:
		s.onForget(ctx, m)
	case *retireAgain:
		s.retireIdle(ctx, m)
	case *retireLate:
		m.done()
	case *tree.HopReady:
		s.onReady(ctx, m)
	case *tree.HopFailed:
		s.onFailed(ctx, m)
	case *actors.Failed:
		s.failBelow(ctx, m.Path)
	case *actor.Terminated:
		s.onTerminated(ctx, m)
	case *actor.Restarting, *actor.Stopping:
		for reply, last := range s.owed {
			s.answer(reply, last)
		}
	}
}

// owe keeps a request until it is answered.
func (s *connections) owe(ctx actor.Context, message any) *actors.Reply {
	reply := actors.Keep(ctx)
	interrupted := &transports.ConnectError{Class: transports.Unreachable, Text: tree.Interrupted}
	switch m := message.(type) {
	case *Acquire:
		s.owed[reply] = &Refused{Key: m.Key, Err: interrupted}
	case *Ticket:
		s.owed[reply] = &Refused{Key: m.Key, Err: interrupted}
	case *Reset: // with this actor go all hops
		s.owed[reply] = &ResetDone{Key: m.Key}
	case *Retire:
		s.owed[reply] = &ResetDone{Key: m.Key}
	}
	return reply
}

// answer answers a request, unless that has been done.
func (s *connections) answer(reply *actors.Reply, answer any) {
	delete(s.owed, reply)
	reply.Send(answer)
}

func (s *connections) onAcquire(ctx actor.Context, reply *actors.Reply, m *Acquire) {
	hops, err := s.asked(m)
	if err != nil {
		s.answer(reply, &Refused{Key: m.Key, Err: err})
		return
	}
	r := &request{
		key: m.Key, reply: reply, holder: m.Holder, hops: hops, bare: m.Bare, boot: m.Boot, login: len(hops) - 1,
		way: make([]*entry, len(hops)),
	}
	for r.login > 0 && hops[r.login].Become {
		r.login--
	}
	s.advance(ctx, r)
}

// asked returns the hops that an Acquire is about.
func (s *connections) asked(m *Acquire) ([]*tree.Hop, error) {
	if m.Ticket == "" {
		return s.plan(m.Hops)
	}
	hops, known := s.redeem(m.Ticket)
	if !known {
		return nil, fmt.Errorf("connect: there is no such ticket")
	}
	return hops, nil
}

// unusable has settings that no connection can be made of count as a host that cannot be reached, as they do with stock Ansible.
func unusable(err error) error {
	var ce *transports.ConnectError
	if errors.As(err, &ce) {
		return err
	}
	return &transports.ConnectError{Class: transports.Unreachable, Text: err.Error(), Err: err}
}

// plan turns settings into hops with keys. The key of a hop covers the whole way to it.
func (s *connections) plan(reqs []HopRequest) ([]*tree.Hop, error) {
	if len(reqs) == 0 {
		return nil, fmt.Errorf("connect: the stack has no hop")
	}
	hops := make([]*tree.Hop, 0, len(reqs))
	key := ""
	for _, r := range reqs {
		factory := s.cfg.Factories[r.Method]
		if factory == nil {
			return nil, fmt.Errorf("connect: unknown connection method %q", r.Method)
		}
		dialer, err := factory(r.Kwargs)
		if err != nil {
			return nil, unusable(err)
		}
		encoded, err := identity(r)
		if err != nil {
			return nil, err
		}
		words := s.digest("", encoded)
		meant, known := s.meant[words]
		if known = known && key == ""; known && meant.digest != "" {
			r.Kwargs = json.RawMessage(`"` + meant.digest + `"`)
			if encoded, err = identity(r); err != nil {
				return nil, err
			}
		}
		key = s.digest(key, encoded)
		if known {
			s.meant[words] = meaning{digest: meant.digest, key: key}
		}
		python, watched := r.Python, watch(r)
		if watched == tree.WatchAll {
			python = bootstrap.WithoutSetup(python)
		}
		hops = append(hops, &tree.Hop{
			Key: key, Dialer: dialer, Heartbeat: r.Heartbeat.spec(), Become: r.Become,
			Boot: tree.Boot{
				Candidates: python, Title: r.Title, Watch: watched,
				TmpCandidates: append(slices.DeleteFunc([]string{r.RemoteTmp}, func(d string) bool { return d == "" }), r.SystemTmpdirs...),
			},
		})
	}
	return hops, nil
}

// digest is a key for what has been encoded, behind another one.
func (s *connections) digest(key string, encoded []byte) string {
	mac := hmac.New(sha256.New, s.secret)
	io.WriteString(mac, key)
	mac.Write(encoded)
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// watch is what an agent looks at to know that its account's login would be another one now. What was not entered by a
// login has none, and those who change the account go by more files than others.
func watch(r HopRequest) tree.Watch {
	switch {
	case r.Method == "local":
		return tree.WatchNothing
	case r.Become, r.Method == "sudo", r.Method == "su", r.Method == "doas":
		return tree.WatchAll
	}
	return tree.WatchAccount
}

// identity is what makes a hop another one than others: nothing of how it is asked for. So a host that is passed through
// with one time limit, and worked on with another, has one connection.
func identity(r HopRequest) ([]byte, error) {
	var kwargs any
	if len(r.Kwargs) > 0 {
		if err := json.Unmarshal(r.Kwargs, &kwargs); err != nil {
			return nil, err
		}
	}
	if m, ok := kwargs.(map[string]any); ok {
		for _, key := range []string{"connect_timeout", "python_path", "remote_name"} {
			delete(m, key)
		}
	}
	var err error
	if r.Kwargs, err = json.Marshal(kwargs); err != nil {
		return nil, err
	}
	r.Become = false // sudo as a connection and sudo as become are the same hop
	return json.Marshal(r)
}

// advance moves a request outwards as far as what stands allows.
func (s *connections) advance(ctx actor.Context, r *request) {
	clear(r.way) // it may lead elsewhere now
	for i := range r.hops {
		name, bare := s.wanted(r, i)
		e := s.entries[name]
		if e == nil || e.going() {
			e = s.start(ctx, r, i, name, bare)
		}
		r.way[i] = e
		e.passage = e.passage || i < r.login
		if e.state == dialing {
			e.waiters = append(e.waiters, r)
			return
		}
	}
	var said []string
	for _, e := range r.way {
		said, e.said = append(said, e.said...), nil
	}
	s.pin(ctx, r)
	s.answer(r.reply, &Acquired{
		Key: r.key, Target: r.way[len(r.way)-1].context(), Login: r.way[r.login].context(), Said: said,
	})
}

func (s *connections) start(ctx actor.Context, r *request, i int, name string, bare bool) *entry {
	h := *r.hops[i]
	e := &entry{key: h.Key, bare: bare, become: h.Become}
	parent := s.cfg.Tree
	if i > 0 {
		e.above = r.way[i-1]
		parent = e.above.interp
		if e.become && !bare {
			s.makeRoom(ctx, e.above)
		}
	}
	e.from = parent.Id
	s.entries[name] = e
	// One that has been given up may be dialing under the same name still.
	s.clock++
	h.Key = name + "#" + strconv.FormatUint(s.clock, 10)
	s.dials[h.Key] = e
	ctx.Request(parent, &tree.OpenHop{Hop: &h, Report: ctx.Self(), Bare: bare})
	return e
}

func (e *entry) context() Context {
	return Context{Name: e.name(), Interpreter: e.interp, Facts: e.facts, How: e.how, Why: e.why}
}

func (s *connections) onReady(ctx actor.Context, m *tree.HopReady) {
	e := s.dials[m.Key]
	if e == nil {
		ctx.Send(m.Hop, &tree.Drain{Reason: "nobody waits for it"})
		return
	}
	e.state, e.hop, e.interp, e.facts, e.how, e.why, e.said = ready, m.Hop, m.Interpreter, m.Facts, m.How, m.Why, m.Said
	s.byPID[m.Hop.Id] = e
	ctx.Watch(m.Hop)
	switch {
	case e.going(): // with what it started from; those who wait for it begin anew
		s.close(e)
	case !e.bare:
		s.replaceBare(ctx, e.key)
	}
	for r := range e.leaving() {
		s.advance(ctx, r)
	}
	delete(s.dials, m.Key)
	s.settle(ctx)
}

// leaving takes one after the other out of those who wait, so that the ones to come still hold what they wait for.
func (e *entry) leaving() iter.Seq[*request] {
	return func(yield func(*request) bool) {
		for len(e.waiters) > 0 {
			r := e.waiters[0]
			e.waiters = e.waiters[1:]
			if !yield(r) {
				return
			}
		}
	}
}

// strike drops an entry that is dialing no more, and has not got there.
func (s *connections) strike(attempt string, e *entry) {
	delete(s.dials, attempt)
	if s.entries[e.name()] == e {
		delete(s.entries, e.name())
	}
}

func (s *connections) onFailed(ctx actor.Context, m *tree.HopFailed) {
	e := s.dials[m.Key]
	if e == nil {
		return
	}
	s.strike(m.Key, e)
	for r := range e.leaving() {
		if s.goesOnWithout(r, e, m.Err) {
			s.advance(ctx, r)
			continue
		}
		s.answer(r.reply, &Refused{Key: r.key, Err: m.Err})
	}
	s.settle(ctx)
}

func (s *connections) onForget(ctx actor.Context, m *Forget) {
	s.release(ctx, m.Requester, nil)
	s.forgetUnread(m.Requester)
	for reply := range s.owed {
		if m.Requester.Equal(reply.To()) {
			delete(s.owed, reply)
			reply.Drop()
		}
	}
	for _, e := range s.dials {
		e.waiters = slices.DeleteFunc(e.waiters, func(r *request) bool { return m.Requester.Equal(r.reply.To()) })
	}
	s.settle(ctx)
}

// onTerminated forgets a hop and whatever was on its way below it.
func (s *connections) onTerminated(ctx actor.Context, m *actor.Terminated) {
	if was, known := s.byPID[m.Who.Id]; known {
		delete(s.byPID, m.Who.Id)
		if s.entries[was.name()] == was {
			delete(s.entries, was.name())
		}
		s.parting = slices.DeleteFunc(s.parting, func(e *entry) bool { return e == was })
		s.failBelow(ctx, was.interp.Id)
	}
	for _, done := range s.resets[m.Who.Id] {
		done()
	}
	delete(s.resets, m.Who.Id)
}

// failBelow ends attempts that were to start from an interpreter which is gone.
func (s *connections) failBelow(ctx actor.Context, interp string) {
	for attempt, e := range s.dials {
		if e.from != interp {
			continue
		}
		s.strike(attempt, e)
		for r := range e.leaving() {
			s.answer(r.reply, &Refused{Key: r.key, Err: &transports.ConnectError{Class: transports.Unreachable, Text: tree.Interrupted}})
		}
	}
	s.settle(ctx)
}

func (s *connections) onReset(ctx actor.Context, reply *actors.Reply, m *Reset) {
	key := hopKey(m.Context)
	s.unshare(m.Hops)
	if key == "" && len(m.Hops) > 0 {
		hops, err := s.plan(m.Hops)
		if err != nil {
			s.answer(reply, &Refused{Key: m.Key, Err: err})
			return
		}
		key = hops[len(hops)-1].Key
	}
	var stop []*entry // with an agent and without
	for _, name := range []string{key, bareName(key)} {
		e := s.entries[name]
		for e != nil && e.become && e.above != nil {
			e = e.above
		}
		if e == nil {
			continue
		}
		for _, e := range []*entry{e, s.entries[e.name()]} { // if it has been given up: what has its name now, too
			if e != nil && e.hop != nil && s.byPID[e.hop.Id] == e && !slices.Contains(stop, e) {
				stop = append(stop, e)
			}
		}
	}
	if len(stop) == 0 {
		s.answer(reply, &ResetDone{Key: m.Key})
		return
	}
	done, late := s.countdown(reply, m.Key, len(stop))
	for _, e := range stop {
		// Who has shared it may mean another machine by now.
		maps.DeleteFunc(s.meant, func(_ string, m meaning) bool { return m.key == e.key })
		s.resets[e.hop.Id] = append(s.resets[e.hop.Id], done)
		// What others are at there goes on, as it does in stock Ansible, whose master process takes nothing new and stays for what is open.
		s.release(ctx, reply.To(), e)
		if s.held(reply.To())[e] {
			s.part(ctx, e)
			actors.After(ctx, resetGrace, late)
			continue
		}
		s.close(e)
		ctx.Send(e.hop, &tree.Drain{Reason: "reset"})
	}
}

// unshare has a first hop be reached by a connection of ours from now on: what somebody else has opened is older than the reset, and may be dead.
func (s *connections) unshare(hops []HopRequest) {
	if len(hops) != 1 || s.cfg.Factories[hops[0].Method] == nil {
		return
	}
	dialer, err := s.cfg.Factories[hops[0].Method](hops[0].Kwargs)
	if sharer, able := dialer.(transports.Sharer); err == nil && able {
		sharer.Unshare()
	}
}

// close marks a hop and all below it as going, so that new requests dial anew at once.
func (s *connections) close(e *entry) {
	e.state = closing
	for _, c := range s.entries {
		if c.above == e && c.state == ready {
			s.close(c)
		}
	}
}
