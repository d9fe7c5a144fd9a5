package ssh

import (
	"fmt"
	"net"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"spindle/transports"
)

// authMethods are those that the native client has, in the order in which ssh tries them.
var authMethods = []string{"publickey", "keyboard-interactive", "password"}

// target is one server of a native connection: the host itself, or one on the way to it.
type target struct {
	alias, hostname, port, user string

	// via is the server that this one is reached through, nil for none.
	via            *target
	proxyCommand   string
	network        string // tcp, tcp4 or tcp6
	bind           net.IP
	attempts       int
	connectTimeout time.Duration // of one attempt; 0: none of its own

	kex, ciphers, macs []string // nil: what the library thinks best
	hostKeys           []string
	hostKeysChosen     bool // by the user: not to be reordered
	caSignatures       []string
	pubkeys            []string
	minRSABits         int

	strict      strictness
	knownAs     string // the name under which known_hosts has it
	knownPlain  string // the name without port, to look for if knownAs is not there; may be empty
	knownFiles  []string
	learnFile   string // where new keys go; may be empty
	hashLearned bool

	methods        []string
	identities     []string // expanded, in order
	certificates   []string
	firstIdentity  string // what the settings name: offered before everything else
	identitiesOnly bool
	agent          string // path of its socket; may be empty
	password       transports.Secret

	forwardAgent string // path of the socket to forward; may be empty
	env          []string
	aliveEvery   time.Duration // 0: no keepalive
	aliveCount   int           // questions in a row that may stay unanswered; 0: any number
}

// strictness is what happens to a host key that is not in known_hosts.
type strictness int

const (
	strictYes       strictness = iota // refuse unknown and changed
	strictAcceptNew                   // learn unknown, refuse changed
	strictNo                          // learn unknown, let changed pass without password and agent
)

// strictnessOf is what a configuration says of unknown keys. Nobody is there to be asked, so "ask" refuses.
func strictnessOf(c *config) strictness {
	switch c.one("stricthostkeychecking") {
	case "no", "false", "off":
		return strictNo
	case "accept-new":
		return strictAcceptNew
	}
	return strictYes
}

// newTarget reads what ssh -G says about a host. base holds the defaults. An error is a reason to use the binary.
func newTarget(alias string, c, base *config) (*target, error) {
	t := &target{
		alias:          alias,
		hostname:       c.one("hostname"),
		port:           c.one("port"),
		user:           c.one("user"),
		network:        map[string]string{"inet": "tcp4", "inet6": "tcp6"}[c.one("addressfamily")],
		bind:           net.ParseIP(c.one("bindaddress")),
		attempts:       max(1, number(c.one("connectionattempts"))),
		connectTimeout: time.Duration(number(c.one("connecttimeout"))) * time.Second,
		minRSABits:     number(c.one("requiredrsasize")),
		caSignatures:   c.list("casignaturealgorithms"),
		strict:         strictnessOf(c),
		hashLearned:    c.yes("hashknownhosts"),
		identitiesOnly: c.yes("identitiesonly"),
		aliveEvery:     time.Duration(number(c.one("serveraliveinterval"))) * time.Second,
		aliveCount:     number(c.one("serveralivecountmax")),
	}
	if t.network == "" {
		t.network = "tcp"
	}
	t.setAlgorithms(c, base)
	t.knownAs = c.one("hostkeyalias")
	if t.knownAs == "" {
		t.knownAs = t.hostname
		if t.port != "22" {
			t.knownAs, t.knownPlain = "["+t.hostname+"]:"+t.port, t.hostname
		}
	}
	tok := newTokens(alias, t.hostname, t.port, t.user, c.set("proxyjump"), c.one("hostkeyalias"))
	if err := tok.setAccount(base); err != nil {
		return nil, err
	}
	if err := t.setFiles(c, tok); err != nil {
		return nil, err
	}
	if command := c.one("proxycommand"); c.set("proxycommand") && !c.set("proxyjump") {
		var err error
		if t.proxyCommand, err = tok.only("hnpr").percent(command); err != nil {
			return nil, err
		}
	}
	t.setMethods(c)
	t.env = sentEnv(c, os.Environ())
	return t, nil
}

