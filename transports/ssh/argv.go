package ssh

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"al.essio.dev/pkg/shellescape"
)

// options is everything between the program's name and the host: what the user's tools and tests expect to see in a
// process list. Earlier options win over later ones, so ours are stronger than those in ssh_args.
func (s *settings) options() []string {
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
	if s.identityFile != "" {
		a = append(a, "-i", s.identityFile)
	}
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
		set("StrictHostKeyChecking", "yes")
	case ignoreHostKeys:
		set("StrictHostKeyChecking", "no")
		set("UserKnownHostsFile", "/dev/null")
		set("GlobalKnownHostsFile", "/dev/null")
	case acceptHostKeys:
		set("StrictHostKeyChecking", "accept-new")
	}
	return append(a, s.sshArgs...)
}

// argv is the whole command line of the binary, far command included; noTTY refuses a terminal that ssh would ask for otherwise.
func (s *settings) argv(far []string, noTTY bool) []string {
	argv := append([]string{s.sshPath}, s.options()...)
	if noTTY {
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
	return err == nil && slices.ContainsFunc(flags, func(f argFlag) bool {
		return f.letter == 't' || f.letter == 'o' && strings.HasPrefix(strings.ToLower(strings.TrimSpace(f.value)), "requesttty")
	})
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

// Flags of ssh(1): without and with an argument.
const (
	plainFlags = "1246AaCfGgKkMNnqsTtVvXxYy"
	valueFlags = "BbcDEeFIiJLlmOoPpQRSWw"
)

// parseArgs splits ssh_args as ssh's getopt does. Words that are no flags end it: ssh would take the first for the host.
func parseArgs(args []string) ([]argFlag, error) {
	var flags []argFlag
	for i := 0; i < len(args); i++ {
		word := args[i]
		if len(word) < 2 || word[0] != '-' {
			return nil, fmt.Errorf("the word %q in ssh_args is no option", word)
		}
		for j := 1; j < len(word); j++ {
			c := word[j]
			switch {
			case strings.IndexByte(plainFlags, c) >= 0:
				flags = append(flags, argFlag{letter: c})
				continue
			case strings.IndexByte(valueFlags, c) < 0:
				return nil, fmt.Errorf("the option -%c in ssh_args is unknown", c)
			case j+1 < len(word):
				flags = append(flags, argFlag{c, word[j+1:]})
			case i+1 < len(args):
				i++
				flags = append(flags, argFlag{c, args[i]})
			default:
				return nil, fmt.Errorf("the option -%c in ssh_args lacks its value", c)
			}
			break
		}
	}
	return flags, nil
}
