package tree

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"al.essio.dev/pkg/shellescape"
	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"spindle/actors"
	"spindle/actors/frames"
	"spindle/transports"
	"spindle/transports/wire"
)

// retireIdle is how long a shell that is to retire must have been idle: a worker may be between two commands.
const retireIdle = 15 * time.Second

// shell stands where an interpreter would, for an account without Python: it takes the same messages and can do less.
//
//	state     accepts                                            leaves by
//	bare      everything                                         way lost → gone; Drain → draining; Retire, idle → gone
//	draining  Terminated                                         alone, or drainTick → gone
type shell struct {
	cfg  *Config
	way  transports.Shell
	host string

	link     *frames.Closer
	nextID   uint32
	jobs     map[string]callKey // by PID id
	byKey    map[callKey]*actor.PID
	hops     map[string]*actor.PID // children that are hops, by PID id
	used     int                   // how many things were begun
	retiring bool
	draining bool
	lost     bool
	lastErr  string
}

// wayLost is the pump's word that the way to the account is no more.
type wayLost struct{}

// retireTick looks again whether a shell was idle since used was counted.
type retireTick struct{ used int }

func shellSpec(cfg *Config, way transports.Shell, host string) actors.Spec {
	return actors.Spec{Kind: "shell", Name: "sh", New: func() actor.Actor {
		return &shell{cfg: cfg, way: way, host: host, jobs: map[string]callKey{}, byKey: map[callKey]*actor.PID{}, hops: map[string]*actor.PID{}}
	}}
}

func (s *shell) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.link = frames.NewCloser(ctx, s.way)
		watchWay(ctx, s.way)
		s.describe(ctx)
	case *Invoke:
		s.onInvoke(ctx, m)
	case *Put:
		s.begin(ctx, ctx.Sender(), m.Key, "put", func(j job) actor.Actor {
			j.timeout = m.Timeout
			return &copying{job: j, put: m}
		})
	case *Get:
		s.begin(ctx, ctx.Sender(), m.Key, "get", func(j job) actor.Actor {
			j.timeout = m.Timeout
			return &copying{job: j, get: m}
		})
	case *Input:
		s.toJob(ctx, m.Key, m)
	case *OutputCredit:
		s.toJob(ctx, m.Key, m)
	case *Abort:
		s.toJob(ctx, m.Key, m)
	case *OpenHop:
		s.onOpenHop(ctx, m)
	case *wayLost:
		s.onLost(ctx, errors.New("the connection has ended"))
	case *Drain:
		s.onDrain(ctx, m)
	case *drainTick:
		ctx.Stop(ctx.Self())
	case *Retire:
		s.onRetire(ctx)
	case *retireTick:
		s.onRetireTick(ctx, m)
	case *actor.Terminated:
		s.onTerminated(ctx, m)
	}
}

func (s *shell) describe(ctx actor.Context) {
	state := "bare"
	if s.draining {
		state = "draining"
	}
	actors.Describe(ctx, actors.Facts{State: state, LastError: s.lastErr, Extra: map[string]string{"calls": strconv.Itoa(len(s.jobs))}})
}

// noPython is the answer to all that needs an agent.
func noPython(op string) wire.Result {
	return wire.Result{Status: wire.StatusError, Text: fmt.Sprintf("operation '%s' needs Python on the target, and this connection does without", op)}
}

// onInvoke runs a command; there is nothing else that could be done.
func (s *shell) onInvoke(ctx actor.Context, m *Invoke) {
	requester := ctx.Sender()
	if m.Call.Flags&wire.FlagNoReply != 0 {
		requester = nil
	}
	line, tty, err := commandLine(m)
	switch {
	case m.Call.Op != "exec":
		answer(ctx, requester, m.Key, noPython(m.Call.Op))
	case err != nil:
		answer(ctx, requester, m.Key, wire.Result{Status: wire.StatusError, Text: "exec: " + err.Error()})
	default:
		input, more := m.Body[m.Call.MetaLen:], m.Call.Flags&wire.FlagMore != 0
		if line.Input = int64(len(input)); more {
			line.Input = -1
		}
		s.begin(ctx, requester, m.Key, "call", func(j job) actor.Actor {
			j.timeout = m.Call.Timeout
			return &command{job: j, line: line, tty: tty, input: input, more: more}
		})
	}
}

