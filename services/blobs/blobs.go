package blobs

import (
	"bytes"
	"compress/zlib"
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
}

// Missing lists the content of a closure that must still be stored.
type Missing struct {
	Key     uint32
	Digests []wire.Digest
}

// Store adds content. It is dropped, and logged by its absence in later Missing answers, when digest or size do not match.
type Store struct{ Blob tree.Blob }

type blobs struct {
	content  map[wire.Digest]*tree.Blob
	closures map[wire.Digest][]wire.Digest
}

// Spec describes the blobs service.
func Spec() actors.Spec {
	return actors.Spec{Kind: "blobs", Name: "blobs", New: func() actor.Actor {
		return &blobs{content: map[wire.Digest]*tree.Blob{}, closures: map[wire.Digest][]wire.Digest{}}
	}}
}

func (s *blobs) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *Register:
		s.closures[m.Closure] = m.Digests
		_, missing := s.resolve(m.Digests)
		ctx.Respond(&Missing{Key: m.Key, Digests: missing})
	case *Store:
		if b, ok := checked(m.Blob); ok {
			s.content[b.Digest] = b
		}
	case *tree.Fetch:
		digests, known := s.closures[m.Closure]
		found, missing := s.resolve(digests)
		if !known || len(missing) > 0 {
			ctx.Respond(&tree.Unknown{Closure: m.Closure})
			return
		}
		ctx.Respond(&tree.Fetched{Closure: m.Closure, Blobs: found})
	}
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

// checked verifies content against its name and compresses what came raw and gets smaller.
func checked(b tree.Blob) (*tree.Blob, bool) {
	if b.Size > maxBlob {
		return nil, false
	}
	raw := b.Content
	switch b.Encoding {
	case wire.EncodingRaw:
	case wire.EncodingZlib:
		z, err := zlib.NewReader(bytes.NewReader(b.Content))
		if err != nil {
			return nil, false
		}
		if raw, err = io.ReadAll(io.LimitReader(z, int64(b.Size)+1)); err != nil {
			return nil, false
		}
	default:
		return nil, false
	}
	if len(raw) != b.Size || wire.Sum(raw) != b.Digest {
		return nil, false
	}
	if b.Encoding == wire.EncodingRaw && len(raw) > 128 {
		var packed bytes.Buffer
		z := zlib.NewWriter(&packed)
		if _, err := z.Write(raw); err == nil && z.Close() == nil && packed.Len() < len(raw) {
			b.Encoding, b.Content = wire.EncodingZlib, packed.Bytes()
		}
	}
	return &b, true
}
