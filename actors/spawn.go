package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// Spec says how to make an actor and who looks after its children.
type Spec struct {
	// Kind is what sort of actor it is, for the census: hop, interpreter, call.
	Kind string
	// Name is its name among its siblings, as people know it; it is escaped for the path. Empty means Kind.
	Name string
	// New makes the actor's value, at birth and again at every restart.
	New func() actor.Actor
	// Supervise decides about its children when they fail; nil means StopOnFailure.
	Supervise Strategy
}

// label is the name before escaping.
func (s Spec) label() string {
	if s.Name == "" {
		return s.Kind
	}
	return s.Name
}

// Spawn makes a child of the actor that ctx belongs to. Its PID's id is the parent's path, a slash, and the escaped
// name; if a sibling has that name, or had it and the parent has not been told Terminated yet, "~2", "~3" … is added.
// An actor that is ending cannot have children any more: ErrStopped.
func Spawn(ctx actor.Context, spec Spec) (*actor.PID, error) {
	parent := cellOf(ctx)
	if parent.phase != running {
		return nil, fmt.Errorf("spawn %s below %s: %w", spec.label(), parent.path, ErrStopped)
	}
	return claim(spec.label(), func(name string) (*actor.PID, error) {
		// The registry frees a name before Stopped has run (P14), and the engine's set of children knows names only: a
		// namesake spawned too early would be struck from it by its predecessor's Terminated, and never be stopped.
		if _, taken := parent.children[parent.path+"/"+name]; taken {
			return nil, actor.ErrNameExists
		}
		c := newCell(parent.system, parent, spec)
		pid, err := c.spawn(name, func(props *actor.Props) (*actor.PID, error) {
			return parent.context.SpawnNamed(props, name)
		})
		if err == nil {
			parent.adopt(pid.Id, c)
		}
		return pid, err
	})
}

// spawn enters the cell into the census and lets the engine make its actor. A panic in Spec.New becomes an error.
func (c *cell) spawn(name string, make func(*actor.Props) (*actor.PID, error)) (pid *actor.PID, err error) {
	path := name
	if c.parent != nil {
		path = c.parent.path + "/" + name
	}
	c.path = path
	defer func() {
		if reason := recover(); reason != nil {
			pid, err = nil, fmt.Errorf("spawn %s: %w", path, faultOf(reason))
		}
	}()
	return make(actor.PropsFromProducer(c.incarnate,
		actor.WithMailbox(func() actor.Mailbox { return c }),
		actor.WithSupervisor(supervisor{}),
	))
}

// incarnate makes the actor's value: at birth, and at every restart.
func (c *cell) incarnate() actor.Actor {
	if c.spec.New == nil {
		panic(misuse("spec of %s has no New", c.path))
	}
	value := c.spec.New()
	if value == nil {
		panic(misuse("New of %s made nil", c.path))
	}
	c.generation++
	return &guard{cell: c, actor: value}
}