// commandLine reads the meta of an exec.
func commandLine(m *Invoke) (l transports.Line, tty bool, err error) {
	var meta struct {
		Command *string            `json:"command"`
		Argv    []string           `json:"argv"`
		Cwd     string             `json:"cwd"`
		Env     map[string]*string `json:"env"`
		Umask   *int               `json:"umask"`
		TTY     bool               `json:"tty"`
		Pre     []json.RawMessage  `json:"pre"`
	}
	if m.Call.MetaLen > len(m.Body) {
		return l, false, errors.New("the meta is longer than the call")
	}
	if err := json.Unmarshal(m.Body[:m.Call.MetaLen], &meta); err != nil {
		return l, false, err
	}
	switch {
	case len(meta.Pre) > 0:
		return l, false, errors.New("file operations ahead of a command need Python on the target, and this connection does without")
	case meta.Command != nil:
		l.Text = *meta.Command
	case len(meta.Argv) > 0:
		l.Text = shellescape.QuoteCommand(meta.Argv)
	default:
		return l, false, errors.New("no command")
	}
	for _, name := range slices.Sorted(maps.Keys(meta.Env)) {
		if !isName(name) {
			return l, false, fmt.Errorf("%q is no name for a variable", name)
		}
		if value := meta.Env[name]; value != nil {
			name += "=" + *value
		}
		l.Env = append(l.Env, name)
	}
	if meta.Umask != nil {
		l.Umask = fmt.Sprintf("%03o", *meta.Umask)
	}
	l.Dir, l.Joined = meta.Cwd, meta.TTY
	return l, meta.TTY, nil
}

// isName says whether a shell takes it for a variable's name, and nothing else.
func isName(name string) bool {
	for i, c := range name {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// begin starts a job, or answers in its place.
func (s *shell) begin(ctx actor.Context, requester *actor.PID, key uint32, name string, with func(job) actor.Actor) {
	if s.lost || s.draining {
		answer(ctx, requester, key, wire.Result{Status: wire.StatusUnreachable, Text: disconnected("the connection is being closed")})
		return
	}
	s.nextID++
	s.used++
	j := job{exchange: exchange{id: s.nextID, key: key, requester: requester}, cfg: s.cfg, way: s.way}
	kind := "call"
	if name != kind {
		kind = "transfer"
	}
	pid, err := actors.Spawn(ctx, actors.Spec{Kind: kind, Name: name + ":" + strconv.FormatUint(uint64(s.nextID), 10), New: func() actor.Actor { return with(j) }})
	if err != nil {
		answer(ctx, requester, key, wire.Result{Status: wire.StatusFault, Text: err.Error()})
		return
	}
	k := callKey{}
	if requester != nil {
		k = callKey{requester.Id, key}
		s.byKey[k] = pid
	}
	s.jobs[pid.Id] = k
	s.describe(ctx)
}

// toJob hands a requester's message to its job; one that has ended needs nothing more.
func (s *shell) toJob(ctx actor.Context, key uint32, m any) {
	if ctx.Sender() == nil {
		return
	}
	if pid := s.byKey[callKey{ctx.Sender().Id, key}]; pid != nil {
		ctx.Send(pid, m)
	}
}

func (s *shell) onOpenHop(ctx actor.Context, m *OpenHop) {
	if s.lost || s.draining {
		ctx.Send(m.Report, &HopFailed{Key: m.Hop.Key, Err: &transports.ConnectError{Class: transports.Unreachable, Text: Interrupted}})
		return
	}
	s.used++
	if pid := spawnHop(ctx, s.cfg, s.way, m, s.host); pid != nil {
		s.hops[pid.Id] = pid
	}
}

func (s *shell) onLost(ctx actor.Context, cause error) {
	if s.lost {
		return
	}
	s.lost = true
	s.lastErr = cause.Error()
	s.describe(ctx)
	if !s.draining {
		s.cfg.Logger.Info("link lost", zap.String("path", ctx.Self().Id), zap.Error(cause))
	}
	ctx.Send(ctx.Parent(), &linkLost{cause: cause, clean: s.draining})
}

// --- the end ---

func (s *shell) onDrain(ctx actor.Context, m *Drain) {
	if s.draining {
		return
	}
	s.draining = true
	s.describe(ctx)
	actors.After(ctx, drainGrace, &drainTick{})
	for _, pid := range s.hops {
		ctx.Send(pid, m)
	}
	s.leaveIfAlone(ctx)
}

func (s *shell) leaveIfAlone(ctx actor.Context) {
	if s.draining && len(s.hops) == 0 {
		ctx.Stop(ctx.Self())
	}
}

func (s *shell) onRetire(ctx actor.Context) {
	if s.retiring {
		return
	}
	s.retiring = true
	for _, pid := range s.hops {
		ctx.Send(pid, &Retire{})
	}
	actors.After(ctx, retireIdle, &retireTick{used: s.used})
}

func (s *shell) onRetireTick(ctx actor.Context, m *retireTick) {
	if m.used == s.used && len(s.jobs) == 0 && len(s.hops) == 0 {
		ctx.Stop(ctx.Self())
		return
	}
	actors.After(ctx, retireIdle, &retireTick{used: s.used})
}

func (s *shell) onTerminated(ctx actor.Context, m *actor.Terminated) {
	delete(s.hops, m.Who.Id)
	if key, mine := s.jobs[m.Who.Id]; mine {
		delete(s.jobs, m.Who.Id)
		if pid := s.byKey[key]; pid != nil && pid.Equal(m.Who) {
			delete(s.byKey, key)
		}
		s.describe(ctx)
	}
	s.leaveIfAlone(ctx)
}
