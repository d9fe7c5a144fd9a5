module spindle/tests/kubeapi

go 1.26.0

require (
	github.com/gorilla/websocket v1.5.3
	github.com/moby/spdystream v0.5.1
)
