package ssh

import (
	"bufio"
	"bytes"
	"errors"
	"slices"
	"strings"
)

// config is what ssh -G says: options in the order printed, keys in lower case. A key may have several values. Hosts
// differ in a few of the eighty options, so a config may hold those alone and have the rest in common with another one.
type config struct {
	keys   []string
	values map[string][]string
	common *config // what is not in values; may be nil
}

// errNoConfig says that what ran was no OpenSSH client that knows -G.
var errNoConfig = errors.New("ssh -G printed no configuration")

// parseConfig reads the output of ssh -G: one "key value" a line.
func parseConfig(out []byte) (*config, error) {
	c := &config{values: map[string][]string{}}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		key, value, _ := strings.Cut(strings.TrimRight(lines.Text(), "\r"), " ")
		if key == "" {
			continue
		}
		key = strings.ToLower(key)
		if _, seen := c.values[key]; !seen {
			c.keys = append(c.keys, key)
		}
		c.values[key] = append(c.values[key], value)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	for _, must := range []string{"user", "hostname", "port"} {
		if c.one(must) == "" {
			return nil, errNoConfig
		}
	}
	return c, nil
}

// sharing returns the same config, which takes from another one what is the same there.
func (c *config) sharing(o *config) *config {
	own := &config{keys: c.keys, values: map[string][]string{}, common: o}
	if slices.Equal(c.keys, o.keys) {
		own.keys = o.keys
	}
	for _, key := range c.keys {
		if !c.same(o, key) {
			own.values[key] = c.values[key]
		}
	}
	for _, key := range o.keys {
		if c.all(key) == nil {
			own.values[key] = nil // not even that of the other
		}
	}
	return own
}

// one is the first value of key, empty if there is none.
func (c *config) one(key string) string {
	if v := c.all(key); len(v) > 0 {
		return v[0]
	}
	return ""
}

// all are the values of key, in order.
func (c *config) all(key string) []string {
	v, own := c.values[key]
	if !own && c.common != nil {
		return c.common.all(key)
	}
	return v
}

// list splits a comma separated value.
func (c *config) list(key string) []string {
	v := c.one(key)
	if v == "" || v == "none" {
		return nil
	}
	return strings.Split(v, ",")
}

// same says whether key has the values here that it has in the other config.
func (c *config) same(o *config, key string) bool {
	return slices.Equal(c.all(key), o.all(key))
}

// yes says whether key is switched on. Versions of ssh differ in how they print that.
func (c *config) yes(key string) bool { return isYes(c.one(key)) }

func isYes(value string) bool { return value == "yes" || value == "true" }

func isNo(value string) bool { return value == "no" || value == "false" }

// set says whether key has a value that stands for something.
func (c *config) set(key string) bool {
	v := c.one(key)
	return v != "" && v != "none"
}
