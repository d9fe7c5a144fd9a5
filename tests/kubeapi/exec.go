package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/gorilla/websocket"
)

// streams are the ends of one kubectl exec.
type streams struct {
	stdin          io.Reader // nil when kubectl sends none
	stdout, stderr io.Writer
}

// serveExec runs a program in a pod, over whichever protocol kubectl asks for.
func serveExec(w http.ResponseWriter, r *http.Request, prefix []string, env ...string) {
	q := r.URL.Query()
	yes := func(key string) bool { b, _ := strconv.ParseBool(q.Get(key)); return b }
	if c := q.Get("container"); c != "main" && c != "side" {
		fail(w, http.StatusBadRequest, "BadRequest", fmt.Sprintf("container %q is not valid for this pod", c))
		return
	}
	if yes("tty") {
		fail(w, http.StatusBadRequest, "BadRequest", "there are no terminals here")
		return
	}
	argv := append(slices.Clone(prefix), q["command"]...)
	env = append(env, "KUBE_CONTAINER="+q.Get("container"))
	want := []string{"error"}
	for _, name := range []string{"stdin", "stdout", "stderr"} {
		if yes(name) {
			want = append(want, name)
		}
	}
	switch {
	case websocket.IsWebSocketUpgrade(r):
		overWebSocket(w, r, want, argv, env)
	case strings.EqualFold(r.Header.Get("Upgrade"), "SPDY/3.1"):
		overSPDY(w, r, want, argv, env)
	default:
		fail(w, http.StatusBadRequest, "BadRequest", "an upgrade is needed")
	}
}

// run runs the program to its end and says what became of it, as kubectl wants to read it. A program whose kubectl has gone away reads the end of
// its input, and nothing else happens to it: that is how it is in a cluster.
func run(argv, env []string, s streams) []byte {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env = s.stdout, s.stderr, append(os.Environ(), env...)
	var err error
	if s.stdin != nil {
		var in io.WriteCloser
		if in, err = cmd.StdinPipe(); err == nil {
			go func() {
				_, _ = io.Copy(in, s.stdin)
				in.Close()
			}()
		}
	}
	if err == nil {
		err = cmd.Run()
	}
	var exit *exec.ExitError
	status := object{"kind": "Status", "apiVersion": "v1", "metadata": object{}, "status": "Success"}
	switch {
	case errors.As(err, &exit):
		status["status"], status["reason"] = "Failure", "NonZeroExitCode"
		status["message"] = fmt.Sprintf("command terminated with non-zero exit code: %v", err)
		status["details"] = object{"causes": []any{object{"reason": "ExitCode", "message": strconv.Itoa(exit.ExitCode())}}}
	case err != nil:
		status["status"], status["reason"], status["message"] = "Failure", "InternalError", err.Error()
	}
	b, _ := json.Marshal(status)
	return b
}
