package bootstrap

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"spindle/transports/wire"
)

// withOwnEtc gives a target's agent an /etc and a home of root's that may be changed, in a mount namespace of its own. It is a
// copy: an overlay would show what other tests do to this machine's /etc meanwhile, such as rules for sudo that come and go.
func withOwnEtc(t *testing.T, tg target) target {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	root := filepath.Join("/", tg.root)
	tg.wrap = []string{"unshare", "--mount", "--propagation", "private", "sh", "-c", `
		cp -a "$1/etc/." "$2" || test -e "$2/passwd" || exit 1 # a file of another test's may go while it is copied
		mount --bind "$2" "$1/etc" && mount -t tmpfs tmpfs "$1/root" &&
		mkdir -p "$1/root/.bashrc.d" "$1/root/.config/fish/conf.d" && touch "$1/etc/profile.d/old.sh" &&
		echo "BEFORE=file" >"$1/etc/environment" && shift 2 && exec env BEFORE=file SET=login "$@"`, "sh", root, t.TempDir()}
	return tg
}

// fresh calls a command that wants a fresh login.
func (r *remote) fresh(command string) result {
	r.t.Helper()
	return r.call("exec", meta{"command": command, "fresh": true}, nil)
}

func TestALoginThatWouldBeAnotherOneIsStale(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		for _, tc := range []struct {
			name, change          string
			local, account, login bool // whether it makes these stale
		}{
			{"nothing", "true", false, false, false},
			{"another account", "echo other:x:4711:4711::/:/bin/sh >>/etc/passwd; echo other:x:4711:other >>/etc/group", false, false, false},
			{"a group", "echo new:x:4712:daemon,root >>/etc/group", false, true, true},
			{"a group behind a great many", "yes many:x:4713: | head -n 100000 >>/etc/group; echo new:x:4712:root >>/etc/group", false, true, true},
			{"a group that came and went", "echo new:x:4712:root >>/etc/group; sed -i /^new:/d /etc/group", false, false, false},
			{"another shell", "sed -i s,^root:x:0:0:root:,root:x:0:0:changed:, /etc/passwd", false, true, true},
			{"sudo's rules", "mkdir -p /etc/sudoers.d; echo >/etc/sudoers.d/new", false, false, true},
			{"a line more of PAM's limits", "mkdir -p /etc/security; echo '# one' >>/etc/security/limits.conf", false, false, true},
			{"a profile", "echo export A=1 >>/etc/profile.d/new.sh", false, true, true},
			{"a line more of a profile", "echo export A=1 >>/etc/profile.d/old.sh", false, false, true},
			{"one's own profile", "echo export A=1 >>~/.profile", false, false, true},
			{"what a shell reads for each command", "echo export A=1 >>~/.bashrc", false, true, true},
			{"a file of bash's", "echo export A=1 >>~/.bashrc.d/new.sh", false, true, true},
			{"a file of tcsh's", "echo setenv A 1 >>~/.tcshrc", false, true, true},
			{"a file of csh's for all", "echo setenv A 1 >>/etc/csh.cshrc", false, true, true},
			{"a file of fish's", "echo set -x A 1 >>~/.config/fish/conf.d/new.fish", false, true, true},
			{"fish's settings for all", "mkdir -p /etc/fish; echo set -x A 1 >>/etc/fish/config.fish", false, true, true},
			{"sources of names", "echo 'passwd: files' >/etc/nsswitch.conf", true, true, true},
			{"a directory of packages", "for v in 2.7 3.9 3.11 3.13 3.14; do mkdir -p ~/.local/lib/python$v/site-packages; done", true, true, true},
		} {
			t.Run(tc.name, func(t *testing.T) {
				var all []*remote
				for watch := range 3 {
					all = append(all, boot(t, withOwnEtc(t, tg), func(o *Options) { o.Watch = watch }))
				}
				for watch, r := range all {
					if got := r.fresh("echo first"); got.Out != "first\n" {
						t.Fatalf("watch %d: %+v", watch, got)
					}
					r.shell(tc.change + "; true")
					stale := []bool{tc.local, tc.account, tc.login}[watch]
					got := r.fresh("echo second")
					if is := got.Status == wire.StatusStale; is != stale || !is && got.Out != "second\n" {
						t.Errorf("watch %d: %+v, want stale: %v", watch, got, stale)
					}
					if got := r.call("exec", meta{"command": "echo third"}, nil); got.Out != "third\n" {
						t.Errorf("watch %d: a call that does not ask: %+v", watch, got)
					}
				}
			})
		}
	})
}

