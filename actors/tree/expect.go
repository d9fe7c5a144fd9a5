package tree

import (
	"github.com/asynkron/protoactor-go/actor"

	"spindle/transports/wire"
)

// onExpect finds out what an agent that is being dialed will lack of a closure. It has nothing yet, so that is all; what is too large for a bundle,
// or for Python 2 alone, can wait until it is asked for.
func (h *hop) onExpect(ctx actor.Context, m *Expect) {
	if h.behind != nil && h.expected == nil {
		h.expected = []wire.Digest{}
		ctx.Request(h.cfg.Blobs, &Fetch{Closure: m.Closure})
	}
}

func (h *hop) onFetched(ctx actor.Context, m *Fetched) {
	if h.behind == nil {
		return
	}
	l := lacking(m, func(b BlobSize) bool { return b.Python2 })
	if len(l.Bundled) > 0 {
		h.expected = append([]wire.Digest{wire.BundleName(l.Bundled)}, l.Bundled...)
		ctx.Request(h.cfg.Blobs, &Load{Closure: l.Closure, Bundled: l.Bundled})
	}
}

// onLoaded hands the bundle, which is all that was asked for, to the dial. If HELLO has come meanwhile, nobody takes it.
func (h *hop) onLoaded(ctx actor.Context, m *Loaded) {
	for _, b := range m.Blobs {
		if h.behind != nil {
			h.behind.give(wire.Frame{Header: wire.Blob{Digest: b.Digest, Size: b.Size, Encoding: b.Encoding}, Body: b.Content})
		}
	}
}
