package blobs

import (
	"bytes"
	"compress/zlib"
	"io"
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
		want := &tree.Fetched{Closure: closure, Blobs: []tree.BlobSize{{Digest: a, Size: len(long)}, {Digest: b, Size: 1}}}
		if diff := cmp.Diff(want, actorstest.Expect[*tree.Fetched](p)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		p.Request(svc, &tree.Load{Closure: closure, Single: []wire.Digest{a, b}})
		got := actorstest.Expect[*tree.Loaded](p)
		if len(got.Blobs) != 2 || got.Blobs[0].Encoding != wire.EncodingZlib || len(got.Blobs[0].Content) >= len(long) {
			t.Errorf("got %d blobs, the first %+v: what came raw must be sent compressed", len(got.Blobs), got.Blobs[0])
		}
		p.Request(svc, &tree.Load{Closure: closure, Bundled: []wire.Digest{b, a}, Single: []wire.Digest{b}})
		got = actorstest.Expect[*tree.Loaded](p)
		if len(got.Blobs) != 2 {
			t.Fatalf("%+v", got)
		}
		bundle := got.Blobs[0]
		plainWant := "\x00\x00\x00\x01b\x00\x00\x03\xe8" + long
		if plain := inflate(t, bundle.Content); bundle.Digest != wire.BundleName([]wire.Digest{b, a}) || bundle.Encoding != wire.EncodingBundle ||
			bundle.Size != len(plainWant) || plain != plainWant {
			t.Errorf("a bundle %+v of %q", bundle, plain)
		}
		p.Request(svc, &tree.Load{Closure: closure, Bundled: []wire.Digest{b, a}})
		if got = actorstest.Expect[*tree.Loaded](p); got.Blobs[0] != bundle {
			t.Error("the same bundle was made twice")
		}
		for _, l := range []*tree.Load{{Closure: closure, Bundled: []wire.Digest{a, closure}}, {Closure: closure, Single: []wire.Digest{closure}}} {
			p.Request(svc, l)
			actorstest.Expect[*tree.Unknown](p)
		}
	})
}

func TestWhatOnlyPython2NeedsIsMarked(t *testing.T) {
	actorstest.Bubble(t, func(e *actorstest.Env) {
		svc, p := e.Spawn(Spec()), e.Probe("worker")
		var digests []wire.Digest
		for _, s := range []string{"a", "b", "c"} {
			d := wire.Sum([]byte(s))
			digests = append(digests, d)
			p.Request(svc, &Store{Blob: tree.Blob{Digest: d, Size: 1, Content: []byte(s)}})
		}
		a, b, c := digests[0], digests[1], digests[2]
		closure := wire.Sum([]byte("manifest"))
		p.Request(svc, &Register{Key: 1, Closure: closure, Digests: []wire.Digest{a, b, b, c, a}, Python2: 2})
		actorstest.Expect[*Missing](p)
		p.Request(svc, &tree.Fetch{Closure: closure})
		want := &tree.Fetched{Closure: closure, Blobs: []tree.BlobSize{{Digest: a, Size: 1}, {Digest: b, Size: 1}, {Digest: c, Size: 1, Python2: true}}}
		if diff := cmp.Diff(want, actorstest.Expect[*tree.Fetched](p)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func inflate(t *testing.T, b []byte) string {
	t.Helper()
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
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
