package connections

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"

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
	parent  string // name of the entry that it starts from; empty for first hops
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

// standing is what a hop that is ready was for; it outlives its entry when that is replaced.
type standing struct {
	name   string
	interp string // PID id
}

// request is one Acquire on its way outwards.
type request struct {
	key    uint32
	sender *actor.PID
	holder uint32 // what the sender calls the user of this way
	hops   []*tree.Hop
	bare   bool     // an account without an agent will do
	boot   bool     // but an agent is tried first
	login  int      // the hop that leads to the last host; those behind it change the account there
	way    []string // the entry for each hop, as far as it has come
}

type connections struct {
	cfg        *Config
	secret     []byte
	entries    map[string]*entry   // by name: the hop's key, or bareName of it
	byPID      map[string]standing // by hop PID id
	resets     map[string][]func() // hop PID id → what to do when it is gone
	pythonless map[string]bool     // hops, by key, that had no Python when one was to be led through them
	pinned     map[string]*pins    // by requester's PID id
	parting    []parting           // given up, and still held by somebody
	clock      uint64
	tickets    map[string]ticket   // by the last hop's key
	meant      map[string]string   // what stands behind the settings of a first hop, by those settings; both as keyed digests
	unread     map[string][]unread // requests that wait for that
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
			meant: map[string]string{}, unread: map[string][]unread{},
			entries: map[string]*entry{}, byPID: map[string]standing{}, resets: map[string][]func(){}, pythonless: map[string]bool{},
		}
	}}
}

func (s *connections) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		ctx.Send(s.cfg.Tree, &tree.DropHops{}) // hops of an earlier life, after a restart
	case *Acquire, *Reset, *Retire, *Ticket:
		s.ask(ctx, ctx.Sender(), m)
	case *resolved:
		s.onResolved(ctx, m)
	case *Forget:
		s.onForget(ctx, m)
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
	}
}

func (s *connections) onAcquire(ctx actor.Context, sender *actor.PID, m *Acquire) {
	hops, err := s.asked(m)
	if err != nil {
		ctx.Send(sender, &Refused{Key: m.Key, Err: err})
		return
	}
	r := &request{
		key: m.Key, sender: sender, holder: m.Holder, hops: hops, bare: m.Bare, boot: m.Boot, login: len(hops) - 1,
		way: make([]string, len(hops)),
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
			return nil, err
		}
		encoded, err := identity(r)
		if err != nil {
			return nil, err
		}
		if meant := s.meant[s.digest("", encoded)]; meant != "" && key == "" {
			r.Kwargs = json.RawMessage(`"` + meant + `"`)
			if encoded, err = identity(r); err != nil {
				return nil, err
			}
		}
		key = s.digest(key, encoded)
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
	for i := range r.hops {
		name, bare := s.wanted(r, i)
		e := s.entries[name]
		if e == nil || e.state == closing {
			e = s.start(ctx, r, i, name, bare)
		}
		r.way[i] = name
		e.passage = e.passage || i < r.login
		if e.state == dialing {
			e.waiters = append(e.waiters, r)
			return
		}
	}
	var said []string
	for _, name := range r.way {
		e := s.entries[name]
		said, e.said = append(said, e.said...), nil
	}
	s.pin(ctx, r)
	ctx.Send(r.sender, &Acquired{
		Key: r.key, Target: s.context(r.way[len(r.way)-1]), Login: s.context(r.way[r.login]), Said: said,
	})
}

func (s *connections) start(ctx actor.Context, r *request, i int, name string, bare bool) *entry {
	h := *r.hops[i]
	e := &entry{key: h.Key, bare: bare, become: h.Become}
	parent := s.cfg.Tree
	if i > 0 {
		e.parent = r.way[i-1]
		parent = s.entries[e.parent].interp
		if e.become && !bare {
			s.makeRoom(ctx, e.parent)
		}
	}
	e.from = parent.Id
	s.entries[name] = e
	h.Key = name
	ctx.Request(parent, &tree.OpenHop{Hop: &h, Report: ctx.Self(), Bare: bare})
	return e
}

func (s *connections) context(name string) Context {
	e := s.entries[name]
	return Context{Name: name, Interpreter: e.interp, Facts: e.facts, How: e.how, Why: e.why}
}

