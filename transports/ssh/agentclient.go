package ssh

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// agentTimeout bounds what an agent may take where the caller has set no deadline. Agents that ask their user take a while.
const agentTimeout = 30 * time.Second

// agentClient is a conversation with an SSH agent for the time of one login.
type agentClient struct {
	conn net.Conn
	keys []identity
	err  error // why it did not tell what it has
}

// agentPause is for how long an agent is left alone for which too many are waiting.
const agentPause = 20 * time.Millisecond

// dialAgent connects to an agent. One that many connect to at once may refuse for the moment (EAGAIN), where ssh itself would be made to wait.
func dialAgent(ctx context.Context, socket string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, agentTimeout)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if !errors.Is(err, syscall.EAGAIN) {
			return conn, err
		}
		select {
		case <-time.After(agentPause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// openAgent asks the agent at socket what it has. No agent, or a broken one, has nothing: that is an error only if the login fails.
func openAgent(ctx context.Context, socket string) *agentClient {
	a := &agentClient{}
	if socket == "" {
		return a
	}
	conn, err := dialAgent(ctx, socket)
	if err != nil {
		a.err = err
		return a
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(agentTimeout)
	}
	_ = conn.SetDeadline(deadline)
	a.conn = conn
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		a.err = err
		return a
	}
	for _, s := range signers {
		// The agent's own type knows nothing of certificates.
		public, err := gossh.ParsePublicKey(s.PublicKey().Marshal())
		if err != nil {
			continue
		}
		a.keys = append(a.keys, identity{public: public, signer: s, source: "agent"})
	}
	return a
}

func (a *agentClient) close() {
	if a != nil && a.conn != nil {
		_ = a.conn.Close()
	}
}
