package target

import (
	"context"
	"fmt"
	"net"
	"time"

	"spindle/tests/proxy"
)

// Proxy starts a counting proxy on loopback in front of the target's first address, with a delay one way and a limit in bytes a second
// (0 is none). The caller closes it.
func (f Facts) Proxy(delay time.Duration, rate int) (*proxy.Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the proxy: %w", err)
	}
	address := net.JoinHostPort(f.Addresses[0], fmt.Sprint(f.Port))
	return proxy.New(proxy.Options{
		Listener: listener,
		Dial: func(ctx context.Context) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "tcp", address)
		},
		Delay: delay, Bandwidth: rate,
	}), nil
}
