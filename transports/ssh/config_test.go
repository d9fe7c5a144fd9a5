package ssh

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A config that shares another's says what it said before, whatever the other has, and keeps only what differs.
func TestConfigsShareWhatIsTheSame(t *testing.T) {
	common, err := parseConfig([]byte("host a\nuser u\nhostname a\nport 22\ncompression no\nidentityfile x\nidentityfile y\n"))
	if err != nil {
		t.Fatal(err)
	}
	for text, kept := range map[string]int{
		"host a\nuser u\nhostname a\nport 22\ncompression no\nidentityfile x\nidentityfile y\n":         0,
		"host b\nuser u\nhostname b\nport 22\ncompression no\nidentityfile x\nidentityfile y\n":         2,
		"host b\nuser u\nhostname b\nport 22\ncompression no\nidentityfile y\nidentityfile x\n":         3,
		"host b\nuser u\nhostname b\nport 22\nidentityfile x\nidentityfile y\nproxyjump c\n":            4,
		"port 22\nhost a\nuser u\nhostname a\ncompression no\nidentityfile x\nidentityfile y\ntag me\n": 1,
	} {
		whole, err := parseConfig([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		sharing := whole.sharing(common)
		if d := cmp.Diff(whole.keys, sharing.keys); d != "" {
			t.Errorf("%q: keys differ:\n%s", text, d)
		}
		for _, key := range []string{"host", "user", "hostname", "port", "compression", "identityfile", "proxyjump", "tag", "none"} {
			if d := cmp.Diff(whole.all(key), sharing.all(key)); d != "" {
				t.Errorf("%q: %s differs:\n%s", text, key, d)
			}
			if a, b := whole.one(key), sharing.one(key); a != b {
				t.Errorf("%q: %s is %q, want %q", text, key, b, a)
			}
		}
		if len(sharing.values) != kept {
			t.Errorf("%q: %d keys kept, want %d", text, len(sharing.values), kept)
		}
	}
}

// What is remembered of ten thousand hosts is what differs between them.
func TestAnswersForHostsAreKeptOnce(t *testing.T) {
	r := newResolver()
	for n := range 50 {
		c, err := parseConfig(fmt.Appendf(nil, "host h%d\nuser u\nhostname h%d\nport 22\nciphers a,b,c\nmacs d,e,f\n", n, n))
		if err != nil {
			t.Fatal(err)
		}
		c = r.remember(0, fmt.Sprint(n), c)
		if n > 0 && len(c.values) != 2 {
			t.Fatalf("%d values kept for host %d, want its two names", len(c.values), n)
		}
		if got, want := c.one("hostname"), fmt.Sprintf("h%d", n); got != want {
			t.Errorf("host %d is %s", n, got)
		}
	}
}
