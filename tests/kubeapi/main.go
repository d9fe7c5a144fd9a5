// Kubeapi is an API server that knows pods, and nothing else about them than how to run a program in one.
//
// It is enough for kubectl exec, kubectl get pods and whatever asks whether a pod is there, with any kubectl: it speaks the
// older SPDY and the newer WebSocket.
//
// The pods come as lines on standard input: a name, and the words of the command that stands in front of what is to be run
// there. The name is repeated on standard output once it is known; the first line of output is the address, when the server
// listens.
//
// It is a module of its own so that the project needs none of what it imports.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
)

type object = map[string]any

// server has the pods by name, all of them in whichever namespace they are asked for.
type server struct {
	mu   sync.Mutex
	pods map[string][]string
}

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix("kubeapi: ")
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	s := &server{pods: map[string][]string{}}
	go func() { log.Fatal(http.Serve(l, s)) }()
	fmt.Println(l.Addr())
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if f := strings.Fields(in.Text()); len(f) > 1 {
			s.mu.Lock()
			s.pods[f[0]] = f[1:]
			s.mu.Unlock()
			fmt.Println(f[0])
		}
	}
}

// ServeHTTP answers the few requests that kubectl makes on its way to a pod.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // api v1 namespaces NAMESPACE pods POD exec
	switch {
	case r.URL.Path == "/version":
		answer(w, object{"major": "1", "minor": "32", "gitVersion": "v1.32.0"})
	case r.URL.Path == "/api":
		answer(w, object{"kind": "APIVersions", "versions": []string{"v1"}})
	case r.URL.Path == "/apis":
		answer(w, object{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{}})
	case r.URL.Path == "/api/v1":
		answer(w, object{"kind": "APIResourceList", "groupVersion": "v1", "resources": []any{
			object{"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": []string{"get", "list"}, "shortNames": []string{"po"}},
			object{"name": "pods/exec", "namespaced": true, "kind": "PodExecOptions", "verbs": []string{"create", "get"}},
		}})
	case len(p) == 5 && p[4] == "pods":
		items := []any{}
		for _, name := range s.names() {
			items = append(items, pod(p[3], name))
		}
		answer(w, object{"kind": "PodList", "apiVersion": "v1", "items": items})
	case len(p) == 6 && p[4] == "pods" && s.command(p[5]) != nil:
		answer(w, pod(p[3], p[5]))
	case len(p) == 7 && p[4] == "pods" && p[6] == "exec" && s.command(p[5]) != nil:
		serveExec(w, r, s.command(p[5]))
	case len(p) >= 6 && p[4] == "pods":
		fail(w, http.StatusNotFound, "NotFound", fmt.Sprintf("pods %q not found", p[5]))
	default:
		fail(w, http.StatusNotFound, "NotFound", "the server could not find the requested resource")
	}
}

func (s *server) command(pod string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pods[pod]
}

func (s *server) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for name := range s.pods {
		out = append(out, name)
	}
	return out
}

// pod describes a pod with two containers, so that it matters which one is asked for. Both are the same.
func pod(namespace, name string) object {
	running := object{"running": object{"startedAt": "2024-01-01T00:00:00Z"}}
	return object{
		"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": name, "namespace": namespace, "uid": "uid-" + name},
		"spec": object{"containers": []any{object{"name": "main", "image": "inner"}, object{"name": "side", "image": "inner"}}},
		"status": object{"phase": "Running", "containerStatuses": []any{
			object{"name": "main", "ready": true, "state": running}, object{"name": "side", "ready": true, "state": running},
		}},
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, code int, reason, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": text, "code": code})
}
