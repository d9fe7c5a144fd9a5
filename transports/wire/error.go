package wire

import "fmt"

// ProtocolError says that a frame breaks the protocol: a peer's when [Reader.Next]
// returns it, the caller's own when [Append] or [AppendHead] does. It ends the
// link. Its text holds no content of the frame, so that it may be logged and sent
// in a BYE.
type ProtocolError struct {
	Kind   Kind   // 0 when the fault shows before the kind
	ID     uint32 // 0 when the fault shows before the id
	Reason string
}

// Error implements error.
func (e *ProtocolError) Error() string {
	if e.Kind == 0 {
		return "protocol error: " + e.Reason
	}
	return fmt.Sprintf("protocol error: %v (id %d): %s", e.Kind, e.ID, e.Reason)
}
