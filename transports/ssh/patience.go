package ssh

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// betweenTries is how long ssh waits before it connects once more.
const betweenTries = time.Second

// tries is how long so many attempts take that have each so much time.
func tries(attempts int, each time.Duration) time.Duration {
	all := float64(attempts)*each.Seconds() + float64(attempts-1)*betweenTries.Seconds()
	return time.Duration(min(all, math.MaxInt32) * float64(time.Second))
}

// patience is how long the user's own settings let connecting take; 0 if they do not say. They are those that ssh -G has told, where it has been asked,
// and those of ssh_args elsewhere. each is the time of one attempt for which nothing is said.
func (d *Dialer) patience(each time.Duration) time.Duration {
	s := d.settings
	said := func(option string) string { return s.argument(option) }
	if c := d.resolver.recall(s.sshPath, s.options(), s.hostname); c != nil {
		said = c.one
	}
	timeout, attempts := seconds(said("connecttimeout")), max(1, number(said("connectionattempts")))
	if timeout > 0 {
		each = timeout
	} else if attempts == 1 {
		return 0
	}
	return tries(attempts, each)
}

// recall is what is known of a host without asking anybody; nil for nothing.
func (r *resolver) recall(exe string, options []string, host string) *config {
	r.mu.Lock()
	c := r.known[resolveKey(exe, options, host)]
	r.mu.Unlock()
	if c != nil {
		return c
	}
	return r.derive(exe, options, host)
}

// argument is the value of an option in ssh_args, by its name in lower case. The first one counts.
func (s *settings) argument(option string) string {
	flags, _ := parseArgs(s.sshArgs)
	for _, f := range flags {
		if f.sets(option) {
			return strings.Trim(strings.TrimSpace(f.value)[len(option):], " \t=\"")
		}
	}
	return ""
}

// seconds reads a time as ssh_config has it: seconds, or numbers with units.
func seconds(text string) time.Duration {
	total, digits := time.Duration(0), ""
	units := map[rune]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	for _, c := range strings.ToLower(text) + "s" {
		if unit, known := units[c]; known && digits != "" {
			n, err := strconv.ParseInt(digits, 10, 32)
			if err != nil {
				return 0
			}
			total, digits = total+time.Duration(n)*unit, ""
		} else if c >= '0' && c <= '9' {
			digits += string(c)
		} else if !known || digits == "" && total == 0 {
			return 0
		}
	}
	return min(total, math.MaxInt32*time.Second)
}
