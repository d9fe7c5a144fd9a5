package wire

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"
)

// Whatever is written is read back the same, however the stream is cut.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frames := rapid.SliceOfN(anyFrame, 1, 6).Draw(t, "frames")
		var b []byte
		for _, f := range frames {
			var err error
			if b, err = Append(b, f); err != nil {
				t.Fatal(err)
			}
		}
		sizes := rapid.SliceOfN(rapid.IntRange(1, 20000), 1, 10).Draw(t, "sizes")
		got, err := readAll(&pieced{b: b, sizes: sizes})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(frames, got, frameOptions); diff != "" {
			t.Fatalf("mismatch (-want +got):\n%s", diff)
		}
		for _, f := range got {
			if cap(f.Body) != len(f.Body) {
				t.Errorf("body of %d bytes in %d", len(f.Body), cap(f.Body))
			}
		}
	})
}

// AppendHead and the body are the frame.
func TestAppendHead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFrame.Draw(t, "frame")
		whole, err := Append(nil, f)
		if err != nil {
			t.Fatal(err)
		}
		head, err := AppendHead(make([]byte, 0, 100), f)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(append(head, f.Body...), whole) {
			t.Error("head and body differ from the frame")
		}
	})
}

// The header's msgpack means to another decoder what it means to this package.
func TestHeader_OracleReadsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFrame.Draw(t, "frame")
		f.Body = f.Body[:len(f.Body):len(f.Body)]
		head, err := AppendHead(nil, f)
		if err != nil {
			t.Fatal(err)
		}
		s := scalars{buf: head[prefixLen:], limit: len(head) - prefixLen}
		if got := decode(f.Header.Kind(), &s); got != f.Header || s.fault != "" || s.short {
			t.Fatalf("decode gave %v (%q, short %v), want %v", got, s.fault, s.short, f.Header)
		}
		d := msgpack.NewDecoder(bytes.NewReader(head[prefixLen:]))
		n, err := d.DecodeArrayLen()
		if err != nil {
			t.Fatal(err)
		}
		var got []any
		for range n {
			v, err := d.DecodeInterface()
			if err != nil {
				t.Fatal(err)
			}
			switch r := reflect.ValueOf(v); {
			case r.CanInt():
				v = r.Int()
			case r.CanUint():
				v = int64(r.Uint())
			}
			got = append(got, v)
		}
		if diff := cmp.Diff(scalarsOf(f.Header), got); diff != "" {
			t.Errorf("mismatch (-want +got):\n%s", diff)
		}
		if s.at != len(head)-prefixLen {
			t.Errorf("%d bytes read, %d written", s.at, len(head)-prefixLen)
		}
	})
}

// scalarsOf lists a header's elements as docs/protocol.md does.
func scalarsOf(h Header) []any {
	i := func(n int) any { return int64(n) }
	switch h := h.(type) {
	case Hello:
		return []any{i(h.Proto), h.Role, i(h.PID), h.Version}
	case Ready:
		return []any{i(h.Proto), i(h.PID), h.Version, h.Silence.Milliseconds()}
	case Call:
		var closure any
		if h.HasClosure {
			closure = h.Closure[:]
		}
		return []any{h.Op, h.Context, closure, i(h.MetaLen), h.Timeout.Milliseconds(), int64(h.Flags)}
	case Result:
		return []any{int64(h.Status), i(h.RC), i(h.OutLen), i(h.ErrLen), i(h.Errno), h.Text}
	case Cancel:
		return []any{h.Reason}
	case Spawn:
		return []any{i(h.Mode), i(h.MetaLen)}
	case Data:
		return []any{i(h.Channel)}
	case EOF:
		return []any{i(h.Channel)}
	case Exit:
		return []any{i(h.RC), i(h.Signal), h.Text}
	case Credit:
		return []any{i(h.Channel), i(h.Bytes)}
	case Blob:
		return []any{h.Digest[:], i(h.Size), i(h.Encoding)}
	case Splice:
		return []any{i(h.Channel), h.Digest[:], i(h.Form)}
	case Log:
		return []any{i(h.Level), h.Logger, h.Text}
	case Ping:
		return []any{h.Reply, h.Stamp}
	case Bye:
		return []any{h.Reason}
	case Packed:
		return []any{h.Fresh}
	case Byway:
		return []any{i(h.Count), h.Path}
	case Part:
		return []any{i(h.Channel), h.Offset, h.Last}
	}
	panic("unknown header")
}

// Whatever form another encoder chooses for a scalar, it is read.
func TestScalars_ReadWhatTheOracleWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := anyInt64.Draw(t, "number")
		text := anyText.Draw(t, "text")
		flag := rapid.Bool().Draw(t, "flag")
		var b bytes.Buffer
		e := msgpack.NewEncoder(&b)
		forms := []func() error{
			func() error { return e.EncodeInt(n) },
			func() error { return e.EncodeInt64(n) },
		}
		if n >= 0 {
			forms = append(forms, func() error { return e.EncodeUint64(uint64(n)) })
		}
		if n >= 0 && n <= math.MaxUint8 {
			forms = append(forms, func() error { return e.EncodeUint8(uint8(n)) })
		}
		if n >= 0 && n <= math.MaxUint16 {
			forms = append(forms, func() error { return e.EncodeUint16(uint16(n)) })
		}
		if n >= 0 && n <= math.MaxUint32 {
			forms = append(forms, func() error { return e.EncodeUint32(uint32(n)) })
		}
		if n == int64(int8(n)) {
			forms = append(forms, func() error { return e.EncodeInt8(int8(n)) })
		}
		if n == int64(int16(n)) {
			forms = append(forms, func() error { return e.EncodeInt16(int16(n)) })
		}
		if n == int64(int32(n)) {
			forms = append(forms, func() error { return e.EncodeInt32(int32(n)) })
		}
		if err := rapid.SampledFrom(forms).Draw(t, "form")(); err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "as bin") {
			_ = e.EncodeBytes([]byte(text))
		} else {
			_ = e.EncodeString(text)
		}
		_ = e.EncodeBool(flag)

		s := scalars{buf: b.Bytes(), limit: b.Len()}
		if got := s.int64(); got != n {
			t.Errorf("integer %d, want %d (%x)", got, n, b.Bytes()[:9])
		}
		if got := s.str(); got != text {
			t.Errorf("text %q, want %q", got, text)
		}
		if got := s.bool(); got != flag {
			t.Errorf("flag %v, want %v", got, flag)
		}
		if s.fault != "" || s.short || s.at != b.Len() {
			t.Errorf("fault %q, short %v, %d of %d bytes read", s.fault, s.short, s.at, b.Len())
		}
	})
}

// A time above zero never becomes the 0 that means "no limit".
func TestMillis_RoundUp(t *testing.T) {
	tests := []struct {
		name     string
		in, want time.Duration
	}{
		{"none", 0, 0},
		{"one nanosecond", 1, time.Millisecond},
		{"just over a second", time.Second + 1, time.Second + time.Millisecond},
		{"whole", 90 * time.Second, 90 * time.Second},
		{"the longest", math.MaxInt64, time.Duration(maxMillis) * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := Append(nil, Frame{Header: Call{Timeout: tt.in}})
			if err != nil {
				t.Fatal(err)
			}
			f, err := NewReader(bytes.NewReader(b)).Next()
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Header.(Call).Timeout; got != tt.want {
				t.Errorf("%v became %v, want %v", tt.in, got, tt.want)
			}
		})
	}
}
