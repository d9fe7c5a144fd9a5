package blobs

import (
	"bytes"
	"compress/zlib"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"spindle/actors/actorstest"
	"spindle/actors/tree"
	"spindle/transports/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func packed(s string) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return b.Bytes()
}

func TestClosureIsKnownOnceAllItsContentIs(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		svc, p := e.Spawn(Spec()), e.Probe("worker")
		long := strings.Repeat("import os\n", 100)
		a, b := wire.Sum([]byte(long)), wire.Sum([]byte("b"))
		closure := wire.Sum([]byte("manifest"))

		p.Request(svc, &tree.Fetch{Closure: closure})
		actorstest.Expect[*tree.Unknown](p)

		p.Request(svc, &Register{Key: 1, Closure: closure, Digests: []wire.Digest{a, b, a}})
		if diff := cmp.Diff(&Missing{Key: 1, Digests: []wire.Digest{a, b}}, actorstest.Expect[*Missing](p)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		p.Request(svc, &Store{Blob: tree.Blob{Digest: a, Size: len(long), Content: []byte(long)}})
		p.Request(svc, &tree.Fetch{Closure: closure})
		actorstest.Expect[*tree.Unknown](p)

		p.Request(svc, &Store{Blob: tree.Blob{Digest: b, Size: 1, Encoding: wire.EncodingZlib, Content: packed("b")}})
		p.Request(svc, &tree.Fetch{Closure: closure})
		got := actorstest.Expect[*tree.Fetched](p)
		if len(got.Blobs) != 2 || got.Blobs[0].Encoding != wire.EncodingZlib || len(got.Blobs[0].Content) >= len(long) {
			t.Errorf("got %d blobs, the first %+v: what came raw must be sent compressed", len(got.Blobs), got.Blobs[0])
		}
	})
}

func TestContentThatDoesNotMatchItsNameIsRefused(t *testing.T) {
	d := wire.Sum([]byte("right"))
	cases := map[string]tree.Blob{
		"other content":    {Digest: d, Size: 5, Content: []byte("wrong")},
		"other size":       {Digest: d, Size: 4, Content: []byte("right")},
		"packed, too long": {Digest: d, Size: 5, Encoding: wire.EncodingZlib, Content: packed("right and more")},
		"not packed":       {Digest: d, Size: 5, Encoding: wire.EncodingZlib, Content: []byte("right")},
		"other encoding":   {Digest: d, Size: 5, Encoding: 7, Content: []byte("right")},
	}
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			actorstest.Bubble(t, func(e *actorstest.Env) {
				svc, p := e.Spawn(Spec()), e.Probe("worker")
				p.Request(svc, &Store{Blob: b})
				p.Request(svc, &Register{Closure: d, Digests: []wire.Digest{d}})
				if got := actorstest.Expect[*Missing](p); len(got.Digests) != 1 {
					t.Errorf("%s was taken", name)
				}
			})
		})
	}
}
