package ssh

import (
	"context"
	"net"
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
}

// openAgent asks the agent at socket what it has. No agent, or a broken one, has nothing: that is no error.
func openAgent(ctx context.Context, socket string) *agentClient {
	a := &agentClient{}
	if socket == "" {
		return a
	}
	conn, err := (&net.Dialer{Timeout: agentTimeout}).DialContext(ctx, "unix", socket)
	if err != nil {
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
