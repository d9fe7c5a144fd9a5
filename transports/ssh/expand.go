package ssh

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// tokens are the values of %-sequences in ssh's options.
type tokens map[byte]string

// newTokens knows the sequences that file names take, but for those that setAccount adds. ssh -G expands some options and leaves others as they
// were. Versions of ssh do not agree on what a jump host is in %C, nor on %j: with one, both are the binary's.
func newTokens(alias, hostname, port, remoteUser string, jumps bool, keyAlias string) tokens {
	local, _ := os.Hostname()
	short, _, _ := strings.Cut(local, ".")
	if keyAlias == "" {
		keyAlias = alias
	}
	t := tokens{
		'%': "%", 'h': hostname, 'n': alias, 'p': port, 'r': remoteUser,
		'i': strconv.Itoa(os.Getuid()),
		'l': local, 'L': short, 'k': keyAlias,
	}
	if !jumps {
		sum := sha1.Sum([]byte(local + hostname + port + remoteUser))
		t['C'] = hex.EncodeToString(sum[:])
	}
	return t
}

// passwd is where accounts are known from; tests have another one.
var passwd = "/etc/passwd"

// account looks for our own account. os/user would not do: built without cgo, it takes $USER and $HOME for an account that it does not find, as
// those of SSSD and LDAP.
func account() (name, home string, known bool) {
	text, err := os.ReadFile(passwd)
	if err != nil {
		return "", "", false
	}
	uid := strconv.Itoa(os.Getuid())
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == 7 && f[2] == uid {
			return f[0], f[5], true
		}
	}
	return "", "", false
}

// setAccount adds who we are and where our home is, by ssh's own words: it knows accounts that are in no file here. base is what it says without
// any configuration. An error is a reason to use the binary.
func (t tokens) setAccount(base *config) error {
	t['u'] = base.one("user")
	file, _, _ := strings.Cut(base.one("userknownhostsfile"), " ")
	if home, ok := strings.CutSuffix(file, "/.ssh/known_hosts"); ok && strings.HasPrefix(home, "/") {
		t['d'] = home
		return nil
	}
	// Some versions leave the ~ as it is.
	_, home, known := account()
	if !known {
		return reason("the home of " + t['u'] + " is known to the ssh binary only")
	}
	t['d'] = home
	return nil
}

// only keeps the sequences that an option takes.
func (t tokens) only(letters string) tokens {
	kept := tokens{'%': "%"}
	for i := range len(letters) {
		kept[letters[i]] = t[letters[i]]
	}
	return kept
}

// percent expands %-sequences. An unknown one is an error, as it is for ssh.
func (t tokens) percent(text string) (string, error) {
	if !strings.Contains(text, "%") {
		return text, nil
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			b.WriteByte(text[i])
			continue
		}
		i++
		if i == len(text) {
			return "", fmt.Errorf("a lone %% ends %q", text)
		}
		value, ok := t[text[i]]
		if !ok && (text[i] == 'C' || text[i] == 'j') {
			return "", fmt.Errorf("%%%c in %q is known to the ssh binary only", text[i], text)
		}
		if !ok {
			return "", fmt.Errorf("unknown sequence %%%c in %q", text[i], text)
		}
		b.WriteString(value)
	}
	return b.String(), nil
}

// path expands a file name: ~, %-sequences and ${VARIABLE}.
func (t tokens) path(text string) (string, error) {
	text, err := t.percent(expandHome(text, t['d']))
	if err != nil {
		return "", err
	}
	return expandVariables(text)
}

// expandVariables replaces ${NAME}. An unset one is an error, as it is for ssh.
func expandVariables(text string) (string, error) {
	for {
		before, rest, found := strings.Cut(text, "${")
		if !found {
			return text, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("${ without } in %q", text)
		}
		value, ok := os.LookupEnv(name)
		if !ok {
			return "", fmt.Errorf("variable %s in %q is not set", name, text)
		}
		if strings.Contains(value, "${") {
			return "", fmt.Errorf("variable %s holds another", name)
		}
		text = before + value + after
	}
}
