// Kubeapi is an API server that knows pods, and nothing else about them than how to run a program in one.
//
// It is enough for kubectl exec, kubectl get pods and whatever asks whether a pod is there, with any kubectl: it speaks the
// older SPDY and the newer WebSocket.
//
// The pods come as lines on standard input: a name, and the words of the command that stands in front of what is to be run
// there. The name is repeated on standard output once it is known; the first line of output is the address, when the server
// listens.
//
// A program in a pod finds in its environment how it was asked for: KUBE_NAMESPACE, KUBE_CONTAINER and KUBE_ACCOUNT.
//
// It is a module of its own so that the project needs none of what it imports.
package main

import (
	"bufio"
	"crypto/tls"
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
	token, login string // who may ask; empty for anybody. A login is user:password
	mu           sync.Mutex
	pods         map[string][]string
}

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	s := &server{pods: map[string][]string{}}
	flag.StringVar(&s.token, "token", "", "the token that requests must have, or else the login")
	flag.StringVar(&s.login, "login", "", "user:password")
	certs := flag.String("certs", "", "directory to write ca.pem, client.pem and client.key to: who shows that certificate may ask, too")
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix("kubeapi: ")
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	// kubectl shows its credentials to nobody without TLS. The protocols of exec are of HTTP/1.1.
	config := certify(l.Addr(), *certs)
	web := &http.Server{Handler: s, TLSConfig: config, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
	go func() { log.Fatal(web.ServeTLS(l, "", "")) }()
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
	account := s.account(r)
	switch {
	case account == "":
		fail(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
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
		serveExec(w, r, s.command(p[5]), "KUBE_NAMESPACE="+p[3], "KUBE_ACCOUNT="+account)
	case len(p) >= 6 && p[4] == "pods":
		fail(w, http.StatusNotFound, "NotFound", fmt.Sprintf("pods %q not found", p[5]))
	default:
		fail(w, http.StatusNotFound, "NotFound", "the server could not find the requested resource")
	}
}

// account is who asks, or nothing if it is nobody who may.
func (s *server) account(r *http.Request) string {
	user, password, _ := r.BasicAuth()
	switch {
	case r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
		return r.TLS.PeerCertificates[0].Subject.CommonName
	case s.token == "" && s.login == "":
		return "anybody"
	case s.token != "" && r.Header.Get("Authorization") == "Bearer "+s.token:
		return "token"
	case s.login != "" && user+":"+password == s.login:
		return user
	}
	return ""
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
