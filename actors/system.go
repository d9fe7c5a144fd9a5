package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
	"go.uber.org/zap"

	"spindle/actors/census"
)

// Options are the settings of a system. The zero value is usable.
type Options struct {
	// Logger receives the log of the seam and of protoactor; nil discards it.
	Logger *zap.Logger
	// Name names the system in the log.
	Name string
	// PumpGrace is how long a pump may take to return once it is told to; 0 means 10 seconds. After that its owner
	// ends without it.
	PumpGrace time.Duration
}

const (
	defaultPumpGrace = 10 * time.Second
	defaultStopGrace = 30 * time.Second
)

// System is the actors of one process. It is heavy (some MiB): make one per process, or one per test.
type System struct {
	engine    *actor.ActorSystem
	census    *census.Census
	log       *zap.Logger
	pumpGrace time.Duration

	mu       sync.Mutex
	roots    map[string]*cell // by name, the living ones
	stopping bool
	failure  error
	failed   chan struct{} // closed when failure is set
}

// NewSystem makes a system without any actor. It starts no goroutine.
func NewSystem(o Options) *System {
	log := o.Logger
	if log == nil {
		log = zap.NewNop()
	}
	if o.Name != "" {
		log = log.With(zap.String("system", o.Name))
	}
	s := &System{
		census:    census.New(),
		log:       log.Named("actors"),
		pumpGrace: o.PumpGrace,
		roots:     make(map[string]*cell),
		failed:    make(chan struct{}),
	}
	if s.pumpGrace <= 0 {
		s.pumpGrace = defaultPumpGrace
	}
	s.engine = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return engineLogger(log)
	}))
	// protoactor's own subscribers print whole messages of dead letters, secrets and all, answer with a type that says
	// nothing, and start a goroutine per burst. Nothing has been published yet, so they can go together with their stream.
	s.engine.EventStream = eventstream.NewEventStream()
	s.engine.EventStream.Subscribe(func(event any) {
		if letter, ok := event.(*actor.DeadLetterEvent); ok {
			s.onDeadLetter(letter)
		}
	})
	return s
}

// Census is the record of everything alive in the system, and of the latest events.
func (s *System) Census() *census.Census { return s.census }

// Send sends a message from outside. It panics on a nil message; one to a nil PID is a dead letter.
func (s *System) Send(pid *actor.PID, message any) { s.SendAs(pid, message, nil) }

// SendAs is Send of a request whose answer goes to sender.
func (s *System) SendAs(pid *actor.PID, message any, sender *actor.PID) {
	mustBeMessage(message)
	switch {
	case pid == nil:
		s.undelivered("", "", message, sender, ErrStopped)
	case sender == nil:
		s.engine.Root.Send(pid, message)
	default:
		s.engine.Root.RequestWithCustomSender(pid, message, sender)
	}
}

// Terminate tells an actor, and with it everything below it, to stop. It does not wait.
func (s *System) Terminate(pid *actor.PID) {
	if pid != nil {
		s.engine.Root.Stop(pid)
	}
}

// SpawnRoot spawns an actor without a parent. A root that fails is stopped, and the failure is the system's: see
// [System.Failed].
func (s *System) SpawnRoot(spec Spec) (*actor.PID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil, fmt.Errorf("spawn %s: %w", spec.label(), ErrStopped)
	}
	return claim(spec.label(), func(name string) (*actor.PID, error) {
		if _, taken := s.roots[name]; taken {
			return nil, actor.ErrNameExists
		}
		c := newCell(s, nil, spec)
		pid, err := c.spawn(name, func(props *actor.Props) (*actor.PID, error) {
			return s.engine.Root.SpawnNamed(props, name)
		})
		if err == nil {
			s.roots[name] = c
		}
		return pid, err
	})
}

// Failed is closed when a root has failed; Failure then says why.
func (s *System) Failed() <-chan struct{} { return s.failed }

// Failure is the first failure of a root, or nil.
func (s *System) Failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// Stop stops all roots, everything below them first, and returns when nothing is left: no actor and no pump. If ctx
// ends before that, the error names what is left. A context without a deadline is given one of 30 seconds (G7).
// Nothing can be spawned afterwards. Stop may be called more than once.
func (s *System) Stop(ctx context.Context) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultStopGrace)
		defer cancel()
	}
	s.mu.Lock()
	first := !s.stopping
	s.stopping = true
	roots := make([]*actor.PID, 0, len(s.roots))
	for _, c := range s.roots {
		roots = append(roots, c.self)
	}
	s.mu.Unlock()

	for _, pid := range roots {
		s.engine.Root.Stop(pid)
	}
	if first {
		s.engine.Shutdown()
	}
	if err := s.census.Wait(ctx); err != nil {
		return fmt.Errorf("stop actors: %w", err)
	}
	return nil
}

// rootGone frees the name of a root.
func (s *System) rootGone(c *cell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, other := range s.roots {
		if other == c {
			delete(s.roots, name)
		}
	}
}

// rootFailed keeps the first failure of a root.
func (s *System) rootFailed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil {
		s.failure = err
		close(s.failed)
	}
}

// onDeadLetter answers for PIDs at which nobody lives. It runs in the sender's goroutine.
func (s *System) onDeadLetter(letter *actor.DeadLetterEvent) {
	switch m := letter.Message.(type) {
	case *actor.Watch:
		// Whoever watches the dead must hear of it, or it waits for ever.
		s.sendSystem(m.Watcher, &actor.Terminated{Who: letter.PID, Why: actor.TerminatedReason_NotFound})
	case *actor.Stop, *actor.Unwatch, *actor.Terminated, *actor.Failure, *actor.Restart, *actor.PoisonPill,
		*actor.SuspendMailbox, *actor.ResumeMailbox:
		// Engine traffic that crossed with an end: of no interest to anybody.
	default:
		s.undelivered(letter.PID.GetId(), "", letter.Message, letter.Sender, ErrStopped)
	}
}

// undelivered records a message that nobody will handle, and answers it if it was a request (G3).
func (s *System) undelivered(path, kind string, message any, sender *actor.PID, cause error) {
	name := typeName(message)
	s.census.Record(census.DeadLetter, path, kind, name)
	s.log.Debug("dead letter", zap.String("path", path), zap.String("type", name), zap.String("sender", sender.GetId()))
	if sender == nil {
		return
	}
	if _, answer := message.(*Failed); answer {
		return // a failure that cannot be delivered is not answered with another one
	}
	s.engine.Root.Send(sender, &Failed{Path: path, Err: cause})
}

// sendSystem delivers a system message, which protoactor offers no method for.
func (s *System) sendSystem(pid *actor.PID, message any) {
	if pid == nil {
		return
	}
	if process, alive := s.engine.ProcessRegistry.Get(pid); alive {
		process.SendSystemMessage(pid, message)
	}
}

// claim escapes a name and tries it, then name~2, name~3, … until try does not say that it is taken.
func claim(label string, try func(name string) (*actor.PID, error)) (*actor.PID, error) {
	name := Escape(label)
	for n := 2; ; n++ {
		pid, err := try(name)
		if !errors.Is(err, actor.ErrNameExists) {
			return pid, err
		}
		name = Escape(label) + "~" + strconv.Itoa(n)
	}
}
