package tree

import (
	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports/wire"
)

// What an agent lacks of a closure is found out and sent for one closure at a time, so that what two have in common goes once.
const (
	// bundleLeast is how many files are worth a bundle, which is compressed for whoever lacks exactly those.
	bundleLeast = 8
	// bundlePart bounds a file in a bundle, and bundleMost all of them together, which an agent holds inflated.
	bundlePart, bundleMost = 64 << 10, 768 << 10
)

// onFetched queues a closure whose parts are known now.
func (p *interpreter) onFetched(ctx actor.Context, m *Fetched) {
	p.loads = append(p.loads, m)
	if len(p.loads) == 1 {
		p.load(ctx)
	}
	p.leaveIfIdle(ctx)
}

// load asks for what the agent lacks of the closure in front, and goes on to the next if that is nothing.
func (p *interpreter) load(ctx actor.Context) {
	for len(p.loads) > 0 {
		l := p.lacking()
		switch {
		case len(l.Bundled)+len(l.Single) == 0:
			p.complete[l.Closure] = true
			p.loads = p.loads[1:]
			p.release(ctx, l.Closure)
			continue
		case len(l.Bundled) > 0 && p.front() != nil:
			ctx.Request(p.front(), &seek{closure: l.Closure, bundle: wire.BundleName(l.Bundled), parts: l.Bundled})
		default:
			ctx.Request(p.cfg.Blobs, l)
		}
		return
	}
}

// lacking is what the agent lacks of the closure in front.
func (p *interpreter) lacking() *Load {
	return lacking(p.loads[0], func(b BlobSize) bool { return p.present[b.Digest] || b.Python2 && p.python3 })
}

// lacking is a closure without what has says, in a bundle if there is enough for one.
func lacking(closure *Fetched, has func(BlobSize) bool) *Load {
	l := &Load{Closure: closure.Closure}
	size := 0
	for _, b := range closure.Blobs {
		switch {
		case has(b):
		case b.Size <= bundlePart && size+b.Size <= bundleMost:
			size += b.Size
			l.Bundled = append(l.Bundled, b.Digest)
		default:
			l.Single = append(l.Single, b.Digest)
		}
	}
	if len(l.Bundled) < bundleLeast {
		l.unbundle()
	}
	return l
}

// unbundle asks for each blob by itself instead.
func (l *Load) unbundle() { l.Bundled, l.Single = nil, append(l.Bundled, l.Single...) }

// front is the interpreter by way of whose agent this one's is reached, or nil.
func (p *interpreter) front() *actor.PID {
	if r, ok := p.booted.Link.(*relay); ok {
		return r.interp
	}
	return nil
}

// onSeek answers for an agent behind this one: it gets a bundle if that is here, or little of what would be in it, here or further in front.
func (p *interpreter) onSeek(ctx actor.Context, m *seek) {
	held := 0
	for _, d := range m.parts {
		if p.present[d] {
			held++
		}
	}
	switch {
	case p.present[m.bundle]:
		ctx.Respond(&sought{m.closure, true})
		return
	case held*2 > len(m.parts):
		ctx.Respond(&sought{m.closure, false})
		return
	}
	p.bundles[m.bundle] = m.parts // it will come by, unless somebody further in front says otherwise
	if p.front() != nil {
		ctx.Forward(p.front())
		return
	}
	ctx.Respond(&sought{m.closure, true})
}

func (p *interpreter) onSought(ctx actor.Context, m *sought) {
	if !p.loading(m.closure) {
		return
	}
	l := p.lacking()
	if !m.bundle {
		l.unbundle()
	}
	ctx.Request(p.cfg.Blobs, l)
}

// loading says whether a closure is the one in front: what is said of another is late.
func (p *interpreter) loading(closure wire.Digest) bool {
	return len(p.loads) > 0 && p.loads[0].Closure == closure
}

func (p *interpreter) onLoaded(ctx actor.Context, m *Loaded) {
	if !p.loading(m.Closure) {
		return
	}
	l := p.lacking()
	for _, b := range m.Blobs {
		if b.Encoding == wire.EncodingBundle {
			p.bundles[b.Digest] = l.Bundled
		}
		p.give(wire.Blob{Digest: b.Digest, Size: b.Size, Encoding: b.Encoding}, b.Content)
	}
	p.load(ctx)
	p.leaveIfIdle(ctx)
}

// give sends a blob to the agent, once.
func (p *interpreter) give(b wire.Blob, content []byte) {
	if p.present[b.Digest] {
		return
	}
	p.present[b.Digest] = true
	for _, d := range p.bundles[b.Digest] {
		p.present[d] = true
	}
	delete(p.bundles, b.Digest)
	p.push(wire.Frame{Header: b, Body: content})
}

// release starts the calls that waited for a closure.
func (p *interpreter) release(ctx actor.Context, closure wire.Digest) {
	queue := p.fetching[closure]
	delete(p.fetching, closure)
	for _, w := range queue {
		p.start(ctx, w.invoke, w.sender)
		for _, m := range w.input {
			p.toOwner(ctx, callKey{w.sender.Id, m.Key}, m)
		}
	}
}

func (p *interpreter) onUnknown(ctx actor.Context, m *Unknown) {
	queue := p.fetching[m.Closure]
	delete(p.fetching, m.Closure)
	for _, w := range queue {
		answer(ctx, w.sender, w.invoke.Key, wire.Result{Status: wire.StatusUnknownClosure})
	}
	if p.loading(m.Closure) {
		p.loads = p.loads[1:]
		p.load(ctx)
	}
	p.leaveIfIdle(ctx)
}

// onFetchFailed answers everything that waits for content when the blobs service could not be asked.
func (p *interpreter) onFetchFailed(ctx actor.Context, m *actors.Failed) {
	p.loads = nil
	for c, queue := range p.fetching {
		delete(p.fetching, c)
		for _, w := range queue {
			answer(ctx, w.sender, w.invoke.Key, wire.Result{Status: wire.StatusFault, Text: m.Error()})
		}
	}
	p.leaveIfIdle(ctx)
}
