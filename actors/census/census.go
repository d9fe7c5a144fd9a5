package census

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Census holds the entries of all live actors of one system, and the latest events in their lives.
type Census struct {
	entries sync.Map // *Entry → struct{}
	ring    ring

	mu    sync.Mutex // guards count and empty; taken at birth and death only
	count int
	empty chan struct{} // closed while count is zero
}

// New returns an empty census.
func New() *Census {
	c := &Census{empty: make(chan struct{})}
	close(c.empty)
	return c
}

// Add enters a newborn and records its birth.
func (c *Census) Add(path, kind string) *Entry {
	e := &Entry{path: path, kind: kind, born: time.Now()}
	c.mu.Lock()
	if c.count == 0 {
		c.empty = make(chan struct{})
	}
	c.count++
	c.mu.Unlock()
	c.entries.Store(e, struct{}{})
	c.Record(Spawned, path, kind, "")
	return e
}

// Remove takes a gone actor out and records its end, with the reason if it had one. Removing it again does nothing.
func (c *Census) Remove(e *Entry, why string) {
	if _, present := c.entries.LoadAndDelete(e); !present {
		return
	}
	c.Record(Stopped, e.path, e.kind, why)
	c.mu.Lock()
	c.count--
	if c.count == 0 {
		close(c.empty)
	}
	c.mu.Unlock()
}

// Len returns how many actors and pumps are alive.
func (c *Census) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// Wait returns when nothing is alive any more, or with an error that names some of what is left when ctx ends.
func (c *Census) Wait(ctx context.Context) error {
	c.mu.Lock()
	empty := c.empty
	c.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
	}
	left := c.Snapshot()
	if len(left) == 0 {
		return nil
	}
	const shown = 8
	names := make([]string, 0, shown)
	for _, n := range left[:min(len(left), shown)] {
		names = append(names, fmt.Sprintf("%s (%s)", n.Path, n.State))
	}
	if len(left) > shown {
		names = append(names, "…")
	}
	return fmt.Errorf("%d still alive: %s: %w", len(left), strings.Join(names, ", "), context.Cause(ctx))
}

// Snapshot copies every live entry: parents before their children, siblings by name. Entries that come or go
// meanwhile may or may not be in it.
func (c *Census) Snapshot() []Node {
	now := time.Now()
	var nodes []Node
	c.entries.Range(func(key, _ any) bool {
		nodes = append(nodes, key.(*Entry).node(now))
		return true
	})
	slices.SortFunc(nodes, func(a, b Node) int {
		if order := comparePaths(a.Path, b.Path); order != 0 {
			return order
		}
		return a.Born.Compare(b.Born)
	})
	return nodes
}

// comparePaths orders tree paths: a path comes right before everything below it. Plain string order would put "a-b"
// between "a" and "a/b".
func comparePaths(a, b string) int {
	for {
		ahead, arest, amore := strings.Cut(a, "/")
		bhead, brest, bmore := strings.Cut(b, "/")
		if order := strings.Compare(ahead, bhead); order != 0 {
			return order
		}
		switch {
		case !amore && !bmore:
			return 0
		case !amore:
			return -1
		case !bmore:
			return 1
		}
		a, b = arest, brest
	}
}
