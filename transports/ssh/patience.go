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
	if attempts == 1 {
		return each
	}
	all := float64(attempts)*each.Seconds() + float64(attempts-1)*betweenTries.Seconds()
	return time.Duration(min(all, math.MaxInt32) * float64(time.Second))
}

// attempt is how long one attempt at connecting may take: what ssh_args say, as these win over what Ansible tells ssh; otherwise Ansible's own limit, or
// more if c has it, which is what ssh -G has told (nil if it has not been asked).
func (s *settings) attempt(c *config) time.Duration {
	if own := seconds(s.argument("connecttimeout")); own > 0 {
		return own
	}
	if c == nil {
		return s.connectTimeout
	}
	return max(s.connectTimeout, seconds(c.one("connecttimeout")))
}

// patience is how long connecting may take with all attempts. What the user's own settings say of them are those that ssh -G has told, where it has been
// asked, and those of ssh_args elsewhere.
func (d *Dialer) patience() time.Duration {
	s := d.settings
	attempts := s.argument("connectionattempts")
	c := d.resolver.recall(s.sshPath, s.options(), s.hostname)
	if c != nil {
		attempts = c.one("connectionattempts")
	}
	return tries(max(1, number(attempts)), s.attempt(c))
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
