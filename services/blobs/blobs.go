package blobs

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/actors/tree"
	"spindle/transports/wire"
)

// Register names a closure's content. Reply: *Missing.
type Register struct {
	Key     uint32
	Closure wire.Digest
	Digests []wire.Digest
	// Python2 is how many of them, the last ones, are for Python 2 only.
	Python2 int
}

// Missing lists the content of a closure that must still be stored.
type Missing struct {
	Key     uint32
	Digests []wire.Digest
}

// Store adds content. It is dropped, and logged by its absence in later Missing answers, when digest or size do not match.
type Store struct{ Blob tree.Blob }

// bundlesKept is how many bundles are kept. Hosts that do the same tasks lack the same files: there are few.
const bundlesKept = 64

type blobs struct {
	content  map[wire.Digest]*tree.Blob // as it came, until it is sent by itself
	closures map[wire.Digest]*Register
	bundles  map[wire.Digest]*tree.Blob
}

// Spec describes the blobs service.
func Spec() actors.Spec {
	return actors.Spec{Kind: "blobs", Name: "blobs", New: func() actor.Actor {
		return &blobs{content: map[wire.Digest]*tree.Blob{}, closures: map[wire.Digest]*Register{}, bundles: map[wire.Digest]*tree.Blob{}}
	}}
}

func (s *blobs) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *Register:
		s.closures[m.Closure] = m
		_, missing := s.resolve(m.Digests)
		ctx.Respond(&Missing{Key: m.Key, Digests: missing})
	case *Store:
		if b, ok := checked(m.Blob); ok {
			s.content[b.Digest] = b
		}
	case *tree.Fetch:
		ctx.Respond(s.fetch(m))
	case *tree.Load:
		loaded, ok := s.load(m)
		if !ok {
			ctx.Respond(&tree.Unknown{Closure: m.Closure})
			return
		}
		ctx.Respond(&tree.Loaded{Closure: m.Closure, Blobs: loaded})
	}
}

// fetch returns the answer to a Fetch.
func (s *blobs) fetch(m *tree.Fetch) any {
	c := s.closures[m.Closure]
	if c == nil {
		return &tree.Unknown{Closure: m.Closure}
	}
	found, missing := s.resolve(c.Digests)
	if len(missing) > 0 {
		return &tree.Unknown{Closure: m.Closure}
	}
	needed, _ := s.resolve(c.Digests[:len(c.Digests)-c.Python2])
	sizes := make([]tree.BlobSize, len(found))
	for i, b := range found {
		sizes[i] = tree.BlobSize{Digest: b.Digest, Size: b.Size, Python2: i >= len(needed)}
	}
	return &tree.Fetched{Closure: m.Closure, Blobs: sizes}
}

func (s *blobs) load(m *tree.Load) (loaded []*tree.Blob, ok bool) {
	if len(m.Bundled) > 0 {
		b := s.bundle(m.Bundled)
		if b == nil {
			return nil, false
		}
		loaded = append(loaded, b)
	}
	found, missing := s.resolve(m.Single)
	for _, b := range found {
		b = compressed(b)
		s.content[b.Digest] = b
		loaded = append(loaded, b)
	}
	return loaded, len(missing) == 0
}

// bundle makes one blob of several, or nil if one is not here.
func (s *blobs) bundle(parts []wire.Digest) *tree.Blob {
	name := wire.BundleName(parts)
	if b := s.bundles[name]; b != nil {
		return b
	}
	var contents [][]byte
	for _, d := range parts {
		b := s.content[d]
		if b == nil {
			return nil
		}
		raw, err := plain(b)
		if err != nil {
			return nil // it was looked at when it came
		}
		contents = append(contents, raw)
	}
	if len(s.bundles) >= bundlesKept {
		clear(s.bundles)
	}
	b := &tree.Blob{Digest: name, Encoding: wire.EncodingBundle}
	b.Content, b.Size = wire.Bundle(contents)
	s.bundles[name] = b
	return b
}

func (s *blobs) resolve(digests []wire.Digest) (found []*tree.Blob, missing []wire.Digest) {
	seen := make(map[wire.Digest]bool, len(digests))
	for _, d := range digests {
		if seen[d] {
			continue
		}
		seen[d] = true
		if b := s.content[d]; b != nil {
			found = append(found, b)
		} else {
			missing = append(missing, d)
		}
	}
	return found, missing
}

// maxBlob bounds what content may inflate to. The largest module files are a few hundred KiB.
const maxBlob = 64 << 20

// plain is a blob's content.
func plain(b *tree.Blob) ([]byte, error) {
	switch b.Encoding {
	case wire.EncodingRaw:
		return b.Content, nil
	case wire.EncodingZlib:
		z, err := zlib.NewReader(bytes.NewReader(b.Content))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(io.LimitReader(z, int64(b.Size)+1))
	}
	return nil, fmt.Errorf("encoding %d", b.Encoding)
}

// checked verifies content against its name.
func checked(b tree.Blob) (*tree.Blob, bool) {
	if b.Size > maxBlob {
		return nil, false
	}
	raw, err := plain(&b)
	return &b, err == nil && len(raw) == b.Size && wire.Sum(raw) == b.Digest
}

// compressed is a blob as it is sent by itself: what came raw, and gets smaller, is compressed.
func compressed(b *tree.Blob) *tree.Blob {
	if b.Encoding != wire.EncodingRaw || b.Size <= 128 {
		return b
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(b.Content); err != nil || z.Close() != nil || packed.Len() >= b.Size {
		return b
	}
	return &tree.Blob{Digest: b.Digest, Size: b.Size, Encoding: wire.EncodingZlib, Content: packed.Bytes()}
}
