package wire

import (
	"math"
	"time"
)

// The reasons that both directions of both codecs give. They name the rule and
// never a value of the frame.
const (
	reasonBody     = "this kind has no body"
	reasonChunk    = "more than 131072 bytes of data"
	reasonBlob     = "more than 1048576 bytes of content"
	reasonMeta     = "meta_len does not fit the body"
	reasonOutput   = "out_len and err_len are not the body"
	reasonStatus   = "unknown status"
	reasonFlags    = "flags do not fit 32 bits"
	reasonChannel  = "unknown channel"
	reasonMode     = "unknown mode"
	reasonEncoding = "unknown encoding"
	reasonForm     = "unknown form"
	reasonSize     = "size or count out of range"
	reasonTime     = "time out of range"
)

// maxMillis is the longest time that fits a time.Duration.
const maxMillis = math.MaxInt64 / int64(time.Millisecond)

// first returns the first reason that is not empty.
func first(reasons ...string) string {
	for _, r := range reasons {
		if r != "" {
			return r
		}
	}
	return ""
}

func unless(ok bool, reason string) string {
	if ok {
		return ""
	}
	return reason
}

func within(n, limit int, reason string) string { return unless(n >= 0 && n <= limit, reason) }

func noBody(body int) string { return unless(body == 0, reasonBody) }

func channel(c int) string { return within(c, ChannelErr, reasonChannel) }

func size(n int) string { return within(n, math.MaxInt32, reasonSize) }

func span(d time.Duration) string { return unless(d >= 0, reasonTime) }

func (Hello) check(int) string { return "" }

func (h Ready) check(int) string { return span(h.Silence) }

func (h Call) check(body int) string {
	return first(within(h.MetaLen, body, reasonMeta), span(h.Timeout))
}

func (h Result) check(body int) string {
	return first(
		unless(h.Status <= StatusStale, reasonStatus),
		// With one of them within the body, the other is what is left of it, and their sum cannot wrap.
		within(h.OutLen, body, reasonOutput),
		unless(h.OutLen+h.ErrLen == body, reasonOutput),
	)
}

func (Cancel) check(body int) string { return noBody(body) }

func (h Spawn) check(body int) string {
	return first(within(h.Mode, 2, reasonMode), within(h.MetaLen, body, reasonMeta))
}

func (h Data) check(body int) string {
	return first(channel(h.Channel), within(body, ChunkMax, reasonChunk))
}

func (h EOF) check(body int) string { return first(channel(h.Channel), noBody(body)) }

func (Exit) check(body int) string { return noBody(body) }

func (h Credit) check(body int) string {
	return first(channel(h.Channel), size(h.Bytes), noBody(body))
}

func (h Blob) check(body int) string {
	return first(size(h.Size), within(h.Encoding, EncodingBundle, reasonEncoding), within(body, MaxBlob, reasonBlob))
}

func (h Splice) check(body int) string {
	return first(channel(h.Channel), within(h.Form, FormFrame, reasonForm), noBody(body))
}

func (Log) check(body int) string { return noBody(body) }

func (Ping) check(body int) string { return noBody(body) }

func (Bye) check(body int) string { return noBody(body) }

func (Packed) check(int) string { return "" }

func (h Byway) check(body int) string { return first(size(h.Count), noBody(body)) }

func (h Part) check(body int) string {
	return first(channel(h.Channel), unless(h.Offset >= 0, reasonSize), within(body, ChunkMax, reasonChunk))
}
