// Package wire is the frame codec of the Spindle protocol, version 1. One
// format is spoken on both wires: the bridge, between an Ansible worker and the
// multiplexer, and the agent wire, between the multiplexer and an interpreter on
// a target. docs/protocol.md is its definition, testdata/vectors.json the shared
// examples, and spindle_wire.py (see [PythonSource]) its other half.
//
// A frame is four bytes of length, a kind, an id, a header (one msgpack array of
// scalars, a fixed number for each kind) and a body of opaque bytes:
//
//	0        4      5        9
//	+--------+------+--------+----------------+-------------+
//	| length | kind |   id   | msgpack header |    body     |
//	+--------+------+--------+----------------+-------------+
//
// The package owns bytes and nothing else: it holds no socket, starts no
// goroutine and knows neither calls nor credit. [Append] and [AppendHead] are
// safe for concurrent use; a [Reader] belongs to one goroutine.
//
// What it promises to the rest of the program:
//
//   - Whatever a peer sends, [Reader.Next] neither panics nor recurses, and it
//     holds at most sixteen times the bytes that really came for a frame (and
//     never more than [MaxFrame] and a buffer of 8 KiB).
//   - A frame that Next returns keeps its kind's rules: the right number and
//     types of elements, enumerations within their range, lengths that fit the
//     body, no body where the kind has none. Receivers may slice Body by
//     Call.MetaLen, Result.OutLen and Result.ErrLen without looking.
//   - Append refuses to write what Next would refuse to read, with the same
//     [*ProtocolError].
//   - Frame.Body is a slice of its own, of exactly the body's size, and belongs
//     to whoever holds the Frame. Nothing in the package keeps a reference.
//   - PACKED frames hold others. [Packer] makes them and [Unpacker], in a Reader's place, opens them: what one inflates
//     to is bounded by [MaxPacked], and an idle link holds no more than [PastMax] bytes for each direction.
//   - Next gives io.EOF only between two frames, and every error is final: the
//     stream cannot be trusted behind it.
//
// Encoding goes through the primitives of msgpack v5. Decoding does not: its
// Decoder allocates what a length asks for, wraps an unsigned 64 bit integer to
// a negative one and takes a float for an integer, so scalars are read by hand
// and v5 serves the tests as an oracle.
//
// To test against the package, build frames with Append and read them back from
// a bytes.Reader; wire_test.py and the Go tests both read testdata/vectors.json.
package wire
