package ansiblebridge

import (
	"bytes"
	"encoding/json"
	"runtime"
	"runtime/debug"
	"runtime/pprof"

	"spindle/actors/census"
	"spindle/transports/wire"
)

// Stats is what the op stats answers: what the multiplexer takes right now. Sizes are in bytes.
type Stats struct {
	// Actors counts actors and pumps, Goroutines all there are.
	Actors     int `json:"actors"`
	Goroutines int `json:"goroutines"`
	// Heap is what objects take, Stacks what goroutines do, and System all that was taken from the kernel and not given back.
	Heap   uint64 `json:"heap"`
	Stacks uint64 `json:"stacks"`
	System uint64 `json:"system"`
}

// statsRequest is the meta of the op.
type statsRequest struct {
	// Collect has garbage removed first, so that Heap is what is in use.
	Collect bool `json:"collect"`
	// Profile names a profile of Go's own ("heap", "goroutine"), to be answered in the place of Stats.
	Profile string `json:"profile"`
}

// onStats answers the op stats. It keeps nobody else waiting: a session works for one client alone.
func (s *session) onStats(id uint32, meta []byte) {
	var req statsRequest
	if len(meta) > 0 {
		if err := json.Unmarshal(meta, &req); err != nil {
			s.bad(id, "stats", err)
			return
		}
	}
	if req.Collect {
		debug.FreeOSMemory()
	}
	if req.Profile == "" {
		s.reply(id, stats(s.cfg.Census))
		return
	}
	profile := pprof.Lookup(req.Profile)
	if profile == nil {
		s.finish(id, wire.Result{Status: wire.StatusError, Text: "stats: there is no profile " + req.Profile}, nil)
		return
	}
	var out bytes.Buffer
	if err := profile.WriteTo(&out, 0); err != nil {
		s.finish(id, wire.Result{Status: wire.StatusFault, Text: err.Error()}, nil)
		return
	}
	s.replyRaw(id, out.Bytes())
}

func stats(c *census.Census) Stats {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Stats{
		Actors: c.Len(), Goroutines: runtime.NumGoroutine(), Heap: m.HeapAlloc, Stacks: m.StackInuse, System: m.Sys - m.HeapReleased,
	}
}
