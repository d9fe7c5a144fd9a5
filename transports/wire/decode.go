package wire

import "math"

// decode reads the header of a kind. Go evaluates the calls within a composite
// literal in lexical order, so the fields must stay in the order of the wire. The
// result is meaningful only when s met neither a fault nor its end.
func decode(k Kind, s *scalars) Header {
	switch k {
	case KindHello:
		s.array(4)
		return Hello{Proto: s.int(), Role: s.str(), PID: s.int(), Version: s.str()}
	case KindReady:
		s.array(4)
		return Ready{Proto: s.int(), PID: s.int(), Version: s.str(), Silence: s.millis()}
	case KindCall:
		return decodeCall(s)
	case KindResult:
		s.array(6)
		return Result{
			Status: Status(s.upTo(int64(StatusStale), reasonStatus)),
			RC:     s.int(),
			OutLen: s.int(),
			ErrLen: s.int(),
			Errno:  s.int(),
			Text:   s.str(),
		}
	case KindCancel:
		s.array(1)
		return Cancel{Reason: s.str()}
	case KindSpawn:
		s.array(2)
		return Spawn{Mode: s.int(), MetaLen: s.int()}
	case KindData:
		s.array(1)
		return Data{Channel: s.int()}
	case KindEOF:
		s.array(1)
		return EOF{Channel: s.int()}
	case KindExit:
		s.array(3)
		return Exit{RC: s.int(), Signal: s.int(), Text: s.str()}
	case KindCredit:
		s.array(2)
		return Credit{Channel: s.int(), Bytes: s.int()}
	case KindBlob:
		s.array(3)
		return Blob{Digest: s.digest(), Size: s.int(), Encoding: s.int()}
	case KindSplice:
		s.array(3)
		return Splice{Channel: s.int(), Digest: s.digest(), Form: s.int()}
	case KindLog:
		s.array(3)
		return Log{Level: s.int(), Logger: s.str(), Text: s.str()}
	case KindPing:
		s.array(2)
		return Ping{Reply: s.bool(), Stamp: s.int64()}
	case KindBye:
		s.array(1)
		return Bye{Reason: s.str()}
	case KindPacked:
		s.array(1)
		return Packed{Fresh: s.bool()}
	case KindByway:
		s.array(2)
		return Byway{Count: s.int(), Path: s.str()}
	case KindPart:
		s.array(3)
		return Part{Channel: s.int(), Offset: s.int64(), Last: s.bool()}
	}
	s.fail("unknown kind")
	return nil
}

func decodeCall(s *scalars) Call {
	s.array(6)
	var c Call
	c.Op = s.str()
	c.Context = s.str()
	c.Closure, c.HasClosure = s.digestOrNone()
	c.MetaLen = s.int()
	c.Timeout = s.millis()
	c.Flags = Flags(s.upTo(math.MaxUint32, reasonFlags))
	return c
}
