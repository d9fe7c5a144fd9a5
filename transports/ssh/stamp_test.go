package ssh

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What is written into a configuration while a run goes on holds for who comes then, whichever file it is in.
func TestChangedConfigurationsAreAskedAboutAnew(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	exe, runs := countingSSH(t)
	write("config", "Include "+dir+"/*.conf\nInclude "+dir+"/deep\n")
	write("deep", "Include "+dir+"/deeper\n")
	r := newResolver()
	asked := 0
	ask := func(host, port string, more int) {
		t.Helper()
		time.Sleep(2 * lookEvery)
		c, err := r.resolve(t.Context(), exe, []string{"-F", path("config")}, host)
		if err != nil {
			t.Fatal(err)
		}
		if c.one("port") != port {
			t.Errorf("the port of %s is %s, want %s", host, c.one("port"), port)
		}
		if got := runs() - asked; got != more {
			t.Errorf("ssh -G ran %d times, want %d", got, more)
		}
		asked = runs()
	}
	for _, host := range []string{"web1", "web2"} {
		ask(host, "22", 1)
		ask(host, "22", 0)
	}
	ask("web3", "22", 0) // as the two before
	write("a.conf", "Host web*\nPort 23\n")
	ask("web3", "23", 1)
	ask("web1", "23", 1)
	ask("web1", "23", 0)
	write("a.conf", "Host web*\nPort 24\n") // as long as before
	ask("web1", "24", 1)
	write("deeper", "Port 25\n")
	ask("db", "25", 1)
	ask("web1", "24", 1)
	if err := os.Remove(path("a.conf")); err != nil {
		t.Fatal(err)
	}
	ask("web1", "25", 1)
	write("config", "Port 26\n")
	ask("web1", "26", 1)
	ask("web2", "26", 1)
	ask("web3", "26", 0) // and it is learnt again that all are alike
	write("other", "Port 27\n")
	// A file that nobody has named until now does not hide that others have changed.
	write("config", "Port 28\n")
	time.Sleep(2 * lookEvery)
	if c, err := r.resolve(t.Context(), exe, []string{"-F", path("other")}, "web1"); err != nil || c.one("port") != "27" {
		t.Errorf("got %v, %v", c.one("port"), err)
	}
	asked = runs()
	ask("web1", "28", 1)
}

// An answer that was on its way when the files changed is not remembered.
func TestLateAnswersAreForgotten(t *testing.T) {
	dir := t.TempDir()
	file, exe := filepath.Join(dir, "config"), filepath.Join(dir, "ssh")
	// It reads the file, and then takes long.
	if err := os.WriteFile(exe, []byte("#!/bin/sh\nport=$(cat "+file+")\necho >>"+dir+"/asked\nwhile [ -e "+dir+"/wait ]; do sleep .01; done\nprintf 'user u\\nhostname h\\nport %s\\n' $port\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "22")
	write(dir+"/wait", "")
	r := newResolver()
	port := func() string {
		c, err := r.resolve(t.Context(), exe, []string{"-F", file}, "h")
		if err != nil {
			t.Error(err)
			return ""
		}
		return c.one("port")
	}
	first, second := make(chan string, 1), make(chan string, 1)
	go func() { first <- port() }()
	await(t, func() bool { return exists(dir + "/asked") })
	write(file, "2222")
	time.Sleep(2 * lookEvery)
	go func() { second <- port() }() // not the answer that is on its way
	await(t, func() bool { b, _ := os.ReadFile(dir + "/asked"); return strings.Count(string(b), "\n") == 2 })
	if err := os.Remove(dir + "/wait"); err != nil {
		t.Fatal(err)
	}
	if a, b, c := <-first, <-second, port(); a != "22" || b != "2222" || c != "2222" {
		t.Errorf("ports are %s, %s and then %s", a, b, c)
	}
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

func TestIncludesOf(t *testing.T) {
	t.Setenv("SPN_DIR", "/dir")
	t.Setenv("HOME", "/ldap/me")
	_, home, known := account()
	if !known {
		t.Skip("SKIPPED: nobody")
	}
	file := filepath.Join(t.TempDir(), "config")
	check := func(text string, opaque bool, want ...string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := includesOf(file); !slices.Equal(got.patterns, want) || got.opaque != opaque {
			t.Errorf("%s gave %q, %v; want %q", text, got.patterns, got.opaque, want)
		}
	}
	check("# Include no\n  include ~/a  b/*\nInclude=\"/c d\"\nInclude\nHost Include\n", false, home+"/a", home+"/.ssh/b/*", "/c d")
	check(`Include "/a b/c"/d '/e f' /g\ h	"/i" /j\k`+"\n\"Include\" /l", false, "/a b/c/d", "/e f", "/g h", "/i", `/j\k`, "/l")
	check("Include ${SPN_DIR}/x", false, "/dir/x")
	check("Include ${SPN_NOT_SET}/x /y", true, home+"/.ssh/${SPN_NOT_SET}/x", "/y")
	check("Include /etc/%n.conf", true, "/etc/%n.conf")
	withoutAccount(t)
	check("Include ~/a b", false, "/ldap/me/a", "/ldap/me/.ssh/b")
}

// Where the account is in no file here, its configuration is taken to be at $HOME.
func TestConfigurationsOfUnknownAccountsAreWatched(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, known := range []bool{true, false} { // in the first case $HOME is another one
		if !known {
			withoutAccount(t)
		}
		r := newResolver()
		before := r.look(nil)
		if err := os.WriteFile(filepath.Join(home, ".ssh", "config"), []byte("User "+strconv.FormatBool(known)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * lookEvery)
		if r.look(nil) == before {
			t.Errorf("the account is known: %v; a change is not seen", known)
		}
	}
}

// What only ssh can find is asked about again and again, and not for each host.
func TestUnreadableIncludesAreAskedAboutAnew(t *testing.T) {
	dir := t.TempDir()
	exe, runs := countingSSH(t)
	if err := os.WriteFile(dir+"/config", []byte("Include "+dir+"/%%.conf\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newResolver()
	for begin := time.Now(); time.Since(begin) < 2*opaqueFor+opaqueFor/2; time.Sleep(2 * lookEvery) {
		if _, err := r.resolve(t.Context(), exe, []string{"-F", dir + "/config"}, "web1"); err != nil {
			t.Fatal(err)
		}
	}
	if n := runs(); n < 3 || n > 8 {
		t.Errorf("it was asked %d times", n)
	}
}

// A ticket may come while a run goes on, by a task that is a kinit, and go.
func TestTicketsMayComeLater(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir) // where there is no klist
	t.Setenv("KRB5CCNAME", "FILE:"+dir+"/cache")
	c := &config{keys: []string{"gssapiauthentication"}, values: map[string][]string{"gssapiauthentication": {"yes"}}}
	for i, there := range []bool{false, true, false} {
		if there {
			if err := os.WriteFile(dir+"/cache", nil, 0o600); err != nil {
				t.Fatal(err)
			}
		} else if err := os.RemoveAll(dir + "/cache"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(ticketFor + ticketFor/4)
		if got := limitTicket(c) != ""; got != there {
			t.Errorf("%d: a ticket: %v, want %v", i, got, there)
		}
	}
}