func (s *connections) onReady(ctx actor.Context, m *tree.HopReady) {
	e := s.entries[m.Key]
	if e == nil || e.state != dialing {
		ctx.Send(m.Hop, &tree.Drain{Reason: "nobody waits for it"})
		return
	}
	e.state, e.hop, e.interp, e.facts, e.how, e.why, e.said = ready, m.Hop, m.Interpreter, m.Facts, m.How, m.Why, m.Said
	s.byPID[m.Hop.Id] = standing{name: m.Key, interp: m.Interpreter.Id}
	ctx.Watch(m.Hop)
	if !e.bare {
		s.replaceBare(ctx, e.key)
	}
	waiters := e.waiters
	e.waiters = nil
	for _, r := range waiters {
		s.advance(ctx, r)
	}
}

func (s *connections) onFailed(ctx actor.Context, m *tree.HopFailed) {
	e := s.entries[m.Key]
	if e == nil || e.state != dialing {
		return
	}
	delete(s.entries, m.Key)
	for _, r := range e.waiters {
		if s.goesOnWithout(r, e, m.Err) {
			s.advance(ctx, r)
			continue
		}
		ctx.Send(r.sender, &Refused{Key: r.key, Err: m.Err})
	}
}

func (s *connections) onForget(ctx actor.Context, m *Forget) {
	s.release(ctx, m.Requester, nil)
	s.forgetUnread(m.Requester)
	for _, e := range s.entries {
		e.waiters = slices.DeleteFunc(e.waiters, func(r *request) bool { return r.sender.Equal(m.Requester) })
	}
}

// onTerminated forgets a hop and whatever was on its way below it.
func (s *connections) onTerminated(ctx actor.Context, m *actor.Terminated) {
	if was, known := s.byPID[m.Who.Id]; known {
		delete(s.byPID, m.Who.Id)
		if e := s.entries[was.name]; e != nil && e.hop != nil && e.hop.Equal(m.Who) {
			delete(s.entries, was.name)
		}
		s.failBelow(ctx, was.interp)
	}
	s.parting = slices.DeleteFunc(s.parting, func(p parting) bool { return p.entry.hop.Equal(m.Who) })
	for _, done := range s.resets[m.Who.Id] {
		done()
	}
	delete(s.resets, m.Who.Id)
}

// failBelow ends attempts that were to start from an interpreter which is gone.
func (s *connections) failBelow(ctx actor.Context, interp string) {
	for k, e := range s.entries {
		if e.from != interp || e.state != dialing {
			continue
		}
		delete(s.entries, k)
		for _, r := range e.waiters {
			ctx.Send(r.sender, &Refused{Key: r.key, Err: &transports.ConnectError{Class: transports.Unreachable, Text: tree.Interrupted}})
		}
	}
}

func (s *connections) onReset(ctx actor.Context, sender *actor.PID, m *Reset) {
	key := hopKey(m.Context)
	if key == "" && len(m.Hops) > 0 {
		hops, err := s.plan(m.Hops)
		if err != nil {
			ctx.Send(sender, &Refused{Key: m.Key, Err: err})
			return
		}
		key = hops[len(hops)-1].Key
	}
	var stop []*entry // with an agent and without
	for _, name := range []string{key, bareName(key)} {
		e := s.entries[name]
		for e != nil && e.become && s.entries[e.parent] != nil {
			e = s.entries[e.parent]
		}
		if e != nil && e.hop != nil && !slices.Contains(stop, e) {
			stop = append(stop, e)
		}
	}
	if len(stop) == 0 {
		ctx.Send(sender, &ResetDone{Key: m.Key})
		return
	}
	done, late := s.countdown(ctx, sender, m.Key, len(stop))
	for _, e := range stop {
		s.resets[e.hop.Id] = append(s.resets[e.hop.Id], done)
		// What others are at there goes on, as it does in stock Ansible, whose master process takes nothing new and stays for what is open.
		s.release(ctx, sender, e)
		if (parting{e, s.below(e)}).held(s.held()) {
			s.part(ctx, e)
			actors.After(ctx, resetGrace, late)
			continue
		}
		s.close(e)
		ctx.Send(e.hop, &tree.Drain{Reason: "reset"})
	}
}

// close marks a hop and all below it as going, so that new requests dial anew at once.
func (s *connections) close(e *entry) {
	e.state = closing
	for _, c := range s.entries {
		if s.entries[c.parent] == e && c.state == ready {
			s.close(c)
		}
	}
}