func TestVariablesOfFilesAreTakenOver(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, withOwnEtc(t, tg), func(o *Options) { o.Watch = 1 })
		show := `echo "$BEFORE|$SET|$NEW|$OWN"`
		for _, step := range []struct{ name, change, want string }{
			{"as it was", "true", "file|login||"},
			{"new ones", `printf 'BEFORE=file\nNEW="a b" # word\nexport OWN=1\nSET=file\nno variable\n"open' >/etc/environment`, "file|login|a b|1"},
			{"changed", "echo BEFORE=other NEW=2 >/etc/environment", "other|login||"},
			{"one's own", "echo NEW=mine >~/.pam_environment", "other|login|mine|"},
			{"no UTF-8", `printf 'NEW=\351' >~/.pam_environment`, "other|login|\xe9|"},
			{"removed", "rm /etc/environment ~/.pam_environment", "|login||"},
		} {
			r.shell(step.change)
			if got := r.call("exec", meta{"command": show}, nil); got.Out != step.want+"\n" {
				t.Errorf("%s: %q, want %q", step.name, got.Out, step.want)
			}
		}
		got := r.call("exec", meta{"command": show, "env": meta{"NEW": "task", "SET": nil}}, nil)
		if got.Out != "||task|\n" {
			t.Errorf("what the task sets: %q", got.Out)
		}
	})
}

// A module of a task with another HOME finds the packages that a Python would which was started with it.
func TestPackagesOfAnotherHome(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		base := "/tmp/spindle-home-" + nonce()
		local := filepath.Join("/", tg.root, base)
		t.Cleanup(func() { os.RemoveAll(local) })
		tg.wrap = []string{"env", "HOME=" + base + "/own"}
		first := boot(t, tg)
		const asked = "import site; print(site.getusersitepackages())"
		for _, name := range []string{"/own", "/other"} {
			site := strings.TrimSpace(first.call("exec", meta{"argv": []string{tg.python, "-c", asked}, "env": meta{"HOME": base + name}}, nil).Out)
			if err := os.MkdirAll(filepath.Join("/", tg.root, site, "within"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join("/", tg.root, site, "more.pth"), []byte("within\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		first.end()
		r := boot(t, tg)
		const show = "import sys, json\nprint(json.dumps({'path': [p for p in sys.path if p]}))\nsys.exit(0)\n"
		cl := r.of(controllers[0], controllers[2]).modules(t)["ping"].with("shows_path", show)
		for _, at := range []string{"/own", "/other", "/missing"} {
			home := meta{"HOME": base + at}
			_, got := r.module(cl, false, nil, func(m meta) { m["env"] = home })
			want := r.call("exec", meta{"argv": []string{tg.python, "-c", show}, "env": home}, nil)
			if text, _ := json.Marshal(got["path"]); !strings.Contains(strings.ReplaceAll(want.Out, " ", ""), string(text)) {
				t.Errorf("HOME=%s: a module looks in %s, a Python in %s", at, text, want.Out)
			}
		}
	})
}

// Ansible's basic.py looks once for packages that it can do without. An agent that has looked is replaced when they come or go.
func TestPackagesThatBasicLooksForOnce(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		home := "/tmp/spindle-home-" + nonce()
		local := filepath.Join("/", tg.root, home)
		t.Cleanup(func() { os.RemoveAll(local) })
		tg.wrap = []string{"env", "HOME=" + home}
		first := boot(t, tg)
		site := strings.TrimSpace(first.call("exec", meta{"argv": []string{tg.python, "-c", "import site; print(site.getusersitepackages())"}}, nil).Out)
		first.end()
		install := func(name string) {
			if err := os.MkdirAll(filepath.Join("/", tg.root, site, name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join("/", tg.root, site, name, "__init__.py"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		install("other")
		r := boot(t, tg)
		cl := r.of(controllers[0], controllers[2]).modules(t)["ping"].with("selinux_is_there", "import sys\nprint('{}')\nsys.exit(0)\n")
		asks := func(m meta) { m["fresh"] = true }
		for _, step := range []struct {
			install string
			stale   bool
		}{{"", false}, {"another", false}, {"selinux", true}} {
			if step.install != "" {
				install(step.install)
			}
			if res, _ := r.module(cl, false, nil, asks); (res.Status == wire.StatusStale) != step.stale {
				t.Errorf("with %q: %+v, want stale: %v", step.install, res, step.stale)
			}
		}
		// The next one has seen it, and notices when it has gone.
		next := boot(t, tg)
		if res, _ := next.module(cl, false, nil, asks); res.Status != wire.StatusOK {
			t.Errorf("the next agent: %+v", res)
		}
		if err := os.RemoveAll(filepath.Join("/", tg.root, site, "selinux")); err != nil {
			t.Fatal(err)
		}
		if res, _ := next.module(cl, false, nil, asks); res.Status != wire.StatusStale {
			t.Errorf("without it: %+v", res)
		}
	})
}

// An account is the one that has logged in, though another name may have the same number.
func TestNamesThatShareANumber(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		for variable, want := range map[string]string{
			"LOGNAME=toor": "toor /toor /bin/false", "USER=toor": "toor /toor /bin/false", "USER=daemon": "root /root", "LOGNAME=none": "root /root", "TERM=dumb": "root /root",
		} {
			own := withOwnEtc(t, tg)
			own.wrap = append(own.wrap, "sh", "-c", `echo toor:x:0:0::/toor:/bin/false >>"$0"; exec env -u USER -u LOGNAME "$@"`, filepath.Join("/", tg.root, "etc/passwd"), variable)
			r := boot(t, own)
			got := strings.Join([]string{r.facts["user"].(string), r.facts["home"].(string), r.facts["shell"].(string)}, " ")
			if !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s, want %s", variable, got, want)
			}
		}
	})
}

// The variable HOME and the account's directory are two things: a shell's ~ is the first.
func TestHomes(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		for _, home := range []string{"/data", ""} {
			tg.wrap = []string{"env", "HOME=" + home}
			if home == "" {
				tg.wrap = []string{"env", "-u", "HOME"}
			}
			r := boot(t, tg)
			if got, _ := r.facts["env_home"].(string); got != home || r.facts["home"] == "/data" || r.facts["encoding"] == "" {
				t.Errorf("HOME=%s: %v", home, r.facts)
			}
			encoding := r.call("exec", meta{"argv": []string{tg.python, "-c", "import sys; print(sys.getfilesystemencoding())"}}, nil).Out
			if r.facts["encoding"] != strings.TrimSpace(encoding) {
				t.Errorf("encoding: %v, want %s", r.facts["encoding"], encoding)
			}
		}
	})
}

