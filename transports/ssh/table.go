package ssh

import (
	"fmt"
	"net"
	"slices"
	"strings"

	gossh "golang.org/x/crypto/ssh"
)

// verdict is what an option of ssh_config means for the native client.
type verdict int

const (
	// honoured options do for the native client what they do for ssh.
	honoured verdict = iota
	// ignored options have no effect on what we use ssh for, whatever their value.
	ignored
	// toBinary options are left to the ssh binary, unless they have the value that this version has by default.
	toBinary
)

// rule is a verdict; limit, if not nil, names what a value asks for beyond what the native client can do.
type rule struct {
	verdict verdict
	limit   func(c *config) string
}

// rules knows every option that ssh -G of OpenSSH 6.8 to 10 prints. One that is missing here counts as binary: a future
// option is nothing to be guessed at.
var rules = map[string]rule{
	// Where to, and as whom.
	"host": {verdict: honoured}, "hostname": {verdict: honoured}, "port": {verdict: honoured}, "user": {verdict: honoured},
	"addressfamily": {verdict: honoured}, "connectionattempts": {verdict: honoured}, "connecttimeout": {verdict: honoured},
	"bindaddress":    {honoured, limitBindAddress},
	"bindinterface":  {verdict: toBinary},
	"proxyjump":      {verdict: honoured},
	"proxycommand":   {honoured, limitProxyCommand},
	"proxyusefdpass": {verdict: toBinary},
	"tcpkeepalive":   {verdict: ignored}, "ipqos": {verdict: ignored},
	"serveraliveinterval": {verdict: honoured}, "serveralivecountmax": {verdict: honoured},

	// ssh -G has applied these already.
	"canonicalizehostname": {verdict: ignored}, "canonicaldomains": {verdict: ignored}, "canonicalizemaxdots": {verdict: ignored},
	"canonicalizefallbacklocal": {verdict: ignored}, "canonicalizepermittedcnames": {verdict: ignored},
	"ignoreunknown": {verdict: ignored}, "tag": {verdict: ignored},
	"refuseconnection": {verdict: toBinary},

	// How to prove who we are.
	"batchmode": {verdict: ignored}, "numberofpasswordprompts": {verdict: ignored},
	"preferredauthentications":     {honoured, limitAuthentications},
	"pubkeyauthentication":         {honoured, limitPubkey},
	"passwordauthentication":       {verdict: honoured},
	"kbdinteractiveauthentication": {verdict: honoured}, "challengeresponseauthentication": {verdict: honoured},
	"kbdinteractivedevices": {verdict: toBinary},
	"identityfile":          {verdict: honoured}, "certificatefile": {verdict: honoured}, "identitiesonly": {verdict: honoured},
	"identityagent": {verdict: honoured}, "addkeystoagent": {verdict: ignored}, "forwardagent": {verdict: honoured},
	"pubkeyacceptedalgorithms": {verdict: honoured}, "pubkeyacceptedkeytypes": {verdict: honoured},
	"pkcs11provider": {verdict: toBinary}, "securitykeyprovider": {verdict: toBinary},
	"hostbasedauthentication": {verdict: toBinary}, "enablesshkeysign": {verdict: ignored},
	"hostbasedacceptedalgorithms": {verdict: ignored}, "hostbasedkeytypes": {verdict: ignored},
	"warnweakcrypto": {verdict: ignored},

	// Kerberos: only with a ticket at hand, see limitTicket.
	"gssapiauthentication":      {honoured, limitTicket},
	"gssapidelegatecredentials": {verdict: ignored}, "gssapikeyexchange": {honoured, limitTicket},
	"gssapitrustdns": {verdict: ignored}, "gssapirenewalforcesrekey": {verdict: ignored},
	"gssapikexalgorithms": {verdict: ignored}, "gssapiclientidentity": {verdict: ignored},
	"gssapiserveridentity": {verdict: ignored},

	// Who the server is.
	"stricthostkeychecking": {honoured, limitStrict},
	"userknownhostsfile":    {verdict: honoured}, "globalknownhostsfile": {verdict: honoured}, "hashknownhosts": {verdict: honoured},
	"hostkeyalias": {verdict: honoured}, "hostkeyalgorithms": {honoured, limitList("hostkeyalgorithms", hostKeyAlgorithms)},
	"casignaturealgorithms": {verdict: honoured}, "requiredrsasize": {verdict: honoured},
	"checkhostip": {verdict: toBinary}, "knownhostscommand": {verdict: toBinary}, "revokedhostkeys": {verdict: toBinary},
	"nohostauthenticationforlocalhost": {verdict: toBinary}, "verifyhostkeydns": {verdict: toBinary},
	"updatehostkeys": {verdict: ignored}, "fingerprinthash": {verdict: ignored}, "visualhostkey": {verdict: ignored},

	// The transport.
	"kexalgorithms": {honoured, limitList("kexalgorithms", kexAlgorithms)},
	"ciphers":       {honoured, limitList("ciphers", cipherAlgorithms)},
	"macs":          {honoured, limitList("macs", macAlgorithms)},
	// Frames are compressed by ourselves.
	"compression": {verdict: ignored}, "compressionlevel": {verdict: ignored},
	"rekeylimit":              {verdict: toBinary},
	"obscurekeystroketiming":  {verdict: ignored},
	"versionaddendum":         {verdict: toBinary},
	"requiredrsaminimumsize":  {verdict: toBinary},
	"protocol":                {verdict: toBinary},
	"protocolkeepalives":      {verdict: ignored},
	"rhostsrsaauthentication": {verdict: ignored},
	"rsaauthentication":       {verdict: ignored},
	"cipher":                  {verdict: ignored},
	"useprivilegedport":       {verdict: toBinary},
	"useroaming":              {verdict: ignored},
	"streamlocalbindmask":     {verdict: ignored},
	"streamlocalbindunlink":   {verdict: ignored},
	"syslogfacility":          {verdict: ignored},
	"loglevel":                {honoured, limitLogLevel},
	"logverbose":              {verdict: toBinary},
	"escapechar":              {verdict: ignored},
	"enableescapecommandline": {verdict: ignored},
	"channeltimeout":          {verdict: toBinary},
	"controlmaster":           {verdict: ignored},
	"controlpersist":          {verdict: ignored},
	"controlpath":             {honoured, limitControlPath},
	"forkafterauthentication": {verdict: toBinary},
	"stdinnull":               {verdict: toBinary},
	"sessiontype":             {verdict: toBinary},
	"remotecommand":           {verdict: toBinary},
	"requesttty":              {verdict: ignored}, // become has terminals of its own, where one is needed
	"sendenv":                 {verdict: honoured},
	"setenv":                  {verdict: honoured},
	"permitlocalcommand":      {honoured, limitLocalCommand},
	"localcommand":            {verdict: ignored},
	"localforward":            {verdict: toBinary},
	"remoteforward":           {verdict: toBinary},
	"dynamicforward":          {verdict: toBinary},
	"permitremoteopen":        {verdict: ignored},
	"gatewayports":            {verdict: ignored},
	"exitonforwardfailure":    {verdict: ignored},
	"clearallforwardings":     {verdict: ignored},
	"tunnel":                  {verdict: toBinary},
	"tunneldevice":            {verdict: ignored},
	"forwardx11":              {verdict: toBinary},
	"forwardx11trusted":       {verdict: ignored},
	"forwardx11timeout":       {verdict: ignored},
	"xauthlocation":           {verdict: ignored},
}