// setAlgorithms keeps to what ssh would offer. Where the user chose nothing, the order is the library's own: it knows
// which ciphers are fast here.
func (t *target) setAlgorithms(c, base *config) {
	pick := func(key string, supported []string) []string {
		list := common(c.list(key), supported)
		if c.same(base, key) {
			return common(supported, list)
		}
		return list
	}
	t.kex = pick("kexalgorithms", kexAlgorithms())
	if c.same(base, "kexalgorithms") && !slices.Contains(t.kex, "mlkem768x25519-sha256") {
		// An older ssh has another post-quantum exchange, which the library lacks. Prefer one to none.
		t.kex = append([]string{"mlkem768x25519-sha256"}, t.kex...)
	}
	t.ciphers = pick("ciphers", cipherAlgorithms())
	t.macs = pick("macs", macAlgorithms())
	t.hostKeys = common(c.list("hostkeyalgorithms"), hostKeyAlgorithms())
	t.hostKeysChosen = !c.same(base, "hostkeyalgorithms")
	t.pubkeys = c.list("pubkeyacceptedalgorithms")
	if t.pubkeys == nil {
		t.pubkeys = c.list("pubkeyacceptedkeytypes")
	}
}

func (t *target) setFiles(c *config, tok tokens) error {
	for _, list := range []struct {
		key string
		to  *[]string
	}{{"identityfile", &t.identities}, {"certificatefile", &t.certificates}} {
		for _, name := range c.all(list.key) {
			if name == "none" {
				continue
			}
			file, err := tok.path(name)
			if err != nil {
				return fmt.Errorf("option %s: %w", list.key, err)
			}
			*list.to = append(*list.to, file)
		}
	}
	for _, key := range []string{"userknownhostsfile", "globalknownhostsfile"} {
		for i, name := range strings.Fields(c.one(key)) {
			if name == "none" || name == os.DevNull {
				continue
			}
			file, err := tok.path(name)
			if err != nil {
				return fmt.Errorf("option %s: %w", key, err)
			}
			t.knownFiles = append(t.knownFiles, file)
			if key == "userknownhostsfile" && i == 0 {
				t.learnFile = file
			}
		}
	}
	var err error
	if t.agent, err = agentSocket(c.one("identityagent"), true, tok); err != nil {
		return fmt.Errorf("option identityagent: %w", err)
	}
	if t.forwardAgent, err = agentSocket(c.one("forwardagent"), false, tok); err != nil {
		return fmt.Errorf("option forwardagent: %w", err)
	}
	return nil
}

// agentSocket reads IdentityAgent and ForwardAgent: a path, the name of a variable, yes, no, or nothing.
func agentSocket(value string, otherwise bool, tok tokens) (string, error) {
	standard := os.Getenv("SSH_AUTH_SOCK")
	switch {
	case value == "" && otherwise, value == "SSH_AUTH_SOCK", isYes(value):
		return standard, nil
	case value == "", value == "none", isNo(value):
		return "", nil
	case strings.HasPrefix(value, "$") && !strings.HasPrefix(value, "${"):
		return os.Getenv(value[1:]), nil
	}
	return tok.path(value)
}

func (t *target) setMethods(c *config) {
	t.methods = authMethods
	if list := c.list("preferredauthentications"); len(list) > 0 {
		t.methods = common(list, authMethods)
	}
	off := map[string]bool{
		"publickey":            isNo(c.one("pubkeyauthentication")),
		"password":             isNo(c.one("passwordauthentication")),
		"keyboard-interactive": isNo(c.one("kbdinteractiveauthentication")) || isNo(c.one("challengeresponseauthentication")),
	}
	t.methods = slices.DeleteFunc(slices.Clone(t.methods), func(m string) bool { return off[m] })
}

// sentEnv is what SendEnv and SetEnv make of our own environment. SetEnv wins.
func sentEnv(c *config, environ []string) []string {
	var out []string
	set := map[string]bool{}
	for _, pair := range c.all("setenv") {
		name, _, ok := strings.Cut(pair, "=")
		if ok && !set[name] {
			set[name] = true
			out = append(out, pair)
		}
	}
	for _, pair := range environ {
		name, _, ok := strings.Cut(pair, "=")
		if !ok || set[name] {
			continue
		}
		sent := false
		for _, patterns := range c.all("sendenv") {
			for _, pattern := range strings.Fields(patterns) {
				if hit, err := path.Match(pattern, name); err == nil && hit {
					sent = true
				}
			}
		}
		if sent {
			set[name] = true
			out = append(out, pair)
		}
	}
	return out
}

// address is what to dial.
func (t *target) address() string { return net.JoinHostPort(t.hostname, t.port) }

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}