// The zone is the one that the machine has now, also where a variable names the file, whose text stays the same.
func TestZonesOfFiles(t *testing.T) {
	zone := func(name string, offset int32) []byte { // RFC 8536: a zone without changes
		data := append([]byte("TZif"), make([]byte, 16+4*4)...)
		for _, n := range []any{int32(1), int32(len(name) + 1), offset, []byte{0, 0}, []byte(name + "\x00")} {
			data, _ = binary.Append(data, binary.BigEndian, n)
		}
		return data
	}
	each(t, func(t *testing.T, tg target) {
		file := filepath.Join("/", tg.root, "/tmp/spindle-zone-"+nonce())
		t.Cleanup(func() { os.Remove(file) })
		tg.wrap = []string{"env", "TZ=:" + strings.TrimPrefix(file, tg.root)}
		if err := os.WriteFile(file, zone("AAA", 3600), 0o644); err != nil {
			t.Fatal(err)
		}
		r := boot(t, tg)
		cl := r.of(controllers[0], controllers[2]).modules(t)["ping"].with("zone", "import sys, time\nprint(time.strftime('%Z %H', time.localtime(0)))\nsys.exit(0)\n")
		for _, want := range []string{"AAA 01\n", "BBB 02\n"} {
			if res, _ := r.module(cl, false, nil); res.Out != want {
				t.Errorf("got %+v, want %q", res, want)
			}
			if err := errors.Join(os.Remove(file), os.WriteFile(file, zone("BBB", 7200), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What a module loads has to go with what the agent has loaded.
func TestLibrariesThatAreReplaced(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		if os.Geteuid() != 0 {
			t.Skip("mounting needs root")
		}
		tg.wrap = []string{"unshare", "--mount", "--propagation", "private", "sh", "-c", `mount -t proc proc "$1/proc" && shift && exec "$@"`, "sh", filepath.Join("/", tg.root)}
		r := boot(t, tg)
		r.module(r.of(controllers[0], controllers[2]).modules(t)["ping"], false, nil)
		if got := r.fresh("echo first"); got.Out != "first\n" {
			t.Fatalf("%+v", got)
		}
		maps, err := os.ReadFile("/proc/" + itoa(r.pid) + "/maps")
		if err != nil {
			t.Fatal(err)
		}
		library := regexp.MustCompile(`/\S*/libcrypto\.so\S*`).FindString(string(maps))
		if library == "" {
			t.Skip("this Python has OpenSSL inside")
		}
		library = filepath.Join("/", tg.root, strings.TrimPrefix(library, tg.root))
		another := filepath.Join(t.TempDir(), "libcrypto.so")
		script := `cp "$1" "$2" && mount --bind "$2" "$1"`
		if out, err := exec.Command("nsenter", "-t", itoa(r.pid), "-m", "sh", "-c", script, "sh", library, another).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if got := r.fresh("echo second"); got.Status != wire.StatusStale {
			t.Errorf("%+v, want another agent", got)
		}
	})
}
