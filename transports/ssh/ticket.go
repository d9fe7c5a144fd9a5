package ssh

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// haveTicket says whether this process could log in by Kerberos. Distributions switch GSSAPIAuthentication on for
// everybody, so the option by itself says nothing; a ticket does. It is looked for once in a process.
var haveTicket = sync.OnceValue(func() bool {
	if klist, err := exec.LookPath("klist"); err == nil {
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
})

func limitTicket(c *config) string {
	for _, key := range []string{"gssapiauthentication", "gssapikeyexchange"} {
		if c.yes(key) && haveTicket() {
			return "option " + printed(c, key) + " is set and there is a Kerberos ticket"
		}
	}
	return ""
}
