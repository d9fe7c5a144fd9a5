package ssh

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"al.essio.dev/pkg/shellescape"
)

// options is what ssh -G is asked with. Earlier options win over later ones, so ours are stronger than those in ssh_args.
func (s *settings) options() []string { return s.optionsWith(false) }

// optionsWith is everything between the program's name and the host: what the user's tools and tests expect to see in a
// process list. strict has unknown host keys refused where "enforce" leaves open whether the user allows them.
func (s *settings) optionsWith(strict bool) []string {
	var a []string
	set := func(name, value string) { a = append(a, "-o", name+" "+value) }
	if s.debugLevel > 0 {
		a = append(a, "-"+strings.Repeat("v", min(s.debugLevel, 3)))
	} else {
		// Banners hold words such as "password", which are taken for a prompt.
		set("LogLevel", "ERROR")
	}
	if s.username != "" {
		a = append(a, "-l", s.username)
	}
	if s.port != 0 {
		a = append(a, "-p", strconv.Itoa(s.port))
	}
	a = append(a, s.identity()...)
	if s.identitiesOnly {
		set("IdentitiesOnly", "yes")
	}
	if s.compression {
		set("Compression", "yes")
	}
	if s.keepaliveInterval > 0 {
		set("ServerAliveInterval", strconv.Itoa(wholeSeconds(s.keepaliveInterval)))
		set("ServerAliveCountMax", strconv.Itoa(s.keepaliveCount))
	}
	if !s.password.IsSet() {
		set("BatchMode", "yes")
	}
	switch s.checkHostKeys {
	case enforceHostKeys:
		if strict {
			set("StrictHostKeyChecking", "yes")
		}
	case ignoreHostKeys:
		set("StrictHostKeyChecking", "no")
		set("UserKnownHostsFile", "/dev/null")
		set("GlobalKnownHostsFile", "/dev/null")
	case acceptHostKeys:
		set("StrictHostKeyChecking", "accept-new")
	}
	a = append(a, s.sshArgs...)
	if s.unshared {
		a = append(a, "-S", "none") // which is stronger than any -o, and than an -S before it
	}
	return a
}

// identity names the key. What ssh is to expand, and a key that is not there, have to be an option: with -i it would drop them and go on to its
// default keys, where Ansible, which names keys in that way only, has it try none of those.
func (s *settings) identity() []string {
	if s.identityFile == "" {
		return nil
	}
	option := []string{"-o", `IdentityFile="` + s.identityFile + `"`}
	if s.expandsIdentity() {
		return option
	}
	flag := []string{"-i", s.identityFile}
	if _, err := os.Stat(s.identityFile); err != nil {
		return append(flag, option...)
	}
	return flag
}

// expandsIdentity says whether the key's name is made of others.
func (s *settings) expandsIdentity() bool {
	return strings.Contains(s.identityFile, "%") || strings.Contains(s.identityFile, "${")
}

// manner is what a command line of the binary has besides the settings.
type manner struct {
	strict bool // unknown host keys are refused, where "enforce" leaves that open
	noTTY  bool // a terminal is refused that ssh would ask for otherwise
	shared bool // the connection is used that control_path names
	// limit is what one attempt at connecting may take if that is more than the settings say.
	limit time.Duration
}

// argv is the whole command line of the binary, far command included.
func (s *settings) argv(far []string, m manner) []string {
	argv := append([]string{s.sshPath}, s.optionsWith(m.strict)...)
	if seconds(s.argument("connecttimeout")) == 0 {
		argv = append(argv, "-o", "ConnectTimeout "+strconv.Itoa(wholeSeconds(max(m.limit, s.connectTimeout))))
	}
	if m.shared {
		argv = append(argv, s.controlOption()...)
	}
	if m.noTTY {
		argv = append(argv, "-T")
	}
	argv = append(argv, s.hostname)
	for _, word := range far {
		argv = append(argv, quoteWord(word))
	}
	return argv
}

// wantsTTY says whether ssh_args ask for a terminal, as users do for the sake of what become starts. That has one of its own here, and one in
// between would garble what the agent says.
func (s *settings) wantsTTY() bool {
	flags, err := parseArgs(s.sshArgs)
	return err == nil && slices.ContainsFunc(flags, func(f argFlag) bool { return f.letter == 't' || f.sets("requesttty") })
}

// saysStrict says whether ssh_args have the option that host keys are checked by.
func (s *settings) saysStrict() bool {
	flags, _ := parseArgs(s.sshArgs) // what goes before a fault counts
	return slices.ContainsFunc(flags, func(f argFlag) bool { return f.sets("stricthostkeychecking") })
}

// farCommand is the one string that an exec request carries: the same that the binary makes of its arguments.
func farCommand(argv []string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		words[i] = quoteWord(word)
	}
	return strings.Join(words, " ")
}

// quoteWord quotes for the far login shell. A bare && stays one, as users put it into interpreter settings
// ("source venv/bin/activate && python").
func quoteWord(word string) string {
	if word == "&&" {
		return word
	}
	return shellescape.Quote(word)
}

// wholeSeconds rounds up, so that a short interval does not become 0, which would mean never.
func wholeSeconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}

// argFlag is one flag found in ssh_args.
type argFlag struct {
	letter byte
	value  string
}

// sets says whether the flag is an option of ssh_config with that name, in lower case.
func (f argFlag) sets(option string) bool {
	return f.letter == 'o' && strings.HasPrefix(strings.ToLower(strings.TrimSpace(f.value)), option)
}

// Flags of ssh(1): without and with an argument.
const (
	plainFlags = "1246AaCfGgKkMNnqsTtVvXxYy"
	valueFlags = "BbcDEeFIiJLlmOoPpQRSWw"
)

// parseArgs splits ssh_args as ssh's getopt does. Words that are no flags end it: ssh would take the first for the host. With an
// error there are those in front of it.
func parseArgs(args []string) ([]argFlag, error) {
	var flags []argFlag
	for i := 0; i < len(args); i++ {
		word := args[i]
		if len(word) < 2 || word[0] != '-' {
			return flags, fmt.Errorf("the word %q in ssh_args is no option", word)
		}
		for j := 1; j < len(word); j++ {
			c := word[j]
			switch {
			case strings.IndexByte(plainFlags, c) >= 0:
				flags = append(flags, argFlag{letter: c})
				continue
			case strings.IndexByte(valueFlags, c) < 0:
				return flags, fmt.Errorf("the option -%c in ssh_args is unknown", c)
			case j+1 < len(word):
				flags = append(flags, argFlag{c, word[j+1:]})
			case i+1 < len(args):
				i++
				flags = append(flags, argFlag{c, args[i]})
			default:
				return flags, fmt.Errorf("the option -%c in ssh_args lacks its value", c)
			}
			break
		}
	}
	return flags, nil
}
