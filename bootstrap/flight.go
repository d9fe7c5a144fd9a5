package bootstrap

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"spindle/transports/wire"
)

// Options are the things that differ between one agent and another.
type Options struct {
	// Candidates are the interpreters to try, in order. Each is split into words as a shell would do it, and nothing is
	// expanded. Words NAME=value may come in front, and a word && stands for itself, as in
	// `source /opt/venv/bin/activate && python`.
	Candidates []string
	// Nonce makes the marker a line that no login banner prints. Letters and digits.
	Nonce string
	// Title is the last word of the agent's command line, for those who look at a target's processes.
	Title string
	// TmpCandidates are directories for temporary files, ahead of those that every agent tries. ~ and $NAME are expanded
	// on the target.
	TmpCandidates []string
	// Silence is how long the agent lives without hearing anything; 0 is for ever.
	Silence time.Duration
	// Env is set in the agent, for everything that it starts.
	Env map[string]string
	// Watch is what the agent looks at to know that its account's login would be another one now: 0 nothing, 1 the account's
	// own record and groups, 2 what sudo, su, PAM and login shells read as well.
	Watch int
}

// Flight returns what the program started by [Argv] is to be sent at once: the packed agent and READY.
func Flight(o Options) []byte {
	settings := map[string]any{"tmp_candidates": o.TmpCandidates, "title": title(o.Title), "env": o.Env, "watch": o.Watch}
	body, err := json.Marshal(settings)
	if err != nil {
		panic(fmt.Sprintf("bootstrap: settings: %v", err)) // strings always marshal
	}
	agent, _ := packed()
	flight := append(make([]byte, 0, len(agent)+len(body)+64), agent...)
	flight, err = wire.Append(flight, wire.Frame{
		Header: wire.Ready{Proto: wire.Proto, PID: os.Getpid(), Version: "spindle", Silence: o.Silence},
		Body:   body,
	})
	if err != nil {
		panic(fmt.Sprintf("bootstrap: ready: %v", err)) // settings of a megabyte
	}
	return flight
}
