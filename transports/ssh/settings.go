package ssh

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"spindle/transports"
)

// Values of check_host_keys.
const (
	enforceHostKeys = "enforce" // refuse unknown and changed keys, unless the user's ssh_args or ssh_config say otherwise
	ignoreHostKeys  = "ignore"  // take any key, remember none
	acceptHostKeys  = "accept"  // remember keys of unknown hosts, refuse changed ones
	configHostKeys  = "config"  // what ssh's own configuration says
)

// Values of spindle_ssh, which says which way to take.
const (
	preferAuto   = "auto"
	preferBinary = "binary"
)

// Values of spindle_via, which says how the way of others leads on from here, and how this one's comes here.
const (
	viaAuto   = "auto"   // by programs on the machines on the way, where those have Python
	viaTunnel = "tunnel" // by a connection in the connection
)

// Defaults of settings that are absent or null.
const (
	defaultPath           = "ssh"
	defaultKeepalive      = 10 * time.Second
	defaultKeepaliveCount = 3
)

// settings are a hop's kwargs, checked.
type settings struct {
	hostname          string
	port              int // 0: ssh decides
	username          string
	password          transports.Secret
	identityFile      string
	identitiesOnly    bool
	checkHostKeys     string
	compression       bool
	connectTimeout    time.Duration
	keepaliveInterval time.Duration
	keepaliveCount    int
	sshArgs           []string
	sshPath           string
	passwordForAll    bool   // jump hosts that ask get the password, too, as by ssh-askpass
	controlPath       string // where a connection may be that somebody has opened already; may be empty
	unshared          bool   // a ControlPath of ssh_args or ssh_config does not count any more
	debugLevel        int
	prefer            string
	tunnel            bool
}

// rawSettings are the kwargs as they come. Numbers and booleans may be strings, since variables often are.
type rawSettings struct {
	Hostname          string            `json:"hostname"`
	Port              looseNumber       `json:"port"`
	Username          looseString       `json:"username"`
	Password          transports.Secret `json:"password"`
	PasswordForAll    looseBool         `json:"password_for_all"`
	IdentityFile      string            `json:"identity_file"`
	IdentitiesOnly    looseBool         `json:"identities_only"`
	CheckHostKeys     string            `json:"check_host_keys"`
	Compression       looseBool         `json:"compression"`
	ConnectTimeout    looseNumber       `json:"connect_timeout"`
	KeepaliveInterval looseNumber       `json:"keepalive_interval"`
	KeepaliveCount    looseNumber       `json:"keepalive_count"`
	SSHArgs           []string          `json:"ssh_args"`
	SSHPath           string            `json:"ssh_path"`
	ControlPath       looseString       `json:"control_path"`
	DebugLevel        looseNumber       `json:"ssh_debug_level"`
	Prefer            string            `json:"spindle_ssh"`
	Via               string            `json:"spindle_via"`
}

// parseSettings reads kwargs. Its errors name the setting, and never hold the password.
func parseSettings(kwargs json.RawMessage) (*settings, error) {
	var raw rawSettings
	if err := transports.ParseKwargs(kwargs, &raw); err != nil {
		return nil, fmt.Errorf("ssh: %w", err)
	}
	s := &settings{
		hostname:          raw.Hostname,
		username:          string(raw.Username),
		password:          raw.Password,
		passwordForAll:    raw.PasswordForAll.or(false),
		identityFile:      expandHome(raw.IdentityFile, homeDir()),
		identitiesOnly:    raw.IdentitiesOnly.or(false),
		checkHostKeys:     raw.CheckHostKeys,
		compression:       raw.Compression.or(true),
		connectTimeout:    raw.ConnectTimeout.seconds(transports.DefaultTimeout),
		keepaliveInterval: raw.KeepaliveInterval.seconds(defaultKeepalive),
		sshArgs:           raw.SSHArgs,
		sshPath:           expandHome(raw.SSHPath, homeDir()),
		controlPath:       string(raw.ControlPath),
		prefer:            raw.Prefer,
	}
	for _, n := range []struct {
		name     string
		raw      looseNumber
		low, top int
		def      int
		to       *int
	}{
		{"port", raw.Port, 1, 65535, 0, &s.port},
		{"keepalive_count", raw.KeepaliveCount, 1, math.MaxInt32, defaultKeepaliveCount, &s.keepaliveCount},
		{"ssh_debug_level", raw.DebugLevel, 0, math.MaxInt32, 0, &s.debugLevel},
	} {
		v, err := n.raw.whole(n.low, n.top, n.def)
		if err != nil {
			return nil, fmt.Errorf("ssh: %s: %w", n.name, err)
		}
		*n.to = v
	}
	switch {
	case s.hostname == "":
		return nil, errors.New("ssh: hostname is missing")
	case strings.HasPrefix(s.hostname, "-"):
		return nil, fmt.Errorf("ssh: hostname %q would be read as an option", s.hostname)
	case strings.ContainsAny(s.hostname, "\x00\n"):
		return nil, fmt.Errorf("ssh: hostname %q holds a control character", s.hostname)
	case s.connectTimeout <= 0:
		s.connectTimeout = transports.DefaultTimeout
	}
	if s.password.Reveal() == "" {
		s.password = transports.Secret{} // what an undefined variable is templated to
	}
	if s.sshPath == "" {
		s.sshPath = defaultPath
	}
	if s.checkHostKeys == "" {
		s.checkHostKeys = enforceHostKeys
	}
	switch s.checkHostKeys {
	case enforceHostKeys, ignoreHostKeys, acceptHostKeys, configHostKeys:
	default:
		return nil, fmt.Errorf("ssh: check_host_keys: %q is none of enforce, ignore, accept, config", s.checkHostKeys)
	}
	if s.prefer == "" {
		s.prefer = preferAuto
	}
	switch s.prefer {
	case preferAuto, preferBinary:
	default:
		return nil, fmt.Errorf("ssh: spindle_ssh: %q is neither auto nor binary", s.prefer)
	}
	switch raw.Via {
	case "", viaAuto:
	case viaTunnel:
		s.tunnel = true
	default:
		return nil, fmt.Errorf("ssh: spindle_via: %q is neither auto nor tunnel", raw.Via)
	}
	return s, nil
}