// judge returns why c needs the binary, or nothing. base holds the defaults of the same version.
func judge(c, base *config) string {
	for _, key := range c.keys {
		r, known := rules[key]
		switch {
		case known && r.verdict == ignored:
		case known && r.verdict == honoured:
			if r.limit == nil {
				continue
			}
			if text := r.limit(c); text != "" {
				return text
			}
		case c.same(base, key) || c.one(key) == "none":
		case known:
			return fmt.Sprintf("option %s is left to the ssh binary", printed(c, key))
		default:
			return fmt.Sprintf("option %s is unknown to the native client", printed(c, key))
		}
	}
	return ""
}

// printed shows an option as a user would write it, shortened.
func printed(c *config, key string) string {
	text := strings.TrimSpace(key + " " + strings.Join(c.all(key), " "))
	if len(text) > 80 {
		text = text[:77] + "..."
	}
	return fmt.Sprintf("%q", text)
}

func limitBindAddress(c *config) string {
	if v := c.one("bindaddress"); v != "" && v != "*" && net.ParseIP(v) == nil {
		return fmt.Sprintf("option %s is no IP address", printed(c, "bindaddress"))
	}
	return ""
}

func limitProxyCommand(c *config) string {
	if c.one("proxycommand") == "-" {
		return `option "proxycommand -" uses ssh's own stdin`
	}
	return ""
}

