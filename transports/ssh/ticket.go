package ssh

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"spindle/transports"
)

// ticketFor is for how long it is remembered whether there is a ticket: a task may be the kinit that gets one.
const ticketFor = 200 * time.Millisecond

// tickets remembers whether this process could log in by Kerberos. Distributions switch GSSAPIAuthentication on for
// everybody, so the option by itself says nothing; a ticket does.
type tickets struct {
	mu    sync.Mutex
	have  bool
	until time.Time
}

var theTickets tickets

// there looks for a ticket, or remembers. Those who ask meanwhile wait for the one who looks; the longer that takes, the longer it counts.
func (t *tickets) there() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	began := time.Now()
	if began.Before(t.until) {
		return t.have
	}
	t.have = haveTicket()
	now := time.Now()
	t.until = now.Add(max(ticketFor, 20*now.Sub(began)))
	return t.have
}

func haveTicket() bool {
	if klist, err := transports.LookPath("klist"); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		return exec.CommandContext(ctx, klist, "-s").Run() == nil
	}
	cache := os.Getenv("KRB5CCNAME")
	if cache == "" {
		cache = "/tmp/krb5cc_" + strconv.Itoa(os.Getuid())
	}
	kind, path, typed := strings.Cut(cache, ":")
	if typed && kind != "FILE" {
		// A cache in the kernel, a daemon or a directory, and no tool to look into it: let ssh find out.
		return true
	}
	if !typed {
		path = cache
	}
	_, err := os.Stat(path)
	return err == nil
}

func limitTicket(c *config) string {
	for _, key := range []string{"gssapiauthentication", "gssapikeyexchange"} {
		if c.yes(key) && theTickets.there() {
			return "option " + printed(c, key) + " is set and there is a Kerberos ticket"
		}
	}
	return ""
}
