package frames

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"spindle/transports/wire"
)

func kindsIn(t *testing.T, next func() (wire.Frame, error)) (all []wire.Frame, kinds []wire.Kind) {
	t.Helper()
	for {
		f, err := next()
		if errors.Is(err, io.EOF) {
			return all, kinds
		}
		if err != nil {
			t.Fatal(err)
		}
		all, kinds = append(all, f), append(kinds, f.Header.Kind())
	}
}

// Whatever is packed, the far side gets the frames of a batch in their order.
func TestLayout_PacksWhatStandsBetweenBlobsAndData(t *testing.T) {
	call := func(id uint32, n int) wire.Frame {
		return wire.Frame{ID: id, Header: wire.Call{Op: "exec"}, Body: bytes.Repeat([]byte("body "), n/5)}
	}
	blob := wire.Frame{Header: wire.Blob{Digest: wire.Sum(nil), Size: 100}, Body: make([]byte, 100)}
	data := wire.Frame{ID: 3, Header: wire.Data{Channel: 0}, Body: make([]byte, smallBody+1)}
	ping := wire.Frame{Header: wire.Ping{Stamp: 1}}
	slow, ok, err := wire.PackFresh(data)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	const p = wire.KindPacked
	for _, c := range []struct {
		name  string
		batch []wire.Frame
		want  []wire.Kind
	}{
		{"nothing", nil, nil},
		{"a call", []wire.Frame{call(1, 100)}, []wire.Kind{p}},
		{"too little to gain", []wire.Frame{ping}, []wire.Kind{wire.KindPing}},
		{"little frames in company", []wire.Frame{ping, call(1, 100), ping}, []wire.Kind{p}},
		{"a blob keeps its place", []wire.Frame{call(1, 100), blob, call(2, 100)}, []wire.Kind{p, wire.KindBlob, p}},
		{"data keeps its place", []wire.Frame{call(3, 100), data, ping, call(4, 100)}, []wire.Kind{p, wire.KindData, p}},
		{"data that is packed stays so", []wire.Frame{call(3, 100), slow}, []wire.Kind{p, p}},
		{"the far side can begin", []wire.Frame{call(1, 60<<10), call(2, 60<<10), call(3, 10)}, []wire.Kind{p, p}},
		{"more than a piece may hold", []wire.Frame{call(1, 100), call(2, wire.MaxPacked), call(3, 100)}, []wire.Kind{p, wire.KindCall, p}},
	} {
		t.Run(c.name, func(t *testing.T) {
			plain, err := layout{}.encode(c.batch)
			if err != nil {
				t.Fatal(err)
			}
			packed, err := layout{packer: new(wire.Packer)}.encode(c.batch)
			if err != nil {
				t.Fatal(err)
			}
			stream := slices.Concat(packed...)
			_, kinds := kindsIn(t, wire.NewReader(bytes.NewReader(stream)).Next)
			if diff := cmp.Diff(c.want, kinds); diff != "" {
				t.Errorf("kinds (-want +got):\n%s", diff)
			}
			want, _ := kindsIn(t, wire.NewUnpacker(wire.NewReader(bytes.NewReader(slices.Concat(plain...)))).Next)
			got, _ := kindsIn(t, wire.NewUnpacker(wire.NewReader(bytes.NewReader(stream))).Next)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("frames (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLayout_RefusesWhatBreaksTheProtocol(t *testing.T) {
	for name, l := range map[string]layout{"plain": {}, "packing": {packer: new(wire.Packer)}} {
		if _, err := l.encode([]wire.Frame{{Header: wire.EOF{Channel: 9}}}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