func limitAuthentications(c *config) string {
	list := c.list("preferredauthentications")
	if len(list) > 0 && !slices.ContainsFunc(list, func(m string) bool { return slices.Contains(authMethods, m) }) {
		return fmt.Sprintf("option %s names no method that the native client has", printed(c, "preferredauthentications"))
	}
	return ""
}

func limitPubkey(c *config) string {
	if c.one("pubkeyauthentication") == "host-bound" {
		return `option "pubkeyauthentication host-bound" is left to the ssh binary`
	}
	return ""
}

func limitStrict(c *config) string {
	switch c.one("stricthostkeychecking") {
	case "yes", "true", "ask", "accept-new", "no", "false", "off":
		return ""
	}
	return fmt.Sprintf("option %s is unknown to the native client", printed(c, "stricthostkeychecking"))
}

func limitLogLevel(c *config) string {
	if v := c.one("loglevel"); strings.HasPrefix(v, "DEBUG") {
		return fmt.Sprintf("option %s asks for the ssh binary's log", printed(c, "loglevel"))
	}
	return ""
}

// limitControlPath: ControlMaster and ControlPersist do nothing without a path, but with one a connection may be there
// already that the user means to be shared.
func limitControlPath(c *config) string {
	if c.set("controlpath") {
		return fmt.Sprintf("option %s shares a connection between ssh processes", printed(c, "controlpath"))
	}
	return ""
}

func limitLocalCommand(c *config) string {
	if c.yes("permitlocalcommand") && c.set("localcommand") {
		return fmt.Sprintf("option %s is left to the ssh binary", printed(c, "localcommand"))
	}
	return ""
}

// limitList wants at least one name that both the list and the native client have.
func limitList(key string, supported func() []string) func(*config) string {
	return func(c *config) string {
		list := c.list(key)
		if len(list) > 0 && len(common(list, supported())) == 0 {
			return fmt.Sprintf("option %s names nothing that the native client has", printed(c, key))
		}
		return ""
	}
}

// common keeps those of want that are in have, in the order of want.
func common(want, have []string) []string {
	var out []string
	for _, name := range want {
		if slices.Contains(have, name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// everything is what x/crypto can do, weak algorithms too: ssh_config decides which are offered.
func everything(pick func(gossh.Algorithms) []string) []string {
	return append(slices.Clone(pick(gossh.SupportedAlgorithms())), pick(gossh.InsecureAlgorithms())...)
}

func kexAlgorithms() []string {
	return append(everything(func(a gossh.Algorithms) []string { return a.KeyExchanges }), "curve25519-sha256@libssh.org")
}

func cipherAlgorithms() []string {
	return everything(func(a gossh.Algorithms) []string { return a.Ciphers })
}

func macAlgorithms() []string {
	return everything(func(a gossh.Algorithms) []string { return a.MACs })
}

func hostKeyAlgorithms() []string {
	return everything(func(a gossh.Algorithms) []string { return a.HostKeys })
}