// name is the actor's name.
func (s *settings) name() string {
	var b strings.Builder
	b.WriteString("ssh:")
	if s.username != "" {
		b.WriteString(s.username + "@")
	}
	b.WriteString(s.hostname)
	if s.port != 0 && s.port != 22 {
		b.WriteString(":" + strconv.Itoa(s.port))
	}
	return b.String()
}

// expandHome replaces a leading ~ by home, and ~user by that user's home.
func expandHome(path, home string) string {
	if !strings.HasPrefix(path, "~") {
		return path
	}
	name, rest, _ := strings.Cut(path[1:], "/")
	if name != "" {
		u, err := user.Lookup(name)
		if err != nil {
			return path
		}
		home = u.HomeDir
	}
	if home == "" {
		return path
	}
	return filepath.Join(home, rest)
}

// homeDir is $HOME: in settings ~ means that, as in a shell. In ssh_config it means the account's home.
func homeDir() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return home
}

// looseNumber is a number, a string holding one, or null.
type looseNumber struct {
	set   bool
	value float64
}

// UnmarshalJSON reads any of the three.
func (n *looseNumber) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), "\" \t\n")
	if text == "null" || text == "" {
		return nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("%s is no number", b)
	}
	n.set, n.value = true, v
	return nil
}

func (n looseNumber) whole(low, top, def int) (int, error) {
	if !n.set {
		return def, nil
	}
	if n.value != math.Trunc(n.value) || n.value < float64(low) || n.value > float64(top) {
		return 0, fmt.Errorf("%v is not a whole number from %d to %d", n.value, low, top)
	}
	return int(n.value), nil
}

func (n looseNumber) seconds(def time.Duration) time.Duration {
	if !n.set {
		return def
	}
	if n.value > math.MaxInt32 {
		return math.MaxInt32 * time.Second
	}
	return time.Duration(n.value * float64(time.Second))
}

// looseBool is a boolean, a string or number that Ansible would take for one, or null.
type looseBool struct{ set, value bool }

// UnmarshalJSON reads any of them.
func (v *looseBool) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(strings.Trim(string(b), "\" \t\n")) {
	case "null", "":
	case "true", "yes", "on", "1", "y", "t":
		v.set, v.value = true, true
	case "false", "no", "off", "0", "n", "f":
		v.set, v.value = true, false
	default:
		return fmt.Errorf("%s is no boolean", b)
	}
	return nil
}

func (v looseBool) or(def bool) bool {
	if !v.set {
		return def
	}
	return v.value
}

// looseString is a string, a number (a user named 1001), or null.
type looseString string

// UnmarshalJSON reads any of the three.
func (s *looseString) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] != '"' {
		if string(b) == "null" {
			return nil
		}
		var n json.Number
		if err := json.Unmarshal(b, &n); err != nil {
			return err
		}
		*s = looseString(n)
		return nil
	}
	return json.Unmarshal(b, (*string)(s))
}
